/** Sends files and folders: connects a session sender to the files on disk and to real sockets. */

import { formatAddress } from '../base/address.js';
import { at } from '../base/assert.js';
import { P2mpError } from '../base/errors.js';
import { callback, checkOptions } from '../base/options/check-options.js';
import { withoutUndefined } from '../base/without-undefined.js';
import type { EndpointEvent } from '../endpoint/endpoint.js';
import { Endpoint } from '../endpoint/endpoint.js';
import type { WithdrawnEntry } from '../object/withdrawn-content.js';
import { describeWithdrawal } from '../object/withdrawn-content.js';
import { SourceDriver } from '../session/drivers/source-driver.js';
import type { SessionSender } from '../session/sender.js';
import type {
  SessionReceiverOutcome,
  SessionSenderEvent,
  SessionSenderResult,
} from '../session/sender-events.js';
import { isEqualBytes } from '../wire/byte-codec.js';
import { DiskContent } from './disk/source/disk-content.js';
import type { ObjectSource } from './disk/source/object-source.js';
import { refusalOf } from './keys/trust-answer.js';
import { NarrowPaths } from './net/narrow-paths.js';
import { hostsOf } from './net/paths/local-paths.js';
import type { AwaitedPeer } from './net/port-watch.js';
import type { FoundReceiver } from './net/resolve-receivers.js';
import type { SocketRunner } from './net/socket-runner.js';
import { prepareSend } from './prepare-send.js';
import type { PlanOptions, SendOptions, SendResult } from './send-options.js';
import { planChecks, sendChecks } from './send-options.js';
import { SenderShell } from './sender-shell.js';

/**
 * Sends files and folders to every receiver. If a receiver fails, the promise still resolves, and the result
 * shows the failure.
 * @throws P2mpError INVALID_ARGUMENT, UNKNOWN_HOST, SOURCE_UNREADABLE or PORT_UNAVAILABLE before any data is
 *   sent; the reason of the signal if it aborts before every receiver has its outcome
 * @example
 * ```ts
 * import { writeFileSync } from 'node:fs';
 * import { generateKeyPair, receive, send } from 'p2mp';
 *
 * const keyPair = await generateKeyPair();
 * const options = { dir: 'received', port: 0, bind: ['127.0.0.1'], keyPair };
 * const receiving = await receive({ ...options, trustSender: () => true });
 * writeFileSync('a.txt', 'abc');
 * const { receivers } = await send({
 *   paths: ['a.txt'],
 *   receivers: receiving.addresses,
 *   trustReceiver: () => true,
 * });
 * console.log(receivers[0]?.status); // complete
 * await receiving.close('done');
 * ```
 */
export async function send(options: SendOptions): Promise<SendResult> {
  checkOptions(options, sendChecks);
  return new Sending(options).run();
}

/**
 * Determines what `send` would send and to which addresses, without sending a datagram.
 * @throws every P2mpError that `send` can throw before its first datagram
 * @example
 * ```ts
 * import { writeFileSync } from 'node:fs';
 * import { planSend } from 'p2mp';
 *
 * writeFileSync('a.txt', 'abc');
 * const receivers = [{ host: '127.0.0.1', port: 7735 }];
 * const plan = await planSend({ paths: 'a.txt', receivers });
 * console.log(plan.entryNames.join(), plan.contentSizeBytes); // a.txt 3
 * ```
 */
export async function planSend(options: PlanOptions): Promise<{
  readonly entryNames: readonly string[];
  readonly contentSizeBytes: number;
  readonly skipped: ObjectSource['skipped'];
  readonly receivers: readonly FoundReceiver[];
  readonly group?: string;
  /** Bytes per segment, as far as this can be known without sending a datagram. */
  readonly mssBytes: number;
}> {
  // Options of `send` can be planned as they are.
  checkOptions<PlanOptions & Partial<SendOptions>>(options, {
    ...planChecks,
    trustReceiver: callback,
  });
  const { source, receivers, group, sender } = await prepareSend(options);
  try {
    return {
      entryNames: source.manifest.entries.map(({ name }) => name),
      contentSizeBytes: source.manifest.contentSizeBytes,
      skipped: source.skipped,
      receivers,
      ...withoutUndefined({ group: group?.host }),
      mssBytes: sender.geometry.mssBytes,
    };
  } finally {
    await source.close();
  }
}

class Sending {
  private source: ObjectSource | undefined;
  /** The sender of the current session. */
  private sender: SessionSender | undefined;
  private sourceDriver: SourceDriver | undefined;
  private narrowPaths: NarrowPaths | undefined;
  private runner: SocketRunner<EndpointEvent<never>> | undefined;
  /** Trust decisions, by receiver number. They stay valid when the session restarts with smaller segments. */
  private readonly decisions = new Map<number, Decision>();
  private label = '';
  private progressTimer: NodeJS.Timeout | undefined;
  private readonly shell: SenderShell<EndpointEvent<never>, SessionSenderResult>;

  constructor(private readonly options: SendOptions) {
    this.shell = new SenderShell({
      signal: options.signal,
      interruptedReason: 'the sender was interrupted',
      onSendError: (message) => options.onEvent?.({ type: 'send-error', message }),
      // Handles EMSGSIZE: segments are too large for the path to a receiver.
      takeSendError: (error) =>
        error.code === 'EMSGSIZE' && this.narrowPaths?.handleRefusal(error) === true,
    });
  }

  async run(): Promise<SendResult> {
    const { shell } = this;
    try {
      const senderResult = await shell.run(() => this.open());
      const result = {
        ...senderResult,
        label: this.label,
        entryCount: this.source?.manifest.entries.length ?? 0,
        mssBytes: this.sender?.geometry.mssBytes ?? 0,
        skipped: [...(this.source?.skipped ?? []), ...(this.source?.lost.skipped ?? [])],
        ...withoutUndefined({ error: shell.error }),
      };
      this.options.onEvent?.({ type: 'end', result });
      shell.throwIfAborted(result.receivers);
      return result;
    } finally {
      clearInterval(this.progressTimer);
      await this.source?.close();
    }
  }

  private async open(): Promise<void> {
    const { options, shell } = this;
    const prepared = await prepareSend(options);
    const { source, receivers, paths, findPaths, group, groupFrom, fit } = prepared;
    this.source = source;
    this.label = prepared.label;
    const { existing = 'quick', deletion } = options;
    if (deletion !== 'list' && ['update', 'overwrite'].includes(existing)) source.prefetch();
    let { sender } = prepared;
    this.sender = sender;
    const endpoint = new Endpoint({ senders: [sender] });
    const runner = await shell.openSockets({
      machine: endpoint,
      current: () => sender,
      ...{ receivers, paths, findPaths, deadlines: 'exact' },
      handlePaths: (nowMs, hosts) => sender.setLocalHosts(nowMs, hosts),
      handleEvent: (event) => {
        if (event.role !== 'sender') return;
        this.sourceDriver?.handleEvent(event.sender, event.event);
        this.handleEvent(event.event);
      },
      awaited: () => awaitedPeers(sender),
      handleRefusal: (_nowMs, ...refusal) => sender.handleRefusal(...refusal),
    });
    this.runner = runner;
    this.sourceDriver = new SourceDriver(this.contentOf(source), runner);
    this.narrowPaths = new NarrowPaths({
      sender: () => sender,
      fit,
      isAuto: (options.mssBytes ?? 'auto') === 'auto',
      restart: (mssBytes) => {
        const next = prepared.createSender(mssBytes, hostsOf(runner.pathAddresses));
        next.withdraw(runner.nowMs, source.lost.entries);
        endpoint.replaceSender(sender, next);
        sender = next;
        this.sender = next;
      },
      nowMs: () => runner.nowMs,
      drain: () => runner.drain(),
      handleResize: (mssBytes, reason) => options.onEvent?.({ type: 'resize', mssBytes, reason }),
      handleHopeless: (error) => {
        shell.error ??= error;
      },
    });
    if (groupFrom !== undefined) {
      runner.sockets?.sendGroupsBy(groupFrom, options.multicastTtl ?? 1);
    }
    this.reportLeftOut(source);
    options.onEvent?.({
      type: 'start',
      label: this.label,
      contentSizeBytes: source.manifest.contentSizeBytes,
      entryCount: source.manifest.entries.length,
      ...withoutUndefined({ group: group?.host }),
      mssBytes: sender.geometry.mssBytes,
      offload: runner.offload,
    });
    shell.failUnrouted(receivers);
    this.startProgress();
  }

  /** Reports patterns that excluded nothing, and entries that are not sent. */
  private reportLeftOut({ unusedPatterns, skipped }: ObjectSource): void {
    const { onEvent } = this.options;
    for (const pattern of unusedPatterns) onEvent?.({ type: 'unused-pattern', pattern });
    for (const entry of skipped) onEvent?.({ type: 'skipped', ...entry });
  }

  private contentOf(source: ObjectSource): DiskContent {
    source.lost.withdraw = (entries) => this.withdraw(entries);
    return new DiskContent(source, (error) => this.endByError(error));
  }

  /** @returns whether the session can continue without these entries */
  private withdraw(entries: readonly WithdrawnEntry[]): boolean {
    const { sender, runner, source, options } = this;
    if (sender === undefined || runner === undefined || source === undefined) return false;
    if (!sender.withdraw(runner.nowMs, entries)) return false;
    runner.drain();
    for (const { index, reason } of entries) {
      const { name } = at(source.manifest.entries, index);
      options.onEvent?.({ type: 'skipped', name, reason: describeWithdrawal(reason) });
    }
    return true;
  }

  private startProgress(): void {
    const { onEvent, progressIntervalMs = 1000 } = this.options;
    if (onEvent === undefined) return;
    this.progressTimer = setInterval(() => {
      const { sender, runner } = this;
      if (sender === undefined || runner === undefined) return;
      onEvent({ type: 'progress', receivers: sender.statuses(runner.nowMs) });
    }, progressIntervalMs);
  }

  private handleEvent(event: SessionSenderEvent): void {
    switch (event.type) {
      case 'need':
      case 'check-source':
        return;
      case 'identify':
        this.identify(event.index, event.receiverKey);
        return;
      case 'identify-behind':
        this.identifyBehind(event);
        return;
      case 'behind':
        // Only relays get them.
        return;
      case 'source-changed':
        this.shell.stop(
          new P2mpError(
            'SOURCE_CHANGED',
            `${this.label}: changed while it was being sent; send again when no program writes to it`,
          ),
        );
        return;
      case 'narrow-path':
        this.narrowPaths?.handleSuspicion(event.index);
        return;
      case 'receiver':
        if (this.options.failsFast === true) this.failFast(event.outcome);
        break;
      case 'done':
        this.shell.finish(event.result);
        return;
    }
    this.options.onEvent?.(event);
  }

  private identify(index: number, receiverKey: Uint8Array): void {
    const { host, port } = at(this.options.receivers, index);
    const name = formatAddress({ host, port });
    let decision = this.decisions.get(index);
    if (decision === undefined || !isEqualBytes(decision.receiverKey, receiverKey)) {
      const decide = async () =>
        refusalOf(
          await this.options.trustReceiver(name, receiverKey),
          'its key is not trusted here',
        );
      decision = { receiverKey, refusal: decide() };
      this.decisions.set(index, decision);
    }
    this.feed(decision.refusal, (sender, nowMs, refusal) => sender.trust(nowMs, index, refusal));
  }

  /** Decides about the key of a receiver behind a relay, under a name that contains those of the relays. */
  private identifyBehind({
    number,
    index,
    receiver,
    via,
    receiverKey,
  }: Extract<SessionSenderEvent, { type: 'identify-behind' }>): void {
    const { host, port } = at(this.options.receivers, index);
    const name = [formatAddress({ host, port }), ...via.slice(1), receiver].join('/');
    const decide = async () =>
      refusalOf(await this.options.trustReceiver(name, receiverKey), 'its key is not trusted here');
    this.feed(decide(), (sender, nowMs, refusal) => sender.trustBehind(nowMs, number, refusal));
  }

  /** Ends the session for all receivers if this one has failed. */
  private failFast({ receiver, status }: SessionReceiverOutcome): void {
    const { sender, runner } = this;
    if (status !== 'failed' && status !== 'refused') return;
    // Aborts later, because the sender is still in the call that emitted this event.
    setImmediate(() => {
      if (sender === undefined || runner === undefined || sender.isDone) return;
      sender.abort(runner.nowMs, `stopped because ${receiver} ${status} (--fail-fast)`);
      runner.drain();
    });
  }

  /**
   * Passes the value of the promise to the sender that asked for it. If the promise is rejected, the session
   * ends.
   */
  private feed<T>(
    promise: Promise<T> | undefined,
    take: (sender: SessionSender, nowMs: number, value: T) => void,
  ): void {
    const asking = this.sender;
    promise
      ?.then((value) => {
        const { sender, runner } = this;
        if (sender === undefined || runner === undefined || sender.isDone) return;
        // Drop the value if the session has restarted in the meantime.
        if (sender !== asking) return;
        take(sender, runner.nowMs, value);
        runner.drain();
      })
      .catch((error: unknown) => this.endByError(error));
  }

  private endByError(error: unknown): void {
    if (error instanceof P2mpError) this.shell.stop(error);
    else this.shell.crash(error);
  }
}

function* awaitedPeers({ peers }: SessionSender): Iterable<AwaitedPeer> {
  for (const { index, addresses, isAwaited, answerCount } of peers) {
    if (isAwaited) yield { index, addresses: addresses.places, answerCount };
  }
}

/** A trust decision on a receiver. The decision can still be pending. */
interface Decision {
  readonly receiverKey: Uint8Array;
  /** Resolves to the reason for a refusal; to undefined if the receiver is trusted. */
  readonly refusal: Promise<string | undefined>;
}
