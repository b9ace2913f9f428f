/** Runs one protocol state machine over real sockets, with a monotonic clock and one timer. */
import type { Address } from '../../base/address.js';
import type { Machine, TimeMs } from '../../base/machine.js';
import { Runner } from '../../base/machine.js';
import type { Refusal } from '../../base/refusal.js';
import { withoutUndefined } from '../../base/without-undefined.js';
import { Endpoint } from './endpoint.js';
import type { Offload } from './offload/offload-socket.js';
import { noOffload } from './offload/offload-socket.js';
import { OwnAddressWatch } from './own-address-watch.js';
import type { LocalPath } from './paths/local-paths.js';
import type { AwaitedPeer } from './port-watch.js';
import { PortWatch } from './port-watch.js';

/**
 * Precision of deadlines. `exact` polls and is precise to a fraction of a millisecond. `adaptive` is equally
 * precise, except that short deadlines can be a few milliseconds late if deadlines have rarely expired.
 * `coarse` is precise to one or two milliseconds and has no overhead.
 */
export type DeadlinePolicy = 'exact' | 'adaptive' | 'coarse';

/** A machine that says to senders at which addresses they can reach this host. */
interface NamedPaths {
  setAddresses(nowMs: TimeMs, addresses: readonly Address[]): void;
}

/** The multicast functions of the sockets. */
export type MulticastSockets = Pick<
  Endpoint,
  'joinGroup' | 'leaveGroup' | 'sendGroupsBy' | 'openGroupPort' | 'sendGroupBy' | 'endGroup'
>;

export interface SocketRunnerOptions<Event> {
  readonly machine: Machine<Event>;
  readonly bind?: readonly string[];
  /** Local addresses from which paths begin; none by default. */
  readonly paths?: readonly LocalPath[];
  /** Called when addresses of this host have come or gone. @returns where paths can begin now */
  readonly findPaths?: (() => readonly LocalPath[]) | undefined;
  readonly port: number;
  readonly deadlines?: DeadlinePolicy;
  /** Whether the machine accepts several datagrams that arrived together, joined into one buffer. */
  readonly receivesBatches?: boolean;
  /**
   * Whether what datagrams lead to is sent only after all that are read in the same turn, which saves CPU time where many
   * are. By default, it is sent after each, so that no answer waits.
   */
  readonly answersTogether?: boolean;
  readonly handleEvent: (event: Event) => void;
  readonly handleSendError: (error: NodeJS.ErrnoException) => void;
  /** Called when addresses of this host have come or gone. The runner then calls `drain`. */
  readonly handleMove?: (nowMs: TimeMs) => void;
}

export class SocketRunner<Event> {
  private readonly runner: Runner<Event>;
  private readonly deadlines: DeadlinePolicy;
  private endpoint: Endpoint | undefined;
  private portWatch: PortWatch | undefined;
  private addressWatch: OwnAddressWatch | undefined;
  private isClosing = false;
  private timer: NodeJS.Timeout | undefined;
  private immediate: NodeJS.Immediate | undefined;
  /** Drains the machine after what happens in this turn of the event loop. */
  private drainLater: NodeJS.Immediate | undefined;
  /** Time at which the timer or the immediate fires. */
  private wakesAtMs: TimeMs | undefined;
  private timeoutAtMs: TimeMs | undefined;
  private timeoutSetAtMs: TimeMs = 0;
  private lastTimeoutMs: TimeMs = Number.NEGATIVE_INFINITY;
  private timeoutBeforeLastMs: TimeMs = Number.NEGATIVE_INFINITY;

  private constructor(options: SocketRunnerOptions<Event>) {
    this.deadlines = options.deadlines ?? 'adaptive';
    this.runner = new Runner(options.machine, {
      now: () => this.nowMs,
      canTransmit: () => this.endpoint?.canSend() ?? false,
      transmit: (transmit) => this.endpoint?.send(transmit),
      handleEvent: options.handleEvent,
      scheduleTimeout: (atMs) => this.scheduleTimeout(atMs),
    });
  }

  /** Opens the sockets. The machine sends nothing before the first call of `drain`. */
  static async open<Event>(options: SocketRunnerOptions<Event>): Promise<SocketRunner<Event>> {
    const { bind, paths, port, receivesBatches = false, handleSendError } = options;
    const { answersTogether = false } = options;
    const runner = new SocketRunner(options);
    runner.endpoint = await Endpoint.open({
      ...withoutUndefined({ bind, paths }),
      port,
      receivesBatches,
      handleDatagram: answersTogether
        ? (from, bytes) => runner.takeDatagram(from, bytes)
        : (from, bytes) => runner.runner.handleDatagram(from, bytes),
      handleWritable: () => runner.runner.drain(),
      handleSendError,
    });
    const { handleMove, findPaths } = options;
    if (handleMove !== undefined)
      runner.addressWatch = new OwnAddressWatch(() => void runner.follow(handleMove, findPaths));
    return runner;
  }

  /** Addresses of this host have come or gone. */
  private async follow(
    handleMove: (nowMs: TimeMs) => void,
    findPaths: SocketRunnerOptions<Event>['findPaths'],
  ): Promise<void> {
    const areOpen = findPaths === undefined || (await this.endpoint?.setPaths(findPaths()));
    if (this.isClosing) return;
    if (areOpen === false) this.addressWatch?.checkAgain();
    handleMove(this.nowMs);
    this.drain();
  }

  get nowMs(): TimeMs {
    return performance.now();
  }

  get addresses(): Address[] {
    return this.endpoint?.addresses ?? [];
  }

  /** Where the paths begin. */
  get pathAddresses(): Address[] {
    return this.endpoint?.pathAddresses ?? [];
  }

  /** Names where the paths begin to a machine, if there are any. */
  namePaths(machine: NamedPaths): void {
    const { pathAddresses } = this;
    if (pathAddresses.length > 0) machine.setAddresses(this.nowMs, pathAddresses);
  }

  /** Whether the system sends and receives batches of datagrams. */
  get offload(): Offload {
    return this.endpoint?.offload ?? noOffload;
  }

  /** Gives access to the multicast functions of the sockets. The runner closes the sockets. */
  get sockets(): MulticastSockets | undefined {
    return this.endpoint;
  }

  /**
   * Watches whether the ports of silent receivers refuse datagrams, until the runner is closed.
   * @param awaited returns the receivers that the machine is currently waiting for
   * @param handleRefusal called at most once per address during one period of silence. The runner then calls
   *   `drain`.
   */
  watchPorts(
    awaited: () => Iterable<AwaitedPeer>,
    handleRefusal: (index: number, from: Address, refusal: Refusal) => void,
  ): void {
    const { endpoint } = this;
    if (endpoint === undefined) return;
    this.portWatch = new PortWatch({
      sockets: endpoint,
      awaited,
      handleRefusal: (...refusal) => {
        handleRefusal(...refusal);
        this.drain();
      },
    });
  }

  drain(): void {
    this.runner.drain();
  }

  /** Drains the machine once, whatever else happens in this turn of the event loop. */
  drainSoon(): void {
    this.drainLater ??= setImmediate(this.drainNow);
  }

  private readonly drainNow = (): void => {
    this.drainLater = undefined;
    this.runner.drain();
  };

  /** Many datagrams are read in one turn, and finding out what to send takes longer than taking one. */
  private takeDatagram(from: Address, bytes: Uint8Array): void {
    this.runner.takeDatagram(from, bytes);
    this.drainSoon();
  }

  /** Sends all pending datagrams, then closes the sockets. Further calls do nothing. */
  async close(): Promise<void> {
    const { endpoint } = this;
    if (endpoint === undefined || this.isClosing) return;
    this.isClosing = true;
    this.portWatch?.close();
    this.addressWatch?.close();
    await endpoint.flush();
    this.runner.drain();
    await endpoint.flush();
    clearTimeout(this.timer);
    clearImmediate(this.immediate);
    clearImmediate(this.drainLater);
    await endpoint.close();
  }

  /**
   * Keeps one timer and moves it only to an earlier time, because without loss, deadlines are postponed far
   * more often than they expire. If the timer fires too early, it is set again.
   */
  private scheduleTimeout(atMs: TimeMs | undefined): void {
    const { nowMs } = this;
    if (atMs !== this.timeoutAtMs) {
      this.timeoutAtMs = atMs;
      this.timeoutSetAtMs = nowMs;
    }
    if (atMs === undefined) return;
    const wakesAtMs = this.wakeTimeMs(nowMs, atMs);
    if (this.wakesAtMs === undefined || wakesAtMs < this.wakesAtMs) this.arm(nowMs, wakesAtMs);
  }

  /**
   * @returns the time at which to check a deadline. While deadlines rarely expire, short deadlines are
   *   checked slightly late: they will probably be postponed, and each wait of a few milliseconds would make
   *   the system reprogram its clock, which costs a tenth of a round trip on loopback. Longer deadlines are
   *   checked exactly, and those that have passed at once, because then there is work to do.
   */
  private wakeTimeMs(nowMs: TimeMs, atMs: TimeMs): TimeMs {
    if (this.deadlines !== 'adaptive' || atMs <= nowMs) return atMs;
    const isShort = atMs - this.timeoutSetAtMs < calmTimerMs;
    const isCalm = nowMs - this.timeoutBeforeLastMs >= calmAfterMs;
    return isShort && isCalm ? Math.max(atMs, nowMs + calmTimerMs) : atMs;
  }

  private arm(nowMs: TimeMs, wakesAtMs: TimeMs): void {
    clearTimeout(this.timer);
    clearImmediate(this.immediate);
    this.wakesAtMs = wakesAtMs;
    const waitMs = wakesAtMs - nowMs;
    // Timers count whole milliseconds. On a LAN, a round trip takes a fraction of a millisecond, and timeouts
    // need that precision. The sockets are therefore polled during the last millisecond, but only if the
    // deadline will probably expire. While answers arrive, each answer postpones the deadline, and polling
    // would waste CPU time. A deadline that has expired is handled immediately, because the shortest timer is
    // too long.
    const isCoarse = this.deadlines === 'coarse';
    const isLikely = waitMs <= 0 || nowMs - this.timeoutSetAtMs >= quietMs;
    if (waitMs < 1 && isLikely && !isCoarse) {
      this.immediate = setImmediate(this.wakePolled);
    } else {
      const timerMs = isCoarse ? Math.max(0, Math.ceil(waitMs)) : waitMs;
      this.timer = setTimeout(this.wake, Math.min(timerMs, maxTimerMs));
    }
  }

  /**
   * Node runs timers before it reads sockets. After the process was suspended, read the waiting answers
   * first. Otherwise, the machine would declare every peer dead.
   */
  private readonly wake = (): void => {
    const { timeoutAtMs } = this;
    if (timeoutAtMs === undefined || timeoutAtMs > this.nowMs) this.wakePolled();
    else this.immediate = setImmediate(this.wakePolled);
  };

  private readonly wakePolled = (): void => {
    this.wakesAtMs = undefined;
    // What has arrived may have postponed the deadline. It must not wait for a turn in which nothing arrives, though:
    // on a busy host, there may be none.
    if (this.drainLater !== undefined) {
      clearImmediate(this.drainLater);
      this.drainNow();
    }
    const { timeoutAtMs, nowMs } = this;
    if (timeoutAtMs === undefined) return;
    if (timeoutAtMs <= nowMs) {
      this.wakesAtMs = undefined;
      this.timeoutBeforeLastMs = this.lastTimeoutMs;
      this.lastTimeoutMs = nowMs;
      this.runner.handleTimeout();
    } else if (this.wakesAtMs === undefined) {
      this.arm(nowMs, this.wakeTimeMs(nowMs, timeoutAtMs));
    }
  };
}

/** If a deadline has stayed unchanged for at least this time, it will probably expire. */
const quietMs = 0.25;

/** If fewer than two deadlines have expired within this time, short deadlines are checked late. */
const calmAfterMs = 25;

/** Maximum time by which the check of a short deadline is delayed; longer than a tick of the system clock. */
const calmTimerMs = 5;

/** Maximum delay of a Node timer. */
const maxTimerMs = 2 ** 31 - 1;
