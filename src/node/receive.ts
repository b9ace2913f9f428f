/** Receives concurrent sessions over real sockets. Each session has its own store for incomplete files. */

import { hostname } from 'node:os';
import { setImmediate, setTimeout } from 'node:timers/promises';
import type { Address } from '../base/address.js';
import { ignoringMachine, type Machine } from '../base/machine.js';
import { withoutUndefined } from '../base/without-undefined.js';
import type { ReceiverEvent } from '../classic/receiver-events.js';
import type { EndpointEvent } from '../endpoint/endpoint.js';
import { Endpoint } from '../endpoint/endpoint.js';
import type { InvitationTerms } from '../security/invitations.js';
import { StoreDriver } from '../session/drivers/store-driver.js';
import { SessionReceiver } from '../session/receiver.js';
import type {
  IncomingResult,
  IncomingStatus,
  SessionReceiverEvent,
} from '../session/receiver-events.js';
import { affordableFileCount } from './disk/descriptor-limit.js';
import { SessionParts } from './disk/parts/session-parts.js';
import { removeStaleParts, StalePartsRemoval } from './disk/parts/stale-parts.js';
import { FileBudget } from './disk/store/file-budget.js';
import { allocationBytesAt } from './disk/store/free-space.js';
import { PlacedIndex } from './disk/store/placed-files.js';
import { TargetFolder } from './disk/store/target-folder.js';
import { FileReceiver } from './file-receiver.js';
import { checkInvitationTerms, formatInvitation } from './keys/invitation-code.js';
import { createWarmCrypto } from './keys/node-crypto.js';
import { refusalOf } from './keys/trust-answer.js';
import { SessionGroups } from './net/groups/session-groups.js';
import type { Offload } from './net/offload/offload-socket.js';
import { noOffload } from './net/offload/offload-socket.js';
import { SendErrorLog } from './net/send-error-log.js';
import { SocketRunner } from './net/socket-runner.js';
import type { CompleteSession, ReceivingTotals, Sums } from './receive/receiving-totals.js';
import { addTo } from './receive/receiving-totals.js';
import type { ReceiveOptions } from './receive-options.js';
import { checkReceiveOptions } from './receive-options.js';

type PortEvent = EndpointEvent<ReceiverEvent>;

/** Interval at which a draining receiver checks whether all sessions have ended. */
const idleCheckMs = 20;

const defaultMaxOpenFiles = 256;

/** The reason that a relay gets, without a better one. */
const noRelay = 'the other side takes nothing through relays with its key';

/** The reason that a sender gets, without a better one. */
const untrusted = 'the other side does not trust its key';

/**
 * Starts receiving sessions, until the signal aborts or `close` is called.
 * @throws P2mpError INVALID_ARGUMENT, TARGET_UNWRITABLE, PORT_UNAVAILABLE; the reason of the signal if it aborts
 *   before the receiver listens
 * @example
 * ```ts
 * import { readFileSync, writeFileSync } from 'node:fs';
 * import { generateKeyPair, receive, send } from 'p2mp';
 *
 * const receiving = await receive({
 *   dir: 'received',
 *   port: 0,
 *   bind: ['127.0.0.1'],
 *   keyPair: await generateKeyPair(),
 *   trustSender: () => true,
 * });
 * writeFileSync('a.txt', 'abc');
 * const receivers = receiving.addresses;
 * await send({ paths: ['a.txt'], receivers, trustReceiver: () => true });
 * console.log(readFileSync('received/a.txt', 'utf8')); // abc
 * await receiving.close('done');
 * ```
 */
export async function receive(options: ReceiveOptions): Promise<Receiving> {
  checkReceiveOptions(options);
  const { signal } = options;
  signal?.throwIfAborted();
  const receiving = await Receiving.open(options);
  const stop = () => void receiving.close('the receiver was stopped');
  signal?.addEventListener('abort', stop, { once: true });
  if (signal?.aborted) {
    await receiving.close('the receiver was stopped');
    throw signal.reason;
  }
  return receiving;
}

/**
 * A running session receiver.
 * @example
 * ```ts
 * import { generateKeyPair, receive } from 'p2mp';
 *
 * const receiving = await receive({
 *   dir: 'received',
 *   port: 0,
 *   bind: ['127.0.0.1'],
 *   keyPair: await generateKeyPair(),
 *   trustSender: () => true,
 * });
 * console.log(receiving.activeCount, receiving.totals().complete); // 0 0
 * await receiving.drain();
 * ```
 */
export class Receiving {
  /** Resolves when the receiver is closed and all disk work is done. */
  readonly closed: Promise<void>;
  private runner: SocketRunner<PortEvent> | undefined;
  private classic: FileReceiver | undefined;
  private handleClassicEvent: (event: ReceiverEvent) => void = () => undefined;
  private readonly parts: SessionParts;
  private readonly storeDriver: StoreDriver;
  private readonly groups = new SessionGroups(
    () => this.runner?.sockets,
    (group, reason) => this.options.onEvent?.({ type: 'no-group', group, reason }),
  );
  private readonly sendErrors = new SendErrorLog((message) =>
    this.options.onEvent?.({ type: 'send-error', message }),
  );
  private readonly ended: Sums = {
    receivedBytes: 0,
    datagramsReceived: 0,
    duplicates: 0,
    badBlocks: 0,
  };
  private latest: CompleteSession | undefined;
  private resolveClosed: () => void = () => undefined;
  private isClosing = false;
  private staleParts: StalePartsRemoval | undefined;
  private progressTimer: NodeJS.Timeout | undefined;

  private constructor(
    private readonly options: ReceiveOptions,
    private readonly machine: SessionReceiver,
    fileBudget: FileBudget,
    private readonly placed: PlacedIndex,
  ) {
    const { dir, existing, verifiesDisk = false, sharesParts = false } = options;
    const { comparesAll = false, updatesModes = false, protectedPaths = [] } = options;
    this.parts = new SessionParts({
      ...{ dir, fileBudget, placed, verifiesDisk, sharesParts, comparesAll, updatesModes },
      protectedPaths: [...protectedPaths, ...[options.placedPath ?? []].flat()],
      ...withoutUndefined({ existing }),
      handleBadBlock: (session, block, names) => {
        const info = this.machine.find(session)?.info;
        if (info !== undefined) options.onEvent?.({ type: 'bad-block', info, block, names });
      },
    });
    const now = () => this.runner?.nowMs ?? 0;
    this.storeDriver = new StoreDriver(machine, this.parts, {
      get nowMs() {
        return now();
      },
      drain: () => this.runner?.drain(),
    });
    this.closed = new Promise((resolve) => {
      this.resolveClosed = resolve;
    });
  }

  /** @throws P2mpError INVALID_ARGUMENT, TARGET_UNWRITABLE, PORT_UNAVAILABLE */
  static async open(options: ReceiveOptions): Promise<Receiving> {
    checkReceiveOptions(options);
    const { dir, port, bind, keyPair, trustSender, trustRelay, name = hostname() } = options;
    const { maxSessions, maxObjectBytes, maxEntries, idleMs, mayDelete, keepPartsMs } = options;
    await (await TargetFolder.open(dir)).checkTakesFiles();
    await removeStaleParts(dir, keepPartsMs);
    const machine = new SessionReceiver({
      crypto: await createWarmCrypto(keyPair),
      name,
      platform: process.platform === 'win32' ? 'windows' : 'posix',
      refuseSender: (senderKey) => refusalOf(trustSender(senderKey), untrusted),
      refuseRelay: (key) => refusalOf(trustRelay?.(key) ?? false, noRelay),
      allocationBytes: await allocationBytesAt(dir),
      ...withoutUndefined({ maxSessions, maxObjectBytes, maxEntries, idleMs, mayDelete }),
    });
    const wantedCount = options.maxOpenFiles ?? defaultMaxOpenFiles;
    const fileBudget = new FileBudget(await affordableFileCount(wantedCount));
    const placed = await PlacedIndex.open(options.placedPath);
    const receiving = new Receiving(options, machine, fileBudget, placed);
    const classic = await receiving.openClassic();
    receiving.runner = await SocketRunner.open<PortEvent>({
      machine: new Endpoint({ classic, receiver: machine }),
      port,
      ...withoutUndefined({ bind }),
      // Status reports can be slightly late. Polling would take CPU time from senders on the same host.
      deadlines: 'coarse',
      // The P2MP-FTP machine cannot split concatenated datagrams.
      receivesBatches: options.classic === undefined,
      handleEvent: ({ role, event }) => {
        if (role === 'receiver') receiving.handleEvent(event);
        else if (role === 'classic') receiving.handleClassicEvent(event);
      },
      handleSendError: (error) => receiving.sendErrors.add(error),
    });
    receiving.staleParts = new StalePartsRemoval(
      dir,
      (error) =>
        receiving.callMachine((nowMs) => machine.handleInternalError(nowMs, undefined, error)),
      keepPartsMs,
    );
    receiving.startProgress();
    return receiving;
  }

  /** The addresses that the receiver listens on. */
  get addresses(): Address[] {
    return this.runner?.addresses ?? [];
  }

  /** Whether the system sends and receives batches of datagrams. */
  get offload(): Offload {
    return this.runner?.offload ?? noOffload;
  }

  /** The target folder as given in the options. */
  get dir(): string {
    return this.options.dir;
  }

  /**
   * Invites senders that `trustSender` refuses. An `invited` event reports each sender that comes.
   * @returns a code for the sender's `invitations`. It is a secret: anyone who has it can send.
   * @throws P2mpError INVALID_ARGUMENT
   */
  invite(terms: InvitationTerms): string {
    checkInvitationTerms(terms);
    const secret = this.machine.invite(this.runner?.nowMs ?? 0, terms);
    return formatInvitation({ inviterKey: this.options.keyPair.publicKey, secret });
  }

  /** The status of each active session. */
  statuses(): IncomingStatus[] {
    return this.runner === undefined ? [] : this.machine.statuses(this.runner.nowMs);
  }

  /** Totals of all sessions, ended and active, since the receiver was opened. */
  totals(): ReceivingTotals {
    const sums = { ...this.ended };
    for (const status of this.statuses()) addTo(sums, status);
    return { ...sums, ...this.machine.result() };
  }

  /** The complete session that ended last. */
  get lastComplete(): CompleteSession | undefined {
    return this.latest;
  }

  /** Memory, in bytes, of blocks that are incomplete or not yet written to disk. */
  get bufferedBytes(): number {
    return this.machine.bufferedBytes;
  }

  /** Number of active sessions and P2MP-FTP transfers. */
  get activeCount(): number {
    return this.machine.activeCount + (this.classic?.isReceiving === true ? 1 : 0);
  }

  /** Reason why a new session would be refused now; undefined if it would be accepted. */
  get refusal(): string | undefined {
    return this.isClosing ? 'this receiver is shutting down' : this.machine.refusal;
  }

  /**
   * Stops accepting new sessions and resolves when the active sessions have ended. After the timeout,
   * suspends the remaining sessions: their senders get no message, reconnect to the next process and resume.
   * @param timeoutMs maximum time for the active sessions to end
   * @returns whether all active sessions ended
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

  /** Ends every session with this reason. The received data stays on disk, so sessions can resume. */
  async close(reason: string): Promise<void> {
    return this.end(reason, (nowMs) => this.machine.abort(nowMs, reason));
  }

  private async end(reason: string, endSessions: (nowMs: number) => void): Promise<void> {
    const { runner } = this;
    if (this.isClosing || runner === undefined) return this.closed;
    this.isClosing = true;
    clearInterval(this.progressTimer);
    // Wait for the next turn of the event loop, because this call can come from an event handler.
    await setImmediate();
    endSessions(runner.nowMs);
    runner.drain();
    await this.parts.settle();
    await this.staleParts?.close();
    await this.classic?.close(reason);
    await runner.close();
    this.placed.close();
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

  /** @returns the machine that handles P2MP-FTP datagrams */
  private async openClassic(): Promise<Machine<ReceiverEvent>> {
    const { classic } = this.options;
    let machine: Machine<ReceiverEvent> = ignoringMachine;
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
    this.storeDriver.handleEvent(event);
    switch (event.type) {
      case 'join':
        this.groups.join(event.session, event.group);
        return;
      case 'leave':
        this.groups.leave(event.session);
        return;
      case 'prepare':
      case 'write':
      case 'forget':
      case 'withdrawn':
      case 'finish':
      case 'drop':
        return;
      case 'source':
      case 'manifest-part':
      case 'supplied':
      case 'nodes':
      case 'behind-noted':
        // This host is no relay, and senders that offer an object by themselves are no sources.
        return;
      case 'end':
        this.endSession(event.result);
        break;
    }
    this.options.onEvent?.(event);
  }

  private endSession(result: IncomingResult): void {
    addTo(this.ended, result);
    if (result.status === 'complete') this.latest = { result, endedAtMs: Date.now() };
    this.groups.leave(result.session);
  }

  private callMachine(call: (nowMs: number) => void): void {
    const { runner } = this;
    if (runner === undefined) return;
    call(runner.nowMs);
    runner.drain();
  }
}
