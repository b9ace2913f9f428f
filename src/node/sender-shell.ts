/**
 * Code that the senders of both protocols share: opens the sockets, runs the sender and returns its result.
 */

import type { P2mpError } from '../base/errors.js';
import type { Machine } from '../base/machine.js';
import { withoutUndefined } from '../base/without-undefined.js';
import type { LocalPath } from './net/paths/local-paths.js';
import { hostsOf } from './net/paths/local-paths.js';
import type { PortWatchOptions } from './net/port-watch.js';
import type { FoundReceiver } from './net/resolve-receivers.js';
import { wildcardsFor } from './net/resolve-receivers.js';
import type { SentTo } from './net/routes.js';
import { findUnreachable } from './net/routes.js';
import { SendErrorLog } from './net/send-error-log.js';
import { SocketRunner } from './net/socket-runner.js';

/** The methods of a sender that the shell uses. */
export interface ShellSender {
  readonly isDone: boolean;
  readonly peers: readonly SentTo[];
  /** @param isFinal true if no later session can continue this one */
  abort(nowMs: number, reason: string, isFinal?: boolean): void;
  /** Fails one receiver and continues with the others. */
  failReceiver(nowMs: number, index: number, reason: string): void;
}

export interface SenderShellOptions {
  readonly signal: AbortSignal | undefined;
  /** Reason reported for incomplete receivers after the signal aborts. */
  readonly interruptedReason: string;
  /** Called when the system refuses to send a datagram, once for each kind of error. */
  readonly onSendError: (message: string) => void;
  /** @returns true if this function has handled the error, so that the shell must not handle it again */
  readonly takeSendError: (error: NodeJS.ErrnoException) => boolean;
}

/** The protocol state machine that the shell runs, and functions to access its current sender. */
export interface ShellMachine<E> extends Pick<PortWatchOptions, 'awaited'> {
  readonly machine: Machine<E>;
  /** @returns the sender that the machine currently runs */
  readonly current: () => ShellSender;
  readonly receivers: readonly FoundReceiver[];
  /** Local addresses from which to send by several paths; none by default. */
  readonly paths?: readonly LocalPath[];
  /** As of `SocketRunner`. */
  readonly findPaths?: (() => readonly LocalPath[]) | undefined;
  /** Called when paths can begin at other addresses. */
  readonly handlePaths?: (nowMs: number, hosts: readonly string[]) => void;
  readonly deadlines?: 'exact';
  readonly handleEvent: (event: E) => void;
  readonly handleRefusal: (
    nowMs: number,
    ...refusal: Parameters<PortWatchOptions['handleRefusal']>
  ) => void;
}

/** Runs a sender until it ends, is aborted, or is stopped by a local error. */
export class SenderShell<E, R> {
  /** The local error that stopped the sender, if any. */
  error: P2mpError | undefined;
  private runner: SocketRunner<E> | undefined;
  private current: () => ShellSender | undefined = () => undefined;
  private readonly sendErrors: SendErrorLog;
  private readonly result: Promise<R>;
  private resolve: (result: R) => void = () => undefined;
  private reject: (error: unknown) => void = () => undefined;

  constructor(private readonly options: SenderShellOptions) {
    this.sendErrors = new SendErrorLog(options.onSendError);
    this.result = new Promise<R>((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
    // Prevent an unhandled rejection: the result can be rejected before `run` awaits it.
    this.result.catch(() => undefined);
  }

  /**
   * Opens the sender and sends until `finish` or `crash` is called. Then closes the sockets.
   * @param open prepares the transfer and calls `openSockets`
   */
  async run(open: () => Promise<void>): Promise<R> {
    const { signal, interruptedReason } = this.options;
    // Abort in the next turn of the event loop, because the signal can come from an event handler of this
    // sender.
    const handleAbort = () => setImmediate(() => this.abort(interruptedReason));
    try {
      signal?.throwIfAborted();
      await open();
      signal?.addEventListener('abort', handleAbort);
      if (signal?.aborted) handleAbort();
      this.runner?.drain();
      return await this.result;
    } finally {
      signal?.removeEventListener('abort', handleAbort);
      await this.runner?.close();
    }
  }

  /** @throws the reason of the signal if it ended the transfer for a receiver */
  throwIfAborted(receivers: readonly { readonly status: string }[]): void {
    const wasStopped = receivers.some(({ status }) => status === 'aborted');
    if (wasStopped && this.error === undefined) this.options.signal?.throwIfAborted();
  }

  /** @throws P2mpError PORT_UNAVAILABLE */
  async openSockets(run: ShellMachine<E>): Promise<SocketRunner<E>> {
    const { paths = [], findPaths, handlePaths } = run;
    const runner: SocketRunner<E> = await SocketRunner.open({
      machine: run.machine,
      ...{ paths, bind: wildcardsFor(run.receivers, paths) },
      port: 0,
      ...withoutUndefined({ deadlines: run.deadlines }),
      ...(findPaths !== undefined && {
        findPaths,
        handleMove: (nowMs: number) => handlePaths?.(nowMs, hostsOf(runner.pathAddresses)),
      }),
      handleEvent: run.handleEvent,
      handleSendError: (error) => this.handleSendError(error),
    });
    this.runner = runner;
    this.current = run.current;
    runner.watchPorts(run.awaited, (...refusal) => run.handleRefusal(runner.nowMs, ...refusal));
    return runner;
  }

  /** Fails the receivers to which the system has no route. */
  failUnrouted(receivers: readonly FoundReceiver[]): void {
    receivers.forEach(({ noRoute }, index) => {
      if (noRoute !== undefined)
        this.current()?.failReceiver(this.runner?.nowMs ?? 0, index, noRoute);
    });
  }

  /** Resolves the result after the sender has ended. */
  finish(result: R): void {
    this.resolve(result);
  }

  /**
   * Rejects the result after an exception that is not a P2mpError. Such an exception is a bug, either in a
   * callback of the caller or in p2mp.
   */
  crash(error: unknown): void {
    this.reject(error);
  }

  /** Ends the transfer because of a local error. */
  stop(error: P2mpError): void {
    this.error ??= error;
    // If the source has changed, a later session sends a different object and cannot continue this one.
    this.abort(error.message, error.code === 'SOURCE_CHANGED');
  }

  private abort(reason: string, isFinal = false): void {
    const { runner } = this;
    const sender = this.current();
    if (sender === undefined || runner === undefined || sender.isDone) return;
    sender.abort(runner.nowMs, reason, isFinal);
    runner.drain();
  }

  private handleSendError(error: NodeJS.ErrnoException): void {
    if (this.options.takeSendError(error)) return;
    const { runner } = this;
    const sender = this.current();
    const found = sender && findUnreachable(sender.peers, error);
    if (found === undefined || runner === undefined) {
      this.sendErrors.add(error);
      return;
    }
    sender?.failReceiver(runner.nowMs, found.index, found.reason);
    runner.drain();
  }
}
