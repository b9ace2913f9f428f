/** Sends one file by P2MP-FTP: connects the sender's protocol state machine to a file and to real sockets. */
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
import { checkMss } from '../classic/segment.js';
import type { SenderEvent, SenderResult } from '../classic/sender-events.js';
import type { TimeoutSpec } from '../classic/sender-options.js';
import { timeoutCheck } from '../classic/sender-options.js';
import { Sender } from '../sender.js';
import { FileSource } from './disk/source/file-source.js';
import { fatalSendError } from './net/fatal-send-error.js';
import type { AwaitedPeer } from './net/port-watch.js';
import type { ServerSpec } from './net/resolve-receivers.js';
import { resolveReceivers } from './net/resolve-receivers.js';
import type { SocketRunner } from './net/socket-runner.js';
import { serverSpecs, signal } from './option-checks.js';
import { SenderShell } from './sender-shell.js';

/** Options of `sendFile`. */
export interface SendFileOptions {
  /** The receivers. Each receiver is given by one of its addresses. */
  readonly servers: readonly ServerSpec[];
  /** The file to send. */
  readonly path: string;
  /** Payload bytes per datagram. */
  readonly mssBytes: number;
  /** Maximum number of segments in flight; 1 by default, as the classic protocol requires. */
  readonly windowBlocks?: number;
  /** The retransmission timeout. By default, it adapts to the round-trip time. */
  readonly timeout?: TimeoutSpec;
  /** Time after which a receiver fails if it acknowledges no new data; 10 s by default. */
  readonly livenessTimeoutMs?: number;
  /** Whether to send an end marker (PROTOCOL 5.2); true by default. */
  readonly hasEndMarker?: boolean;
  /** Aborts the transfer. `sendFile` then rejects with the reason of the signal. */
  readonly signal?: AbortSignal;
  /** Called for each event, as it happens. */
  readonly onEvent?: (event: FileSenderEvent) => void;
}

const sendFileChecks: Checks<SendFileOptions> = {
  servers: required(serverSpecs),
  path: required(text),
  mssBytes: required(number),
  windowBlocks: number,
  timeout: timeoutCheck,
  livenessTimeoutMs: number,
  hasEndMarker: flag,
  signal,
  onEvent: callback,
};

/** What `sendFile` reports while it runs. */
export type FileSenderEvent =
  | Exclude<SenderEvent, { type: 'need' | 'check-source' | 'done' }>
  /** The file is open and the hosts are resolved. The sender now starts to send. */
  | { readonly type: 'start'; readonly sender: Sender }
  /** The system refused to send a datagram. Reported once for each kind of error. */
  | { readonly type: 'send-error'; readonly message: string }
  /** The transfer has ended, also by an abort. This is the last event. */
  | { readonly type: 'end'; readonly result: SendFileResult };

/** The result of a P2MP-FTP transfer for all receivers. */
export interface SendFileResult extends SenderResult {
  /** SHA-256 of the file in hexadecimal; undefined if the file was not read to its end. */
  readonly sha256?: string;
  /** The error that stopped the transfer, if any. */
  readonly error?: P2mpError;
}

/**
 * Sends a file by P2MP-FTP. If a receiver fails, the promise still resolves, and the result shows the
 * failure.
 * @throws P2mpError INVALID_ARGUMENT, UNKNOWN_HOST, SOURCE_UNREADABLE or PORT_UNAVAILABLE before any data is
 *   sent; the reason of the signal if it aborts before every receiver has its outcome
 * @example
 * ```ts
 * import { writeFileSync } from 'node:fs';
 * import { FileReceiver, sendFile } from 'p2mp';
 *
 * writeFileSync('a.txt', 'abc');
 * const receiver = await FileReceiver.open({ port: 0, bind: ['127.0.0.1'], path: 'copy.txt' });
 * const result = await sendFile({ servers: receiver.addresses, path: 'a.txt', mssBytes: 1400 });
 * console.log(result.sha256?.slice(0, 8)); // ba7816bf
 * await receiver.close();
 * ```
 */
export async function sendFile(options: SendFileOptions): Promise<SendFileResult> {
  checkOptions(options, sendFileChecks);
  const transfer = new FileTransfer(options);
  return transfer.run();
}

class FileTransfer {
  private source: FileSource | undefined;
  private sender: Sender | undefined;
  private runner: SocketRunner<SenderEvent> | undefined;
  /** Requests of the state machine for blocks that have not been read from the file yet, in file order. */
  private readonly needs: Extract<SenderEvent, { type: 'need' }>[] = [];
  private readonly shell: SenderShell<SenderEvent, SenderResult>;

  constructor(private readonly options: SendFileOptions) {
    this.shell = new SenderShell({
      signal: options.signal,
      interruptedReason: 'interrupted',
      onSendError: (message) => options.onEvent?.({ type: 'send-error', message }),
      takeSendError: (error) => {
        const fatal = fatalSendError(error, options.mssBytes);
        if (fatal !== undefined) this.shell.stop(fatal);
        return fatal !== undefined;
      },
    });
  }

  async run(): Promise<SendFileResult> {
    const { shell } = this;
    try {
      const senderResult = await shell.run(() => this.open());
      const sha256 = this.source?.digest();
      const result = { ...senderResult, ...withoutUndefined({ sha256, error: shell.error }) };
      this.options.onEvent?.({ type: 'end', result });
      shell.throwIfAborted(result.receivers);
      return result;
    } finally {
      await this.source?.close();
    }
  }

  private async open(): Promise<void> {
    const { servers, path, mssBytes, onEvent, ...engine } = this.options;
    checkMss(mssBytes);
    this.source = await FileSource.open(
      path,
      mssBytes,
      () => this.feed(),
      (error) => this.shell.stop(error),
    );
    const receivers = await resolveReceivers(servers);
    const { signal: _, ...senderOptions } = engine;
    const sender = new Sender({
      ...senderOptions,
      receivers,
      mssBytes,
      sizeBytes: this.source.sizeBytes,
    });
    this.sender = sender;
    this.runner = await this.shell.openSockets({
      machine: sender,
      current: () => sender,
      receivers,
      handleEvent: (event) => this.handleEvent(event),
      awaited: () => awaitedPeers(sender),
      handleRefusal: (nowMs, ...refusal) => sender.handleRefusal(nowMs, ...refusal),
    });
    onEvent?.({ type: 'start', sender });
    this.shell.failUnrouted(receivers);
    // A read error can have occurred before the sender was created.
    if (this.shell.error !== undefined) this.shell.stop(this.shell.error);
  }

  private handleEvent(event: SenderEvent): void {
    switch (event.type) {
      case 'need':
        this.needs.push(event);
        this.provide();
        return;
      case 'check-source':
        this.checkSource();
        return;
      case 'done':
        this.shell.finish(event.result);
        return;
    }
    this.options.onEvent?.(event);
  }

  /**
   * Gives the state machine the requested blocks that have been read. When the file source has read more, it
   * calls `feed`.
   */
  private provide(): void {
    const { source, sender, runner } = this;
    if (source === undefined || sender === undefined || runner === undefined) return;
    for (;;) {
      const [need] = this.needs;
      const bytes = need && source.take(need.offsetBytes, need.sizeBytes);
      if (need === undefined || bytes === undefined) return;
      this.needs.shift();
      sender.provideBlock(runner.nowMs, need.blockIndex, bytes);
    }
  }

  private feed(): void {
    if (this.needs.length === 0) return;
    this.provide();
    this.runner?.drain();
  }

  private checkSource(): void {
    const { source, sender, runner } = this;
    source?.verify().then(
      () => {
        if (runner === undefined) return;
        sender?.confirmSource(runner.nowMs);
        runner.drain();
      },
      (error: P2mpError) => this.shell.stop(error),
    );
  }
}

function* awaitedPeers({ peers }: Sender): Iterable<AwaitedPeer> {
  for (const { index, addresses, isPending, acks } of peers) {
    if (isPending) yield { index, addresses: addresses.places, answerCount: acks };
  }
}
