/**
 * Receives files by P2MP-FTP: connects the receiver's protocol state machine to a file and to real sockets.
 */
import type { Address } from '../base/address.js';
import { formatAddress } from '../base/address.js';
import type { P2mpError } from '../base/errors.js';
import type { Checks } from '../base/options/check-options.js';
import {
  callback,
  checkOptions,
  flag,
  number,
  required,
  text,
} from '../base/options/check-options.js';
import { withoutUndefined } from '../base/without-undefined.js';
import type { ReceiverEvent, TransferResult } from '../classic/receiver-events.js';
import type { LossModel } from '../loss.js';
import { Receiver } from '../receiver.js';
import type { FileTarget } from './disk/store/file-sink.js';
import { checkTarget, FileSink } from './disk/store/file-sink.js';
import { createOwnAddressCheck } from './net/own-address.js';
import { SendErrorLog } from './net/send-error-log.js';
import type { SocketRunnerOptions } from './net/socket-runner.js';
import { SocketRunner } from './net/socket-runner.js';
import { hosts, ownPort } from './option-checks.js';

/** Options of `FileReceiver.open`: the addresses to listen on and the file to write. */
export interface ReceiveFileOptions {
  /** 0 for any free port. */
  readonly port: number;
  /** Path of the target file. Each complete transfer replaces this file atomically. */
  readonly path: string;
  /** Local addresses to listen on; all by default. */
  readonly bind?: readonly string[];
  /** The loss service; none by default. */
  readonly loss?: LossModel;
  /** Duration of silence that ends a transfer without an end marker; 30 s by default (PROTOCOL 5.4). */
  readonly idleTimeoutMs?: number;
  /** If true, a transfer without an end marker fails, unless its last segment is short. */
  readonly mustEnd?: boolean;
  /** Called for each event, at the time of the event. */
  readonly onEvent?: (event: FileReceiverEvent) => void;
}

export const receiveFileChecks: Checks<ReceiveFileOptions> = {
  port: required(ownPort),
  path: required(text),
  bind: hosts,
  loss: callback,
  idleTimeoutMs: number,
  mustEnd: flag,
  onEvent: callback,
};

/** The result of one incoming transfer, including the stored file. */
export interface FileTransferResult extends TransferResult {
  /** SHA-256 of the stored file in hexadecimal; undefined if the transfer is not complete. */
  readonly sha256?: string;
  /** The local error that ended the transfer, if any. */
  readonly error?: P2mpError;
}

/** The events that a FileReceiver reports while it runs. */
export type FileReceiverEvent =
  | Extract<ReceiverEvent, { type: 'open' | 'loss' | 'fault' | 'diagnosis' }>
  | { readonly type: 'done'; readonly result: FileTransferResult }
  /** The system refused to send a datagram. Reported once for each kind of error. */
  | { readonly type: 'send-error'; readonly message: string };

/**
 * Runs the receiver's state machine: a `SocketRunner` of its own, or access to a runner that also runs the
 * session protocol.
 */
export type MachineRunner = Pick<
  SocketRunner<ReceiverEvent>,
  'nowMs' | 'addresses' | 'drain' | 'close'
>;
export type OpenRunner = (options: SocketRunnerOptions<ReceiverEvent>) => Promise<MachineRunner>;

/**
 * A P2MP-FTP server: `FileReceiver.open` starts it, `close` stops it.
 * @example
 * ```ts
 * import { writeFileSync } from 'node:fs';
 * import { FileReceiver, sendFile } from 'p2mp';
 *
 * writeFileSync('a.txt', 'abc');
 * const receiver = await FileReceiver.open({ port: 0, bind: ['127.0.0.1'], path: 'copy.txt' });
 * const { receivers } = await sendFile({ servers: receiver.addresses, path: 'a.txt', mssBytes: 1400 });
 * console.log(receivers[0]?.status); // complete
 * await receiver.close();
 * ```
 */
export class FileReceiver {
  private readonly machine: Receiver;
  private runner: MachineRunner | undefined;
  private sink: FileSink | undefined;
  /** Pending removals of incomplete files; `close` waits for them. */
  private readonly discards = new Set<Promise<void>>();
  /** Resolves when the most recent complete file has its final name. */
  private finishing: Promise<void> = Promise.resolve();
  private sha256: string | undefined;
  private error: P2mpError | undefined;
  private readonly sendErrors = new SendErrorLog((message) =>
    this.options.onEvent?.({ type: 'send-error', message }),
  );

  private constructor(
    private readonly options: ReceiveFileOptions,
    private readonly target: FileTarget,
  ) {
    const isOwnAddress = createOwnAddressCheck(() => this.addresses);
    this.machine = new Receiver({ ...options, isOwnAddress });
  }

  /**
   * @param openRunner opens the runner of the receiver's state machine; by default, opens a runner with its
   *   own sockets
   * @throws P2mpError INVALID_ARGUMENT, TARGET_UNWRITABLE, PORT_UNAVAILABLE
   */
  static async open(
    options: ReceiveFileOptions,
    openRunner: OpenRunner = SocketRunner.open,
  ): Promise<FileReceiver> {
    checkOptions(options, receiveFileChecks);
    const receiver = new FileReceiver(options, await checkTarget(options.path));
    const { bind, port } = options;
    receiver.runner = await openRunner({
      machine: receiver.machine,
      ...withoutUndefined({ bind }),
      port,
      handleEvent: (event) => receiver.handleEvent(event),
      handleSendError: (error) => receiver.sendErrors.add(error),
    });
    return receiver;
  }

  /** The addresses that the receiver listens on. */
  get addresses(): Address[] {
    return this.runner?.addresses ?? [];
  }

  /** Whether a transfer is in progress. */
  get isReceiving(): boolean {
    return this.machine.isReceiving;
  }

  /** Number of payload bytes received in the current transfer. */
  get receivedBytes(): number {
    return this.machine.receivedBytes;
  }

  /**
   * If a complete file is being stored, first waits until the file is durable and has its final name. Then
   * aborts any transfer in progress, removes its temporary file, and closes the port.
   */
  async close(reason = 'stopped'): Promise<void> {
    const { runner } = this;
    if (runner === undefined) return;
    await this.finishing;
    this.machine.abort(runner.nowMs, reason);
    runner.drain();
    await runner.close();
    await Promise.all(this.discards);
  }

  private handleEvent(event: ReceiverEvent): void {
    switch (event.type) {
      case 'open':
        this.openSink();
        break;
      case 'write':
        this.sink?.write(event.bytes, event.isUrgent);
        return;
      case 'finish':
        this.finishSink();
        return;
      case 'discard':
        this.discardSink();
        return;
      case 'done': {
        const { sha256, error } = this;
        const result = {
          ...event.result,
          ...withoutUndefined({ sha256, error }),
        };
        this.options.onEvent?.({ type: 'done', result });
        return;
      }
    }
    this.options.onEvent?.(event);
  }

  private openSink(): void {
    this.sha256 = undefined;
    this.error = undefined;
    const sink: FileSink = new FileSink(this.target, {
      handleWritten: (writtenBytes) => {
        if (this.sink !== sink) return;
        this.machine.handleWritten(writtenBytes);
        this.runner?.drain();
      },
      handleError: (error) => this.failSink(sink, error),
    });
    this.sink = sink;
  }

  private finishSink(): void {
    const { sink, runner } = this;
    if (sink === undefined || runner === undefined) return;
    this.finishing = sink.finish().then(
      (sha256) => {
        if (this.sink !== sink) return;
        this.sink = undefined;
        this.sha256 = sha256;
        this.machine.handleStored(runner.nowMs);
        runner.drain();
      },
      (error: P2mpError) => this.failSink(sink, error),
    );
  }

  /** Ends the transfer whose sink failed. Errors of earlier sinks are ignored. */
  private failSink(sink: FileSink, error: P2mpError): void {
    const { runner } = this;
    if (this.sink !== sink || runner === undefined) return;
    this.error = error;
    this.machine.handleStorageFailure(runner.nowMs, error.message);
    runner.drain();
  }

  private discardSink(): void {
    const { sink } = this;
    this.sink = undefined;
    if (sink === undefined) return;
    const discard = sink.discard().finally(() => this.discards.delete(discard));
    this.discards.add(discard);
  }
}

/** The addresses as text. */
export function formatAddresses(addresses: readonly Address[]): string {
  return addresses.map(formatAddress).join(' and ');
}
