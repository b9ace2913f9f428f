/** A relay that sends on what it receives, over real sockets. */
import { hostname } from 'node:os';
import { setImmediate, setTimeout } from 'node:timers/promises';
import type { Address } from '../../base/address.js';
import { formatAddress } from '../../base/address.js';
import { withoutUndefined } from '../../base/without-undefined.js';
import { ForwardMachine } from '../../roles/forward/forward-machine.js';
import type { ForwardEvent } from '../../roles/forward/forwarder.js';
import type { IncomingResult, IncomingStatus } from '../../session/receiver-events.js';
import { affordableFileCount } from '../disk/descriptor-limit.js';
import { SessionParts } from '../disk/parts/session-parts.js';
import { removeStaleParts, StalePartsRemoval } from '../disk/parts/stale-parts.js';
import { FileBudget } from '../disk/store/file-budget.js';
import { allocationBytesAt } from '../disk/store/free-space.js';
import { PlacedIndex } from '../disk/store/placed-files.js';
import { TargetFolder } from '../disk/store/target-folder.js';
import { createNodeCrypto } from '../keys/node-crypto.js';
import { refusalOf } from '../keys/trust-answer.js';
import { chooseGroup, groupSource } from '../net/groups/group-address.js';
import { SessionGroups } from '../net/groups/session-groups.js';
import { NarrowPaths } from '../net/narrow-paths.js';
import type { Offload } from '../net/offload/offload-socket.js';
import { noOffload } from '../net/offload/offload-socket.js';
import { PathFit } from '../net/path-fit.js';
import { resolveReceivers } from '../net/resolve-receivers.js';
import { findUnreachable } from '../net/routes.js';
import { SendErrorLog } from '../net/send-error-log.js';
import { SocketRunner } from '../net/socket-runner.js';
import type { CompleteSession, ReceivingTotals, Sums } from '../receive/receiving-totals.js';
import { addTo } from '../receive/receiving-totals.js';
import { LateHost } from '../serve/serving-port.js';
import type { SendOnOptions } from './send-on-options.js';

type EventOf<Type extends ForwardEvent['type']> = Extract<ForwardEvent, { type: Type }>;

const defaultMaxOpenFiles = 256;

/** Interval at which a draining relay checks whether all sessions have ended. */
const idleCheckMs = 20;

/**
 * A running relay that sends on what it receives. `relay()` makes it.
 * @example
 * ```ts
 * import { generateKeyPair, relay } from 'p2mp';
 *
 * const relaying = await relay({
 *   to: [{ host: '127.0.0.1', port: 7735 }],
 *   dir: 'spool',
 *   port: 0,
 *   bind: ['127.0.0.1'],
 *   keyPair: await generateKeyPair(),
 *   trustSender: () => true,
 *   trustReceiver: () => true,
 * });
 * console.log(relaying.addresses.length, relaying.activeCount); // 1 0
 * await relaying.close('done');
 * ```
 */
export class SendingOn {
  /** Resolves when the relay is closed and all disk work is done. */
  readonly closed: Promise<void>;
  private resolveClosed: () => void = () => undefined;
  private runner: SocketRunner<ForwardEvent> | undefined;
  private isClosing = false;
  private latest: CompleteSession | undefined;
  private progressTimer: NodeJS.Timeout | undefined;
  private staleParts: StalePartsRemoval | undefined;
  private readonly narrowPaths = new Map<number, NarrowPaths>();
  private readonly ended: Sums = {
    ...{ receivedBytes: 0, datagramsReceived: 0, duplicates: 0, badBlocks: 0 },
  };
  private readonly groups = new SessionGroups(
    () => this.runner?.sockets,
    (group, reason) => this.options.onEvent?.({ type: 'no-group', group, reason }),
  );
  private readonly sendErrors = new SendErrorLog((message) =>
    this.options.onEvent?.({ type: 'send-error', message }),
  );

  private constructor(
    private readonly options: SendOnOptions,
    private readonly machine: ForwardMachine,
    private readonly parts: SessionParts,
    private readonly fit: PathFit,
  ) {
    this.closed = new Promise((resolve) => {
      this.resolveClosed = resolve;
    });
  }

  /** @throws P2mpError INVALID_ARGUMENT, UNKNOWN_HOST, TARGET_UNWRITABLE, PORT_UNAVAILABLE */
  static async open(options: SendOnOptions): Promise<SendingOn> {
    const { dir, port, bind, keyPair, name = hostname(), multicast = 'auto' } = options;
    const { maxSessions, maxObjectBytes, idleMs, livenessTimeoutMs, rateBytesPerSec } = options;
    // Hosts behind one address differ in the port.
    const named = options.to.map((spec) => ({ ...spec, name: formatAddress(spec) }));
    const receivers = await resolveReceivers(named);
    const addresses = receivers.map(({ address }) => address);
    const createGroup = () => chooseGroup(multicast, addresses);
    const anyGroup = createGroup();
    const groupFrom = anyGroup === undefined ? undefined : await groupSource(anyGroup, addresses);
    await (await TargetFolder.open(dir)).checkTakesFiles();
    await removeStaleParts(dir);
    const wantedCount = options.maxOpenFiles ?? defaultMaxOpenFiles;
    const parts = new SessionParts({
      ...{ dir, verifiesDisk: false, sharesParts: false, comparesAll: false, updatesModes: false },
      fileBudget: new FileBudget(await affordableFileCount(wantedCount)),
      placed: await PlacedIndex.open(undefined),
      protectedPaths: [],
      handleBadBlock: () => undefined,
    });
    const crypto = await createNodeCrypto(keyPair);
    const host = new LateHost();
    const fit = new PathFit({ receivers: addresses, group: anyGroup, groupFrom });
    const machine = new ForwardMachine({
      ...{ crypto, name, host, receivers, stores: parts },
      platform: process.platform === 'win32' ? 'windows' : 'posix',
      refuseSender: (key) => refusalOf(options.trustSender(key), untrusted),
      refuseRelay: (key) => refusalOf(options.trustRelay?.(key) ?? false, noRelay),
      allocationBytes: await allocationBytesAt(dir),
      createTerms: (mssBytes = fit.mssBytes()) => ({
        ...{ crypto, mssBytes },
        ...withoutUndefined({ group: createGroup(), livenessTimeoutMs, rateBytesPerSec }),
      }),
      ...withoutUndefined({ maxSessions, maxObjectBytes, idleMs }),
    });
    const sendingOn = new SendingOn(options, machine, parts, fit);
    const runner = await SocketRunner.open<ForwardEvent>({
      ...{ machine, port, ...withoutUndefined({ bind }) },
      receivesBatches: true,
      handleEvent: (event) => sendingOn.handleEvent(event),
      handleSendError: (error) => sendingOn.handleSendError(error),
    });
    host.runner = runner;
    sendingOn.runner = runner;
    if (groupFrom !== undefined) runner.sockets?.sendGroupsBy(groupFrom, options.multicastTtl ?? 1);
    sendingOn.staleParts = new StalePartsRemoval(dir, (error) => {
      machine.receiver.handleInternalError(runner.nowMs, undefined, error);
      runner.drain();
    });
    sendingOn.startProgress();
    return sendingOn;
  }

  /** The addresses that the relay listens on. */
  get addresses(): Address[] {
    return this.runner?.addresses ?? [];
  }

  /** Whether the system sends and receives batches of datagrams. */
  get offload(): Offload {
    return this.runner?.offload ?? noOffload;
  }

  /** The folder where content is while it passes. */
  get dir(): string {
    return this.options.dir;
  }

  /** The objects that are passing, as their senders see them. */
  statuses(): IncomingStatus[] {
    return this.runner === undefined ? [] : this.machine.receiver.statuses(this.runner.nowMs);
  }

  /** Number of objects that are passing. */
  get activeCount(): number {
    return this.machine.receiver.activeCount;
  }

  /** Totals of what was received since the relay was opened. */
  totals(): ReceivingTotals {
    const sums = { ...this.ended };
    for (const status of this.statuses()) addTo(sums, status);
    return { ...sums, ...this.machine.receiver.result() };
  }

  /** The latest object that was sent on. */
  get lastComplete(): CompleteSession | undefined {
    return this.latest;
  }

  /** Memory, in bytes, of blocks that are incomplete or not yet written to disk. */
  get bufferedBytes(): number {
    return this.machine.receiver.bufferedBytes;
  }

  /** Why the relay takes no new object; undefined if it does. */
  get refusal(): string | undefined {
    return this.isClosing ? 'this relay is shutting down' : this.machine.receiver.refusal;
  }

  /**
   * Takes no new objects, and resolves when all have passed. After the timeout, leaves the others: their senders
   * reconnect to the next process and resume.
   * @returns whether all have passed
   */
  async drain(timeoutMs = Infinity): Promise<boolean> {
    const { receiver } = this.machine;
    receiver.drain();
    const endsAtMs = performance.now() + timeoutMs;
    const isBusy = () => this.activeCount > 0 || !receiver.isIdle;
    while (!this.isClosing && isBusy() && performance.now() < endsAtMs)
      await setTimeout(idleCheckMs);
    const isWhole = this.activeCount === 0;
    const reason = 'suspended because this relay shut down; the sender resumes once it is back';
    await this.end((nowMs) => receiver.leave(nowMs, reason));
    return isWhole;
  }

  /** Ends every session with this reason. What has arrived stays on disk, so that sessions can resume. */
  async close(reason: string): Promise<void> {
    await this.end((nowMs) => this.machine.receiver.abort(nowMs, reason));
  }

  private async end(endSessions: (nowMs: number) => void): Promise<void> {
    const { runner } = this;
    if (this.isClosing || runner === undefined) return this.closed;
    this.isClosing = true;
    clearInterval(this.progressTimer);
    // Later, because this call can come from an event handler.
    await setImmediate();
    endSessions(runner.nowMs);
    runner.drain();
    this.machine.forwarder.stop();
    await this.parts.settle();
    await this.staleParts?.close();
    await runner.close();
    this.resolveClosed();
    return this.closed;
  }

  private startProgress(): void {
    const { onEvent, progressIntervalMs = 1000 } = this.options;
    if (onEvent === undefined) return;
    let wasActive = false;
    this.progressTimer = setInterval(() => {
      const sessions = this.statuses();
      if (sessions.length > 0 || wasActive) onEvent({ type: 'progress', sessions });
      wasActive = sessions.length > 0;
    }, progressIntervalMs);
  }

  // --- Events

  private handleEvent(event: ForwardEvent): void {
    if (event.type === 'identify') void this.decide(event);
    else if (event.type === 'behind') this.handleBehind(event);
    else this.handleReceived(event);
  }

  private handleReceived({ event }: EventOf<'received'>): void {
    const { onEvent } = this.options;
    switch (event.type) {
      case 'join':
        this.groups.join(event.session, event.group);
        break;
      case 'leave':
        this.groups.leave(event.session);
        break;
      case 'end':
        this.handleEnd(event.result);
        onEvent?.(event);
        break;
      case 'offer':
      case 'turned-away':
      case 'internal-error':
      case 'fault':
        onEvent?.(event);
        break;
    }
  }

  private handleEnd(result: IncomingResult): void {
    addTo(this.ended, result);
    if (result.status === 'complete') this.latest = { result, endedAtMs: Date.now() };
    this.groups.leave(result.session);
    this.narrowPaths.delete(result.session);
  }

  private handleBehind({ info, event }: EventOf<'behind'>): void {
    const { onEvent } = this.options;
    if (event.type === 'receiver') onEvent?.({ type: 'receiver', info, outcome: event.outcome });
    else if (event.type === 'fault') onEvent?.(event);
    else if (event.type === 'narrow-path')
      this.narrowPathsOf(info.session)?.handleSuspicion(event.index);
  }

  private async decide({ sender, index, receiverKey }: EventOf<'identify'>): Promise<void> {
    const { host, port } = this.options.to[index] as Address;
    const name = formatAddress({ host, port });
    const refusal = await this.refusalOf(name, receiverKey);
    const { runner, machine } = this;
    if (runner === undefined || sender.isDone) return;
    machine.trust(runner.nowMs, sender, index, receiverKey, refusal);
    runner.drain();
  }

  private async refusalOf(name: string, receiverKey: Uint8Array): Promise<string | undefined> {
    try {
      const answer = await this.options.trustReceiver(name, receiverKey);
      return refusalOf(answer, 'its key is not trusted at the relay');
    } catch (error) {
      return `its key could not be checked: ${error instanceof Error ? error.message : error}`;
    }
  }

  // --- Paths

  private narrowPathsOf(session: number): NarrowPaths | undefined {
    const known = this.narrowPaths.get(session);
    const forwarding = this.machine.forwarder.find(session);
    if (known !== undefined || forwarding === undefined) return known;
    const { fit, runner, options } = this;
    const paths = new NarrowPaths({
      ...{ sender: () => forwarding.sender, fit, isAuto: true },
      restart: (mssBytes) => forwarding.restart(mssBytes),
      nowMs: () => runner?.nowMs ?? 0,
      drain: () => runner?.drain(),
      handleResize: (mssBytes, reason) => options.onEvent?.({ type: 'resize', mssBytes, reason }),
      handleHopeless: () => undefined,
    });
    this.narrowPaths.set(session, paths);
    return paths;
  }

  private handleSendError(error: NodeJS.ErrnoException): void {
    const { runner } = this;
    let isFound = false;
    for (const { sender, info } of this.machine.forwarder.forwardings) {
      if (error.code === 'EMSGSIZE') {
        isFound = this.narrowPathsOf(info.session)?.handleRefusal(error) === true || isFound;
        continue;
      }
      const found = findUnreachable(sender.peers, error);
      if (found === undefined || runner === undefined) continue;
      isFound = true;
      sender.failReceiver(runner.nowMs, found.index, found.reason);
    }
    if (isFound) runner?.drain();
    else this.sendErrors.add(error);
  }
}

/** The reasons that senders and relays get, without better ones. */
const untrusted = 'the relay does not trust its key';
const noRelay = 'the relay takes nothing through other relays with its key';
