/** A peer of an exchange, over real sockets. */
import { hostname } from 'node:os';
import { setTimeout } from 'node:timers/promises';
import type { Address } from '../../base/address.js';
import { formatAddress } from '../../base/address.js';
import { assert } from '../../base/assert.js';
import { P2mpError } from '../../base/errors.js';
import { withoutUndefined } from '../../base/without-undefined.js';
import type { RemoteObject } from '../../roles/exchange/objects/remote-object.js';
import type { PeerEvent } from '../../roles/exchange/peer-events.js';
import type { PeerMachineOptions } from '../../roles/exchange/peer-machine.js';
import { PeerMachine } from '../../roles/exchange/peer-machine.js';
import type { ObjectHead } from '../../roles/relay/object-cache.js';
import { standardBlockSizeBytes } from '../../wire/sizes.js';
import { affordableFileCount } from '../disk/descriptor-limit.js';
import { IndexFolder } from '../disk/index/index-folder.js';
import { FileBudget } from '../disk/store/file-budget.js';
import { allocationBytesAt } from '../disk/store/free-space.js';
import { TargetFolder } from '../disk/store/target-folder.js';
import { parseInvitation } from '../keys/invitation-code.js';
import { generateKeyPair } from '../keys/key-files.js';
import { createWarmCrypto } from '../keys/node-crypto.js';
import { refusalOf } from '../keys/trust-answer.js';
import { SessionGroups } from '../net/groups/session-groups.js';
import type { FoundReceiver } from '../net/resolve-receivers.js';
import { resolveReceivers } from '../net/resolve-receivers.js';
import type { ServeEvent } from '../serve/serve-options.js';
import { Serving } from '../serve/serving.js';
import { LateHost } from '../serve/serving-port.js';
import { describeObject, describePeer, filesOf, heldBytesOf, stateOf } from './exchange-facts.js';
import { FetchedFiles } from './fetched-files.js';
import type {
  ExchangeObjectStatus,
  JoinExchangeEvent,
  JoinExchangeOptions,
  JoinExchangeResult,
} from './join-options.js';
import type { IndexedOwn } from './own-objects.js';
import { indexOwnObjects } from './own-objects.js';
import { PeerCatalogue } from './peer-catalogue.js';
import { PeerFolders } from './peer-folders.js';
import type { ClockTimes } from './peer-log.js';
import { PeerLog } from './peer-log.js';

type Arrival = Parameters<NonNullable<PeerMachineOptions['handleBlock']>>;
type EndEvent = Extract<PeerEvent, { type: 'end' }>;

const defaultMaxOpenFiles = 256;

/** How long other hosts may take to confirm the end. */
const farewellMs = 2000;
const farewellCheckMs = 5;

/**
 * A running peer of an exchange. `joinExchange` waits for its result.
 * @internal
 */
export class Joining {
  /** The result, also if the exchange is not complete or was left. */
  readonly result: Promise<JoinExchangeResult>;
  private serving: Serving | undefined;
  private machine: PeerMachine | undefined;
  private catalogue: PeerCatalogue | undefined;
  private readonly fetched: FetchedFiles;
  private readonly groups: SessionGroups;
  private readonly socketHost = new LateHost();
  /** Blocks that have arrived and are not reported yet. */
  private readonly arrivals: Arrival[] = [];
  private startMs: number | undefined;
  private folders: PeerFolders | undefined;
  private readonly own: IndexedOwn[] = [];
  private handleEnd: (end: EndEvent) => void = () => undefined;
  private crash: (error: unknown) => void = () => undefined;
  private progress: NodeJS.Timeout | undefined;
  private hasStopped = false;

  private constructor(
    private readonly options: JoinExchangeOptions,
    private readonly log: PeerLog | undefined,
  ) {
    const reportsChunks = options.reportsChunks === true || log !== undefined;
    this.fetched = new FetchedFiles(reportsChunks, (atMs) => this.sinceStart(atMs));
    this.groups = new SessionGroups(
      () => this.socketHost.runner?.sockets,
      (group, reason) => this.emit({ type: 'no-group', group, reason }),
    );
    const ended = new Promise<EndEvent>((resolve, reject) => {
      this.handleEnd = resolve;
      this.crash = reject;
    });
    this.result = this.run(ended);
    // The caller might not look at the result before it is rejected.
    this.result.catch(() => undefined);
  }

  /**
   * @throws P2mpError INVALID_ARGUMENT, UNKNOWN_HOST, SOURCE_UNREADABLE, SOURCE_CHANGED, TARGET_UNWRITABLE,
   *   PORT_UNAVAILABLE; the reason of the signal if it aborts before the peer joins
   */
  static async open(options: JoinExchangeOptions): Promise<Joining> {
    const { coordinator, dir, logFolder, maxOpenFiles = defaultMaxOpenFiles } = options;
    const [found] = await resolveReceivers([coordinator]);
    await (await TargetFolder.open(dir)).checkTakesFiles();
    const log = logFolder === undefined ? undefined : await PeerLog.open(logFolder);
    const joining = new Joining(options, log);
    const crash = (error: unknown) => joining.crash(error);
    const fileBudget = new FileBudget(await affordableFileCount(maxOpenFiles));
    joining.folders = await PeerFolders.open({ dir, fileBudget, crash });
    try {
      joining.own.push(...(await joining.index()));
      await joining.begin(found as FoundReceiver);
    } catch (error) {
      joining.crash(error);
      await joining.result.catch(() => undefined);
      throw error;
    }
    return joining;
  }

  /** The addresses at which other peers ask this one. */
  get addresses(): Address[] {
    return this.serving?.addresses ?? [];
  }

  private async index(): Promise<IndexedOwn[]> {
    const { paths, indexFolder, signal } = this.options;
    const folder = indexFolder === undefined ? undefined : await IndexFolder.open(indexFolder);
    return indexOwnObjects(paths, {
      ...{ folder, signal },
      handleIndexed: ({ head: { name, contentSizeBytes }, listed }) =>
        this.emit({ type: 'indexed', name, contentSizeBytes, files: filesOf(listed) }),
      handleFailure: (head, error) => this.withdraw(head, error),
    });
  }

  private async begin(coordinator: FoundReceiver): Promise<void> {
    const { options, socketHost, own: objects, folders } = this;
    assert(folders !== undefined, 'the folders are open');
    const { dir, name = hostname(), mssBytes, rateBytesPerSec, port = 0 } = options;
    const keyPair = options.keyPair ?? (await generateKeyPair());
    const crypto = await createWarmCrypto(keyPair);
    const invitations = options.invitations?.map(parseInvitation);
    const machine = new PeerMachine({
      ...{ crypto, name, coordinator, objects, host: socketHost.later, ownKey: keyPair.publicKey },
      ...{ blockSizeBytes: standardBlockSizeBytes, storesOf: (owner) => folders.of(owner) },
      platform: process.platform === 'win32' ? 'windows' : 'posix',
      limits: {
        ...{ maxBytes: Infinity, maxEntries: Infinity },
        allocationBytes: await allocationBytesAt(dir),
      },
      handleBlock: (...arrival) => this.noteBlock(arrival),
      ...withoutUndefined({ mssBytes, invitations, rateBytesPerSec }),
    });
    this.machine = machine;
    const { listener, endpoint, host } = machine;
    options.signal?.throwIfAborted();
    this.serving = await Serving.openPort(
      { ...options, port, keyPair, onEvent: (event) => this.handleServeEvent(event) },
      {
        ...{ crypto, machine, listener, endpoint, host, socketHost },
        sending: machine.peer.sending,
        // Several peers may share a host. Polling would take CPU time from the others.
        deadlines: 'coarse',
        answersTogether: true,
        handleMove: (nowMs) => machine.handleMove(nowMs),
        handleOther: (event) => {
          if (event.role === 'peer') this.handlePeerEvent(event.event);
        },
      },
      async (serving) => {
        this.catalogue = new PeerCatalogue(machine.peer, (object, reason) => {
          serving.endObject(object, reason);
          this.emit({ type: 'withdrawn', name: object.name, reason });
        });
        return this.catalogue;
      },
    );
    socketHost.runner?.watchPorts(
      () => machine.awaited(),
      (...refusal) => machine.handleRefusal(this.nowMs, ...refusal),
    );
    const { onEvent, progressIntervalMs = 1000 } = options;
    if (onEvent !== undefined) this.progress = setInterval(() => this.report(), progressIntervalMs);
    options.signal?.addEventListener('abort', this.stop, { once: true });
    socketHost.drain();
    if (options.signal?.aborted) this.stop();
  }

  private async run(ended: Promise<EndEvent>): Promise<JoinExchangeResult> {
    try {
      const end = await ended;
      this.log?.noteEnd(this.clockTimes(), end.elapsedMs, end.reason);
      this.report();
      await this.sayFarewell();
      return this.resultOf(end);
    } finally {
      clearInterval(this.progress);
      this.options.signal?.removeEventListener('abort', this.stop);
      await this.serving?.close('this peer has left');
      await this.folders?.close();
      for (const object of this.own) await object.close();
      await this.log?.close();
    }
  }

  private readonly stop = (): void => {
    this.hasStopped = true;
    this.machine?.peer.leave(this.nowMs, 'this peer was stopped; what has arrived is kept');
    this.socketHost.drain();
  };

  /** Lets the others confirm the end, so that they need not ask for it. Who stops does not wait for those who fetch. */
  private async sayFarewell(): Promise<void> {
    const { machine, serving } = this;
    if (machine === undefined || serving === undefined) return;
    const untilMs = this.nowMs + farewellMs;
    this.socketHost.drain();
    machine.peer.leave(this.nowMs, 'the exchange is over');
    const isBusy = () => !machine.isIdle || (serving.activeCount > 0 && !this.hasStopped);
    while (isBusy() && this.nowMs < untilMs) await setTimeout(farewellCheckMs);
  }

  private get nowMs(): number {
    return this.socketHost.nowMs;
  }

  /** In milliseconds since the start of the exchange. */
  private sinceStart(atMs: number): number {
    return atMs - (this.startMs ?? atMs);
  }

  private emit(event: JoinExchangeEvent): void {
    this.log?.write(this.clockTimes(), event);
    if (event.type !== 'chunk' || this.options.reportsChunks === true)
      this.options.onEvent?.(event);
  }

  /** Reported later, because the machine is in the call that took the block. */
  private noteBlock(arrival: Arrival): void {
    if (this.arrivals.length === 0) setImmediate(() => this.reportBlocks());
    this.arrivals.push(arrival);
  }

  private reportBlocks(): void {
    for (const [nowMs, object, source, block] of this.arrivals.splice(0))
      this.emitAll(this.fetched.takeBlock(nowMs, object, source, block));
  }

  private emitAll(events: Iterable<JoinExchangeEvent>): void {
    for (const event of events) this.emit(event);
  }

  /** Now: by the clock of the coordinator, and since the start. */
  private clockTimes(): ClockTimes {
    const { startMs, machine } = this;
    const nowMs = performance.now();
    const clock = machine?.peer.clock;
    const unixMs =
      clock?.isKnown === true ? nowMs + clock.offsetMs : performance.timeOrigin + nowMs;
    return { unixMs, sinceStartMs: startMs === undefined ? undefined : nowMs - startMs };
  }

  // --- Events

  private handleServeEvent(event: ServeEvent): void {
    if (event.type === 'fault' || event.type === 'send-error') this.emit(event);
  }

  private handlePeerEvent(event: PeerEvent): void {
    switch (event.type) {
      case 'identify':
        this.decide(event).catch((error: unknown) => this.crash(error));
        break;
      case 'join':
        this.groups.join(event.session, event.group);
        break;
      case 'leave':
        this.groups.leave(event.session);
        break;
      case 'welcome':
        this.emit({ type: 'welcome', expectedPeers: event.expectedPeers });
        break;
      case 'peer':
        this.emit({ type: 'peer', ...describePeer(event.peer) });
        break;
      case 'presence': {
        const { name, presence } = event.peer;
        this.emit({ type: 'presence', name, presence });
        break;
      }
      case 'awaited': {
        const peers = event.peers.map(({ name }) => name);
        this.emit({ type: 'awaited', peers, forMs: Math.max(0, event.untilMs - this.nowMs) });
        break;
      }
      case 'start':
        this.startMs = event.atMs;
        this.emit({
          ...{ type: 'start', inMs: event.atMs - this.nowMs, uncertaintyMs: event.uncertaintyMs },
        });
        break;
      case 'end':
        this.handleEnd(event);
        break;
      case 'coordinator-lost':
      case 'fault':
      case 'unreachable':
      case 'port-refused':
        this.emit(event);
        break;
      default:
        this.handleObjectEvent(event);
    }
  }

  private handleObjectEvent(event: Extract<PeerEvent, { readonly object: RemoteObject }>): void {
    const object = describeObject(event.object);
    this.reportBlocks();
    switch (event.type) {
      case 'ready': {
        const { held } = event.object.shared;
        this.emitAll(this.fetched.takeHeld(this.nowMs, event.object, held));
        break;
      }
      case 'joined':
        this.emit({ type: 'source', object, source: event.source });
        break;
      case 'left':
        this.emit({ type: 'left', object, source: event.source, reason: event.reason });
        break;
      case 'segment': {
        const { source, firstByte, sizeBytes } = event;
        const [startMs, endMs] = [this.sinceStart(event.startMs), this.sinceStart(event.endMs)];
        this.emit({ type: 'segment', object, source, firstByte, sizeBytes, startMs, endMs });
        break;
      }
      case 'failed':
        this.emit({ type: 'failed', object, reason: event.reason });
        break;
      case 'stored':
        this.emit({ type: 'stored', object, elapsedMs: event.elapsedMs });
        break;
      default:
        break;
    }
  }

  private async decide({
    ask,
    serverKey,
  }: Extract<PeerEvent, { type: 'identify' }>): Promise<void> {
    const { coordinator, trustCoordinator } = this.options;
    const answer = await trustCoordinator(formatAddress(coordinator), serverKey);
    this.machine?.trust(this.nowMs, ask, refusalOf(answer, 'its key is not trusted here'));
    this.socketHost.drain();
  }

  /** The files of an own object have changed, or cannot be read. */
  private withdraw(head: ObjectHead, error: unknown): void {
    if (!(error instanceof P2mpError)) this.crash(error);
    // Later, because a machine may be in the call that led to the read.
    else setImmediate(() => this.catalogue?.failOwn(head, error.message));
  }

  // --- Progress and result

  private report(): void {
    const { startMs } = this;
    this.emit({
      ...{
        type: 'progress',
        objects: this.statuses(),
        clientCount: this.serving?.activeCount ?? 0,
      },
      elapsedMs: startMs === undefined ? undefined : Math.max(0, this.nowMs - startMs),
    });
  }

  private statuses(): ExchangeObjectStatus[] {
    return [...(this.machine?.peer.objects ?? [])].map((object) => ({
      ...describeObject(object),
      ...{ heldBytes: heldBytesOf(object), state: stateOf(object) },
      sources: this.machine?.peer.sourcesOf(this.nowMs, object) ?? [],
    }));
  }

  private resultOf({ reason, elapsedMs, isRefused }: EndEvent): JoinExchangeResult {
    const objects = this.statuses();
    const isWhole = reason === '' && objects.every(({ state }) => state === 'stored');
    const { datagramsSent = 0 } = this.serving?.totals() ?? {};
    return {
      status: isRefused ? 'refused' : isWhole ? 'complete' : 'incomplete',
      ...(isWhole ? {} : { reason: reason === '' ? 'the exchange is over' : reason }),
      ...{ objects, elapsedMs, datagramsSent },
    };
  }
}
