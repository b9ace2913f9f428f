/** Takes sessions over real sockets, many at once: the host of sessions, a part store each, an endpoint. */

import { hostname } from 'node:os';
import { setImmediate, setTimeout } from 'node:timers/promises';
import type { Address } from '../base/address.js';
import { P2mpError } from '../base/errors.js';
import type { Machine } from '../base/machine.js';
import type { ReceiverEvent } from '../classic/receiver-events.js';
import type { DialectEvent } from '../endpoint/dialect-switch.js';
import { DialectSwitch } from '../endpoint/dialect-switch.js';
import { SessionReceiver } from '../session/receiver.js';
import type {
  IncomingInfo,
  IncomingResult,
  IncomingStatus,
  SessionReceiverEvent,
  SessionReceiverResult,
} from '../session/receiver-events.js';
import type { ExistingFiles } from '../wire/messages.js';
import { affordableFileCount } from './disk/descriptor-limit.js';
import type { PartStore } from './disk/parts/part-store.js';
import { removeStaleParts } from './disk/parts/part-store.js';
import type { PrepareEvent } from './disk/parts/session-parts.js';
import { SessionParts } from './disk/parts/session-parts.js';
import { FileBudget } from './disk/store/file-budget.js';
import { allocationBytesAt } from './disk/store/free-space.js';
import { PlacedIndex } from './disk/store/placed-files.js';
import { TargetFolder } from './disk/store/target-folder.js';
import type { ReceiveFileOptions } from './file-receiver.js';
import { FileReceiver } from './file-receiver.js';
import type { KeyPair } from './keys/key-files.js';
import { createNodeCrypto } from './keys/node-crypto.js';
import { JoinedGroups } from './net/joined-groups.js';
import type { Offload } from './net/offload/offload-socket.js';
import { noOffload } from './net/offload/offload-socket.js';
import { SendErrorLog } from './net/send-error-log.js';
import { SocketRunner } from './net/socket-runner.js';

/** Options of `receive`: where to listen, whom to trust and where to write. */
export interface ReceiveOptions {
  /** Everything goes below it; made if missing. */
  readonly dir: string;
  /** 0 for any free port. */
  readonly port: number;
  /** Addresses to listen on; all of the host's if left out. */
  readonly bind?: readonly string[];
  /** What this receiver calls itself; the host's name if left out. */
  readonly name?: string;
  /** This receiver's key, by which senders know it. */
  readonly keyPair: KeyPair;
  /**
   * Required: decides on a sender by its key. `() => undefined` lets anybody in.
   * @returns why it is not trusted; undefined where it is
   */
  readonly refuseSender: (senderKey: Uint8Array) => string | undefined;
  /** What becomes of files that are there already; what the sender asks for if left out. */
  readonly existing?: ExistingFiles;
  /** Whether files and folders that exist get the sender's modes. Else they keep theirs. */
  readonly updatesModes?: boolean;
  /** Sessions at once; 256 if left out. */
  readonly maxSessions?: number;
  /** What one session may take on the disk, each file, folder and link in whole blocks. */
  readonly maxObjectBytes?: number;
  /** Files, folders and links of one session; 1,000,000 if left out. */
  readonly maxEntries?: number;
  /** Files open at once, of all sessions together; 256 if left out, fewer where the process may open fewer. */
  readonly maxOpenFiles?: number;
  /** Whether everything is read back from the disk before it gets its names; small and slow objects are anyway. */
  readonly verifiesDisk?: boolean;
  /**
   * Whether whoever offers an object continues what another sender of it has begun: for a receiver that lets anybody
   * in, where a sender may have a new key each time. Else a part belongs to its sender's key.
   */
  readonly sharesParts?: boolean;
  /**
   * Whether what is here is compared with what a sender offers, whoever put it here. A sender can then find out
   * what is in files that it never had. Else only what its key has placed is compared.
   */
  readonly comparesAll?: boolean;
  /** File that notes who has placed what; if left out, it is known for as long as this receiver runs. */
  readonly placedPath?: string;
  /** Parts that nobody has come back for in this time are removed, at the start and daily; 14 days. */
  readonly keepPartsMs?: number;
  /** Silence after which a sender is given up on. */
  readonly idleMs?: number;
  /** The same port takes a file by P2MP-FTP into this path, in turn from one sender after another. */
  readonly classic?: Omit<ReceiveFileOptions, 'port' | 'bind'>;
  /** Stops it, as `close` does. */
  readonly signal?: AbortSignal;
  /** Called with everything that happens, as it happens. */
  readonly onEvent?: (event: ReceiveEvent) => void;
}

/** What a session receiver reports while it runs. */
export type ReceiveEvent =
  | Extract<SessionReceiverEvent, { type: 'offer' | 'turned-away' | 'fault' | 'internal-error' }>
  /** A block that was here is not the object's; it comes again, alone. */
  | {
      readonly type: 'bad-block';
      readonly info: IncomingInfo;
      /** Counted within the content. */
      readonly block: number;
      /** The files that it is a part of. */
      readonly names: readonly string[];
    }
  /** A session's outcome. */
  | { readonly type: 'end'; readonly result: IncomingResult }
  /** A multicast group that cannot be joined, for the first time for each reason: unicast takes its place. */
  | { readonly type: 'no-group'; readonly group: string; readonly reason: string }
  /** The first datagram that the system refused, of each kind of error. */
  | { readonly type: 'send-error'; readonly message: string };

type ForgetEvent = Extract<SessionReceiverEvent, { type: 'forget' }>;
type FinishEvent = Extract<SessionReceiverEvent, { type: 'finish' }>;

type PortEvent = DialectEvent<ReceiverEvent, SessionReceiverEvent>;

/** Where the classic dialect is not asked for, its datagrams are left alone. */
const deaf: Machine<ReceiverEvent> = {
  handleDatagram: () => undefined,
  handleTimeout: () => undefined,
  pollTransmit: () => undefined,
  pollTimeout: () => undefined,
  pollEvent: () => undefined,
};

const dayMs = 24 * 3600 * 1000;
const defaultKeepPartsMs = 14 * dayMs;

/** How often a receiver that is to end looks whether it may. */
const idleCheckMs = 20;

const defaultMaxOpenFiles = 256;

/**
 * Starts to take sessions, until the signal comes or `close` is called.
 * @throws P2mpError INVALID_ARGUMENT, TARGET_UNWRITABLE, PORT_UNAVAILABLE
 */
export async function receive(options: ReceiveOptions): Promise<Receiving> {
  const receiving = await Receiving.open(options);
  const { signal } = options;
  const stop = () => void receiving.close('this receiver was stopped');
  signal?.addEventListener('abort', stop, { once: true });
  if (signal?.aborted) stop();
  return receiving;
}

interface Sums {
  receivedBytes: number;
  datagramsReceived: number;
  duplicates: number;
  badBlocks: number;
}

/** Counts of a session receiver since it started. */
export interface ReceivingTotals extends Readonly<Sums>, SessionReceiverResult {}

function addTo(sums: Sums, status: IncomingStatus): void {
  sums.receivedBytes += status.receivedBytes;
  sums.datagramsReceived += status.datagramsReceived;
  sums.duplicates += status.duplicates;
  sums.badBlocks += status.badBlocks;
}

/** A running session receiver. */
export class Receiving {
  /** Resolves once it is closed and its disk work is done. */
  readonly closed: Promise<void>;
  private runner: SocketRunner<PortEvent> | undefined;
  private classic: FileReceiver | undefined;
  private handleClassicEvent: (event: ReceiverEvent) => void = () => undefined;
  private readonly parts: SessionParts;
  private readonly groups = new JoinedGroups();
  /** Told already: each session has a group of its own. */
  private readonly groupFailures = new Set<string>();
  private readonly sendErrors = new SendErrorLog((message) =>
    this.options.onEvent?.({ type: 'send-error', message }),
  );
  private readonly ended: Sums = {
    receivedBytes: 0,
    datagramsReceived: 0,
    duplicates: 0,
    badBlocks: 0,
  };
  private resolveClosed: () => void = () => undefined;
  private isClosing = false;
  private expiryTimer: NodeJS.Timeout | undefined;

  private constructor(
    private readonly options: ReceiveOptions,
    private readonly machine: SessionReceiver,
    fileBudget: FileBudget,
    private readonly placed: PlacedIndex,
  ) {
    const { dir, existing, verifiesDisk = false, sharesParts = false } = options;
    this.parts = new SessionParts({
      ...{ dir, fileBudget, verifiesDisk, sharesParts },
      ...{ placed, comparesAll: options.comparesAll ?? false },
      updatesModes: options.updatesModes ?? false,
      ...(existing === undefined ? {} : { existing }),
      handleFailure: (session, error) =>
        this.endByError(session, error, (nowMs, message) =>
          this.machine.find(session)?.fail(nowMs, message),
        ),
    });
    this.closed = new Promise((resolve) => {
      this.resolveClosed = resolve;
    });
  }

  /** @throws P2mpError INVALID_ARGUMENT, TARGET_UNWRITABLE, PORT_UNAVAILABLE */
  static async open(options: ReceiveOptions): Promise<Receiving> {
    const { dir, port, bind, keyPair, refuseSender, name = hostname() } = options;
    const { maxSessions, maxObjectBytes, maxEntries, idleMs } = options;
    await (await TargetFolder.open(dir)).checkTakesFiles();
    await removeStaleParts(dir, options.keepPartsMs ?? defaultKeepPartsMs);
    const machine = new SessionReceiver({
      crypto: await createNodeCrypto(keyPair),
      name,
      platform: process.platform === 'win32' ? 'windows' : 'posix',
      refuseSender,
      ...(maxSessions === undefined ? {} : { maxSessions }),
      ...(maxObjectBytes === undefined ? {} : { maxObjectBytes }),
      ...(maxEntries === undefined ? {} : { maxEntries }),
      allocationBytes: await allocationBytesAt(dir),
      ...(idleMs === undefined ? {} : { idleMs }),
    });
    const wantedCount = options.maxOpenFiles ?? defaultMaxOpenFiles;
    const fileBudget = new FileBudget(await affordableFileCount(wantedCount));
    const placed = await PlacedIndex.open(options.placedPath);
    const receiving = new Receiving(options, machine, fileBudget, placed);
    const classic = await receiving.openClassic();
    receiving.runner = await SocketRunner.open<PortEvent>({
      machine: new DialectSwitch(classic, machine),
      ...(bind === undefined ? {} : { bind }),
      port,
      // Reports may be a little late; polling would burn what senders on the same host need.
      deadlines: 'coarse',
      // The classic dialect cannot tell apart what came together.
      receivesBatches: options.classic === undefined,
      handleEvent: ({ dialect, event }) => {
        if (dialect === 'session') receiving.handleEvent(event);
        else receiving.handleClassicEvent(event);
      },
      handleSendError: (error) => receiving.sendErrors.add(error),
    });
    receiving.expireParts();
    return receiving;
  }

  /** Where it listens. */
  get addresses(): Address[] {
    return this.runner?.addresses ?? [];
  }

  /** What the system does for batches of datagrams. */
  get offload(): Offload {
    return this.runner?.offload ?? noOffload;
  }

  /** The folder that everything goes into, as it was named. */
  get dir(): string {
    return this.options.dir;
  }

  /** Sessions under way, each with its figures. */
  statuses(): IncomingStatus[] {
    return this.runner === undefined ? [] : this.machine.statuses(this.runner.nowMs);
  }

  /** Counts since it was opened, of sessions that are over and of those under way. */
  totals(): ReceivingTotals {
    const sums = { ...this.ended };
    for (const status of this.statuses()) addTo(sums, status);
    return { ...sums, ...this.machine.result() };
  }

  /** Memory that blocks take that are not complete or not written yet. */
  get bufferedBytes(): number {
    return this.machine.bufferedBytes;
  }

  /** Sessions and transfers by P2MP-FTP under way. */
  get activeCount(): number {
    return this.machine.activeCount + (this.classic?.isReceiving === true ? 1 : 0);
  }

  /** Why a further session would not be taken now; undefined where it would. */
  get refusal(): string | undefined {
    return this.isClosing ? 'this receiver ends' : this.machine.refusal;
  }

  /**
   * Takes no further session; resolves once all that is under way has come to its end. What has not by then
   * is put aside without a word, so that its sender calls again and goes on with what takes this one's place.
   * @param timeoutMs how long sessions are waited for
   * @returns whether all of them came to their end
   */
  async drain(timeoutMs = Infinity): Promise<boolean> {
    this.machine.drain();
    const endsAtMs = performance.now() + timeoutMs;
    const isBusy = () => this.activeCount > 0 || !this.machine.isIdle;
    while (!this.isClosing && isBusy() && performance.now() < endsAtMs) {
      await setTimeout(idleCheckMs);
    }
    const isWhole = this.activeCount === 0;
    const reason = 'suspended because this receiver shut down; the sender resumes once it is back';
    await this.end(reason, (nowMs) => this.machine.leave(nowMs, reason));
    return isWhole;
  }

  /** Ends every session with this reason; what has come of them stays for a resume. */
  async close(reason: string): Promise<void> {
    return this.end(reason, (nowMs) => this.machine.abort(nowMs, reason));
  }

  private async end(reason: string, endSessions: (nowMs: number) => void): Promise<void> {
    const { runner } = this;
    if (this.isClosing || runner === undefined) return this.closed;
    this.isClosing = true;
    clearInterval(this.expiryTimer);
    // Not at once: it may have been asked for from within an event.
    await setImmediate();
    endSessions(runner.nowMs);
    runner.drain();
    await this.parts.settle();
    await this.classic?.close(reason);
    await runner.close();
    this.placed.close();
    this.resolveClosed();
    return this.closed;
  }

  private expireParts(): void {
    const { dir, keepPartsMs = defaultKeepPartsMs } = this.options;
    const expire = () =>
      removeStaleParts(dir, keepPartsMs).catch((error: unknown) => {
        // A disk that fails says so to each session; the next day is another try.
        if (error instanceof P2mpError) return;
        this.tellMachine((nowMs) => this.machine.handleInternalError(nowMs, undefined, error));
      });
    this.expiryTimer = setInterval(expire, Math.min(dayMs, keepPartsMs)).unref();
  }

  /** @returns the machine that takes what is not of a session */
  private async openClassic(): Promise<Machine<ReceiverEvent>> {
    const { classic } = this.options;
    let machine: Machine<ReceiverEvent> = deaf;
    if (classic === undefined) return machine;
    const { options } = this;
    this.classic = await FileReceiver.open({ ...classic, port: options.port }, async (own) => {
      machine = own.machine;
      this.handleClassicEvent = own.handleEvent;
      const shared = () => this.runner;
      return {
        get nowMs() {
          return shared()?.nowMs ?? 0;
        },
        get addresses() {
          return shared()?.addresses ?? [];
        },
        drain: () => shared()?.drain(),
        close: async () => undefined,
      };
    });
    return machine;
  }

  private handleEvent(event: SessionReceiverEvent): void {
    switch (event.type) {
      case 'prepare':
        void this.prepare(event);
        return;
      case 'join':
        this.joinGroup(event.session, event.groupHost);
        return;
      case 'leave':
        this.leaveGroup(event.session);
        return;
      case 'write':
        this.write(event.session, event.offsetBytes, event.bytes);
        return;
      case 'forget':
        this.parts.use(event.session, (store) => this.forgetBlock(store, event));
        return;
      case 'finish':
        this.parts.use(event.session, (store) => this.finish(store, event));
        return;
      case 'drop':
        this.parts.drop(event.info);
        return;
      case 'end':
        this.endSession(event.result);
        break;
    }
    this.options.onEvent?.(event);
  }

  private async finish(store: PartStore, { session, leafOf }: FinishEvent): Promise<void> {
    const damaged = await store.findDamage(leafOf);
    // The session has ended meanwhile.
    if (damaged === undefined) return;
    if (damaged.length > 0) {
      this.tellMachine((nowMs) => this.machine.find(session)?.handleDamaged(nowMs, damaged));
      return;
    }
    await store.finish();
    this.tellMachine((nowMs) => this.machine.find(session)?.handleStored(nowMs));
  }

  private async prepare(event: PrepareEvent): Promise<void> {
    const { session } = event.info;
    let store: PartStore | undefined;
    try {
      store = await this.parts.open(event);
    } catch (error) {
      this.endByError(session, error, (nowMs, message) =>
        this.machine.find(session)?.refuse(nowMs, message),
      );
      return;
    }
    if (store === undefined) return;
    const { held, kept } = store;
    this.tellMachine((nowMs) => this.machine.find(session)?.prepared(nowMs, held, kept));
  }

  /** A session's work has failed: an error that was foreseen has its reason, any other is a defect. */
  private endByError(
    session: number,
    error: unknown,
    end: (nowMs: number, message: string) => void,
  ): void {
    this.tellMachine((nowMs) => {
      if (error instanceof P2mpError) end(nowMs, error.message);
      else this.machine.handleInternalError(nowMs, session, error);
    });
  }

  private async forgetBlock(store: PartStore, { session, block }: ForgetEvent): Promise<void> {
    const info = this.parts.infoOf(session);
    const names = store.namesAt(block);
    if (info !== undefined) this.options.onEvent?.({ type: 'bad-block', info, block, names });
    await store.forget(block);
  }

  private write(session: number, offsetBytes: number, bytes: Uint8Array): void {
    this.parts.use(session, async (store) => {
      try {
        await store.write(offsetBytes, bytes);
      } finally {
        this.tellMachine((nowMs) => this.machine.handleWritten(nowMs, session, bytes.length));
      }
    });
  }

  private endSession(result: IncomingResult): void {
    addTo(this.ended, result);
    this.leaveGroup(result.session);
    this.parts.end(result.session, result.status === 'complete');
    if (result.status === 'complete') this.parts.dropEarlier(result);
  }

  private joinGroup(session: number, groupHost: string): void {
    const sockets = this.runner?.sockets;
    if (sockets === undefined) return;
    const reason = this.groups.join(sockets, session, groupHost);
    if (reason === undefined || this.groupFailures.has(reason)) return;
    this.groupFailures.add(reason);
    this.options.onEvent?.({ type: 'no-group', group: groupHost, reason });
  }

  private leaveGroup(session: number): void {
    const sockets = this.runner?.sockets;
    if (sockets !== undefined) this.groups.leave(sockets, session);
  }

  private tellMachine(tell: (nowMs: number) => void): void {
    const { runner } = this;
    if (runner === undefined) return;
    tell(runner.nowMs);
    runner.drain();
  }
}
