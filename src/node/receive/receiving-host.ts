/** What a receiver and a relay that sends on have in common: a port, a folder, sums, and the way they end. */
import { hostname } from 'node:os';
import { setImmediate, setTimeout } from 'node:timers/promises';
import type { Address } from '../../base/address.js';
import type { TimeMs } from '../../base/machine.js';
import { withoutUndefined } from '../../base/without-undefined.js';
import type { InvitationTerms } from '../../security/invitations.js';
import type { SessionReceiver } from '../../session/receiver.js';
import type {
  IncomingResult,
  IncomingStatus,
  SessionReceiverEvent,
} from '../../session/receiver-events.js';
import type { SessionReceiverOptions } from '../../session/receiver-options.js';
import { affordableFileCount } from '../disk/descriptor-limit.js';
import { removeStaleParts, StalePartsRemoval } from '../disk/parts/stale-parts.js';
import { FileBudget } from '../disk/store/file-budget.js';
import { allocationBytesAt } from '../disk/store/free-space.js';
import { TargetFolder } from '../disk/store/target-folder.js';
import { checkInvitationTerms, formatInvitation } from '../keys/invitation-code.js';
import { refusalOf } from '../keys/trust-answer.js';
import { SessionGroups } from '../net/groups/session-groups.js';
import type { Offload } from '../net/offload/offload-socket.js';
import { noOffload } from '../net/offload/offload-socket.js';
import { SendErrorLog } from '../net/send-error-log.js';
import type { SocketRunnerOptions } from '../net/socket-runner.js';
import { SocketRunner } from '../net/socket-runner.js';
import type { ReceiveEvent, ReceiveOptions } from '../receive-options.js';
import type { CompleteSession, ReceivingState, ReceivingTotals, Sums } from './receiving-totals.js';
import { addTo } from './receiving-totals.js';

/** The options that a receiver and a relay that sends on share. */
type HostOptions = Pick<
  ReceiveOptions,
  | 'dir'
  | 'port'
  | 'bind'
  | 'networkPaths'
  | 'name'
  | 'keyPair'
  | 'trustSender'
  | 'trustRelay'
  | 'maxSessions'
  | 'maxObjectBytes'
  | 'maxOpenFiles'
  | 'keepPartsMs'
  | 'idleMs'
  | 'progressIntervalMs'
> & { readonly onEvent?: (event: HostEvent) => void };

/** The events that both report. */
type HostEvent = Exclude<ReceiveEvent, { type: 'bad-block' }>;

/** Interval at which a draining host checks whether all sessions have ended. */
const idleCheckMs = 20;

const defaultMaxOpenFiles = 256;

/** What the machine needs to know of the folder and its disk. */
export interface HostFolder {
  readonly fileBudget: FileBudget;
  readonly allocationBytes: number;
}

/**
 * Creates the folder if it is missing, and removes old parts.
 * @throws P2mpError TARGET_UNWRITABLE
 */
export async function prepareFolder(options: HostOptions): Promise<HostFolder> {
  const { dir, keepPartsMs, maxOpenFiles = defaultMaxOpenFiles } = options;
  await (await TargetFolder.open(dir)).checkTakesFiles();
  await removeStaleParts(dir, keepPartsMs);
  return {
    fileBudget: new FileBudget(await affordableFileCount(maxOpenFiles)),
    allocationBytes: await allocationBytesAt(dir),
  };
}

/** The options of the machine that follow from those of the host. */
export function machineOptionsOf(
  options: HostOptions,
  { allocationBytes }: HostFolder,
): Omit<SessionReceiverOptions, 'crypto'> {
  const { name = hostname(), trustSender, trustRelay } = options;
  const { maxSessions, maxObjectBytes, idleMs } = options;
  return {
    ...{ name, allocationBytes },
    platform: process.platform === 'win32' ? 'windows' : 'posix',
    refuseSender: (key) => refusalOf(trustSender(key), untrusted),
    ...(trustRelay && { refuseRelay: (key) => refusalOf(trustRelay(key), noRelay) }),
    ...withoutUndefined({ maxSessions, maxObjectBytes, idleMs }),
  };
}

/** The reasons that senders and relays get, without better ones. */
const untrusted = 'the other side does not trust its key';
const noRelay = 'the other side takes nothing through relays with its key';

/** A receiver, or a relay that sends on. */
export abstract class ReceivingHost<PortEvent> implements ReceivingState {
  /** Resolves when this host is closed and all disk work is done. */
  readonly closed: Promise<void>;
  private resolveClosed: () => void = () => undefined;
  private openRunner: SocketRunner<PortEvent> | undefined;
  private readonly groups = new SessionGroups(
    () => this.runner?.sockets,
    (group, reason) => this.report({ type: 'no-group', group, reason }),
  );
  private readonly sendErrors = new SendErrorLog((message) =>
    this.report({ type: 'send-error', message }),
  );
  private readonly ended: Sums = {
    ...{ receivedBytes: 0, datagramsReceived: 0, duplicates: 0, badBlocks: 0 },
  };
  private latest: CompleteSession | undefined;
  private isClosing = false;
  private staleParts: StalePartsRemoval | undefined;
  private progressTimer: NodeJS.Timeout | undefined;

  /** @param role what this host is, in reasons that people read */
  protected constructor(
    private readonly hostOptions: HostOptions,
    private readonly receiver: SessionReceiver,
    private readonly role: 'receiver' | 'relay',
  ) {
    this.closed = new Promise((resolve) => {
      this.resolveClosed = resolve;
    });
  }

  /** Ends what the subclass has begun, and waits for the disk. The sockets are still open. */
  protected abstract release(reason: string): Promise<void>;

  /** @throws P2mpError PORT_UNAVAILABLE */
  protected async listen(
    options: Omit<SocketRunnerOptions<PortEvent>, 'port' | 'bind'>,
  ): Promise<SocketRunner<PortEvent>> {
    const { dir, port, bind, keepPartsMs } = this.hostOptions;
    const runner: SocketRunner<PortEvent> = await SocketRunner.open<PortEvent>({
      ...{ ...options, port, ...withoutUndefined({ bind }) },
      handleMove: (nowMs) => this.handleMove(nowMs),
    });
    this.openRunner = runner;
    runner.namePaths(this.receiver);
    const handleError = (error: unknown) => {
      this.receiver.handleInternalError(runner.nowMs, undefined, error);
      runner.drain();
    };
    this.staleParts = new StalePartsRemoval(dir, handleError, keepPartsMs);
    this.startProgress();
    return runner;
  }

  /** Addresses of this host have come or gone. */
  protected handleMove(nowMs: TimeMs): void {
    this.runner?.namePaths(this.receiver);
    this.receiver.handleMove(nowMs);
  }

  /** The sockets; undefined until they are open. */
  protected get runner(): SocketRunner<PortEvent> | undefined {
    return this.openRunner;
  }

  /** The addresses that this host listens on. */
  get addresses(): Address[] {
    return this.runner?.addresses ?? [];
  }

  /** Whether the system sends and receives batches of datagrams. */
  get offload(): Offload {
    return this.runner?.offload ?? noOffload;
  }

  /** The folder as given in the options. */
  get dir(): string {
    return this.hostOptions.dir;
  }

  /**
   * Invites senders that `trustSender` refuses. An `invited` event reports each sender that comes.
   * @returns a code for the sender's `invitations`. It is a secret: anyone who has it can send.
   * @throws P2mpError INVALID_ARGUMENT
   */
  invite(terms: InvitationTerms): string {
    checkInvitationTerms(terms);
    const secret = this.receiver.invite(this.runner?.nowMs ?? 0, terms);
    return formatInvitation({ inviterKey: this.hostOptions.keyPair.publicKey, secret });
  }

  /** The status of each active session of a sender. */
  statuses(): IncomingStatus[] {
    return this.runner === undefined ? [] : this.receiver.statuses(this.runner.nowMs);
  }

  /** Totals of all sessions of senders, ended and active, since this host was opened. */
  totals(): ReceivingTotals {
    const sums = { ...this.ended };
    for (const status of this.statuses()) addTo(sums, status);
    return { ...sums, ...this.receiver.result() };
  }

  /** The complete session that ended last. */
  get lastComplete(): CompleteSession | undefined {
    return this.latest;
  }

  /** Memory, in bytes, of blocks that are incomplete or not yet written to disk. */
  get bufferedBytes(): number {
    return this.receiver.bufferedBytes;
  }

  /** Number of active sessions of senders. */
  get activeCount(): number {
    return this.receiver.activeCount;
  }

  /** Reason why a new session would be refused now; undefined if it would be accepted. */
  get refusal(): string | undefined {
    return this.isClosing ? `this ${this.role} is shutting down` : this.receiver.refusal;
  }

  /**
   * Stops accepting new sessions and resolves when the active sessions have ended. After the timeout,
   * suspends the remaining sessions: their senders get no message, reconnect to the next process and resume.
   * @param timeoutMs maximum time for the active sessions to end
   * @returns whether all active sessions ended
   */
  async drain(timeoutMs = Infinity): Promise<boolean> {
    const { receiver } = this;
    receiver.drain();
    const endsAtMs = performance.now() + timeoutMs;
    const isBusy = () => this.activeCount > 0 || !receiver.isIdle;
    while (!this.isClosing && isBusy() && performance.now() < endsAtMs) {
      await setTimeout(idleCheckMs);
    }
    const isWhole = this.activeCount === 0;
    const reason = `suspended because this ${this.role} shut down; the sender resumes once it is back`;
    await this.end(reason, (nowMs) => receiver.leave(nowMs, reason));
    return isWhole;
  }

  /** Ends every session with this reason. The received data stays on disk, so sessions can resume. */
  async close(reason: string): Promise<void> {
    return this.end(reason, (nowMs) => this.receiver.abort(nowMs, reason));
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
    await this.release(reason);
    await this.staleParts?.close();
    await runner.close();
    this.resolveClosed();
    return this.closed;
  }

  private startProgress(): void {
    const { onEvent, progressIntervalMs = 1000 } = this.hostOptions;
    if (onEvent === undefined) return;
    let wasActive = false;
    this.progressTimer = setInterval(() => {
      const sessions = this.statuses();
      if (sessions.length > 0 || wasActive) onEvent({ type: 'progress', sessions });
      wasActive = sessions.length > 0;
    }, progressIntervalMs);
  }

  /** Handles what concerns the host, and reports what concerns its user. */
  protected handleReceived(event: SessionReceiverEvent): void {
    switch (event.type) {
      case 'join':
        this.groups.join(event.session, event.group);
        break;
      case 'leave':
        this.groups.leave(event.session);
        break;
      case 'end':
        this.handleEnd(event.result);
        this.report(event);
        break;
      case 'offer':
      case 'invited':
      case 'invited-relay':
      case 'turned-away':
      case 'internal-error':
      case 'fault':
        this.report(event);
        break;
    }
  }

  private handleEnd(result: IncomingResult): void {
    addTo(this.ended, result);
    if (result.status === 'complete') this.latest = { result, endedAtMs: Date.now() };
    this.groups.leave(result.session);
  }

  protected handleSendError(error: NodeJS.ErrnoException): void {
    this.sendErrors.add(error);
  }

  private report(event: HostEvent): void {
    this.hostOptions.onEvent?.(event);
  }
}
