/**
 * The sources of a fetch: asks each of them for the object, asks again those that were lost, and turns what asker and
 * receiver report into actions about sources.
 */
import type { TimeMs } from '../../base/machine.js';
import { Queue } from '../../base/queue.js';
import type { RefusedEvent } from '../../base/refusal.js';
import { withoutUndefined } from '../../base/without-undefined.js';
import { Endpoint } from '../../endpoint/endpoint.js';
import type { OtherAddressEvent } from '../../path/candidate-addresses.js';
import type { SessionCrypto } from '../../security/crypto.js';
import { Asker } from '../../session/asks/asker.js';
import type { AskerEvent } from '../../session/asks/asker-events.js';
import type { Supplying } from '../../session/incoming/stages/supplying.js';
import { SessionReceiver } from '../../session/receiver.js';
import type { SessionReceiverEvent } from '../../session/receiver-events.js';
import type { SessionReceiverOptions } from '../../session/receiver-options.js';
import type { ReceiverSpec } from '../../transfer/receiver-spec.js';
import type { AskedObject } from '../../wire/asks.js';
import { toHex } from '../../wire/byte-codec.js';
import type { FaultEvent } from '../../wire/faults.js';
import type { ExistingFiles } from '../../wire/messages.js';
import type { Nodes } from '../../wire/tree-nodes.js';
import type { ContentGroup } from './fetch-result.js';
import { Source } from './source.js';

export interface SourcesOptions
  extends Pick<SessionReceiverOptions, 'crypto' | 'name' | 'platform' | 'bufferBytes'> {
  readonly crypto: SessionCrypto;
  readonly blockSizeBytes: number;
  readonly sources: readonly ReceiverSpec[];
  readonly what: Partial<AskedObject>;
  readonly existing?: ExistingFiles;
  readonly mssBytes?: number;
}

/** What has happened to a source. */
export type SourceAction =
  | { readonly type: 'offer'; readonly source: Source }
  /** It has not been heard of for a while, but may come back. */
  | { readonly type: 'silent'; readonly source: Source }
  /** Nothing can be asked of it any more. It is asked again later if `isRetried`. */
  | {
      readonly type: 'lost';
      readonly source: Source;
      readonly reason: string;
      readonly isRetried: boolean;
    }
  | {
      readonly type: 'manifest-part';
      readonly source: Source;
      readonly offsetBytes: number;
      readonly bytes: Uint8Array;
    }
  | { readonly type: 'nodes'; readonly source: Source; readonly nodes: Nodes }
  | {
      readonly type: 'block';
      readonly source: Source;
      readonly session: number;
      readonly block: number;
      readonly bytes: Uint8Array;
    }
  /** The source has shown its key. */
  | {
      readonly type: 'identify';
      readonly source: Source;
      readonly ask: number;
      readonly serverKey: Uint8Array;
    }
  | OtherAddressEvent
  | RefusedEvent
  | FaultEvent;

export class Sources {
  readonly endpoint: Endpoint;
  private readonly receiver: SessionReceiver;
  private readonly asker: Asker;
  private readonly all: Source[] = [];
  private readonly actions = new Queue<SourceAction>();
  /** The root to ask for; undefined until the content is chosen. */
  private chosenRoot: Uint8Array | undefined;

  constructor(private readonly options: SourcesOptions) {
    const { crypto, name, platform, blockSizeBytes, mssBytes, bufferBytes } = options;
    this.receiver = new SessionReceiver({
      ...{ crypto, name, platform, blockSizeBytes },
      refuseSender: () => 'only fetches',
      ...withoutUndefined({ bufferBytes }),
    });
    const { receiver } = this;
    this.asker = new Asker({ crypto, receiver, ...withoutUndefined({ mssBytes }) });
    this.endpoint = new Endpoint({ receiver, asker: this.asker });
    for (const spec of options.sources) this.all.push(new Source(spec));
  }

  [Symbol.iterator](): IterableIterator<Source> {
    return this.all[Symbol.iterator]();
  }

  /** The sources that offer the object and may be used, in the order in which they were named. */
  get usable(): Source[] {
    return this.all.filter(({ isUsable }) => isUsable);
  }

  get isAnyAwaited(): boolean {
    return this.all.some(({ isAwaited }) => isAwaited);
  }

  /** Whether no source can be used, now or later. */
  get areExhausted(): boolean {
    return this.all.every(({ isExcluded }) => isExcluded);
  }

  /** Whether all asks and their sessions are over. */
  get isIdle(): boolean {
    return this.asker.askCount === 0 && this.receiver.isIdle;
  }

  /** The usable sources by the content that they offer. */
  get groups(): ContentGroup[] {
    const groups = new Map<string, { contentSizeBytes: number; sources: string[] }>();
    for (const { name, offer } of this.usable) {
      if (offer?.contentRoot === undefined) continue;
      const { contentSizeBytes } = offer;
      const root = toHex(offer.contentRoot);
      const group = groups.get(root) ?? { contentSizeBytes, sources: [] };
      group.sources.push(name);
      groups.set(root, group);
    }
    return [...groups].map(([contentRoot, group]) => ({ contentRoot, ...group }));
  }

  /** What can be wanted of a source; undefined if there is no session with it. */
  supplierOf({ session }: Source): Supplying | undefined {
    return session === undefined ? undefined : this.receiver.find(session)?.source;
  }

  rttMsOf(nowMs: TimeMs, { session }: Source): number | undefined {
    return session === undefined ? undefined : this.receiver.find(session)?.status(nowMs)?.rttMs;
  }

  handleWritten(nowMs: TimeMs, session: number, sizeBytes: number): void {
    this.receiver.handleWritten(nowMs, session, sizeBytes);
  }

  trust(nowMs: TimeMs, ask: number, refusal: string | undefined): void {
    this.asker.trust(nowMs, ask, refusal);
  }

  // --- Asking

  start(nowMs: TimeMs): void {
    for (const source of this.all) this.ask(nowMs, source);
  }

  join(nowMs: TimeMs, spec: ReceiverSpec): void {
    const source = new Source(spec);
    this.all.push(source);
    this.ask(nowMs, source);
  }

  /** From now on, only this content is asked for: a source may hold another version under the name later. */
  choose(contentRoot: Uint8Array): void {
    this.chosenRoot = contentRoot;
  }

  private ask(nowMs: TimeMs, source: Source): void {
    const { what, existing } = this.options;
    source.retryAtMs = Infinity;
    const root = this.chosenRoot ?? what.root;
    source.ask = this.asker.ask(nowMs, {
      ...{ server: source.spec, what: { ...what, ...withoutUndefined({ root }) }, isSource: true },
      ...withoutUndefined({ existing }),
    });
  }

  // --- Time

  get dueAtMs(): TimeMs {
    let atMs = Infinity;
    for (const { retryAtMs, leaves } of this.all)
      atMs = Math.min(atMs, retryAtMs, leaves?.dueAtMs ?? Infinity);
    return atMs;
  }

  handleTimeout(nowMs: TimeMs): void {
    if ((this.endpoint.pollTimeout() ?? Infinity) <= nowMs) this.endpoint.handleTimeout(nowMs);
    for (const source of this.all) {
      if (nowMs >= source.retryAtMs) this.ask(nowMs, source);
      for (const request of source.leaves?.repetitions(nowMs) ?? [])
        this.supplierOf(source)?.request(request);
      this.requestLeaves(nowMs, source);
    }
  }

  /** Sends the requests for leaf digests that are due. */
  requestLeaves(nowMs: TimeMs, source: Source): void {
    for (const request of source.leaves?.requests(nowMs) ?? [])
      this.supplierOf(source)?.request(request);
  }

  // --- Ends

  /** Uses a source no more. */
  exclude(nowMs: TimeMs, source: Source, reason: string): void {
    const { session, ask } = source;
    source.lose(nowMs, false);
    if (session !== undefined) this.receiver.find(session)?.conclude(nowMs, false, reason);
    else if (ask !== undefined) this.asker.cancel(nowMs, ask, reason);
  }

  /** Ends all sessions and asks. */
  end(nowMs: TimeMs, isComplete: boolean, reason: string): void {
    for (const source of this.all) {
      const { session, ask } = source;
      source.lose(nowMs, false);
      if (session !== undefined) this.receiver.find(session)?.conclude(nowMs, isComplete, reason);
      else if (ask !== undefined) this.asker.cancel(nowMs, ask, reason);
    }
  }

  // --- Actions

  /** The next action, with which the fetch must deal before its next input. */
  pollAction(nowMs: TimeMs): SourceAction | undefined {
    for (;;) {
      const action = this.actions.shift();
      if (action !== undefined) return action;
      const event = this.endpoint.pollEvent();
      if (event === undefined) return undefined;
      if (event.role === 'asker') this.handleAskerEvent(nowMs, event.event);
      else if (event.role === 'receiver') this.handleReceiverEvent(nowMs, event.event);
    }
  }

  private handleAskerEvent(nowMs: TimeMs, event: AskerEvent): void {
    if (!('ask' in event)) {
      this.actions.push(event);
      return;
    }
    const source = this.all.find(({ ask }) => ask === event.ask);
    if (source === undefined) return;
    switch (event.type) {
      case 'identify': {
        const { ask, serverKey } = event;
        this.actions.push({ type: 'identify', source, ask, serverKey });
        break;
      }
      case 'answered':
        source.session = event.session;
        break;
      case 'silent':
        this.actions.push({ type: 'silent', source });
        break;
      case 'refused':
        this.lose(nowMs, source, event.reason, false);
        break;
      case 'failed':
        this.lose(nowMs, source, event.reason, true);
        break;
      case 'ended':
        this.lose(nowMs, source, 'the session has ended', true);
        break;
      default:
        break;
    }
  }

  private handleReceiverEvent(nowMs: TimeMs, event: SessionReceiverEvent): void {
    if (event.type === 'fault') {
      this.actions.push(event);
      return;
    }
    const session = sessionOf(event);
    const source = this.all.find((each) => session !== undefined && each.session === session);
    if (source === undefined) {
      // Of a source that is not used any more.
      if (event.type === 'supplied')
        this.receiver.handleWritten(nowMs, event.session, event.bytes.length);
      return;
    }
    switch (event.type) {
      case 'source':
        source.offer = event.offer;
        this.actions.push({ type: 'offer', source });
        break;
      case 'manifest-part':
      case 'nodes':
        this.actions.push({ ...event, source });
        break;
      case 'supplied':
        this.actions.push({ ...event, type: 'block', source });
        break;
      case 'end':
        this.lose(nowMs, source, event.result.reason ?? 'the source has ended the session', true);
        break;
      default:
        break;
    }
  }

  private lose(nowMs: TimeMs, source: Source, reason: string, isRetried: boolean): void {
    source.lose(nowMs, isRetried);
    this.actions.push({ type: 'lost', source, reason, isRetried });
  }
}

function sessionOf(event: SessionReceiverEvent): number | undefined {
  if ('session' in event) return event.session;
  if ('info' in event) return event.info.session;
  return event.type === 'end' ? event.result.session : undefined;
}
