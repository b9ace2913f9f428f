/** The shell of real sockets: runs one machine on an endpoint, a monotonic clock and one timer. */
import type { Address } from '../../base/address.js';
import type { Machine, TimeMs } from '../../base/machine.js';
import { Runner } from '../../base/machine.js';
import type { RefusalCode } from '../../base/refusal.js';
import { Endpoint } from './endpoint.js';
import type { Offload } from './offload/offload-socket.js';
import { noOffload } from './offload/offload-socket.js';
import type { AwaitedPeer } from './port-watch.js';
import { PortWatch } from './port-watch.js';

/**
 * How exactly deadlines are kept. `exact`: to a fraction of a millisecond, for which the process polls;
 * `adaptive`: the same, but short ones a little late while they rarely pass; `coarse`: to a millisecond or
 * two, at the cost of nothing.
 */
export type DeadlinePolicy = 'exact' | 'adaptive' | 'coarse';

export interface SocketRunnerOptions<Event> {
  readonly machine: Machine<Event>;
  readonly bind?: readonly string[];
  readonly port: number;
  readonly deadlines?: DeadlinePolicy;
  /** Whether the machine takes datagrams that came together as one piece. */
  readonly receivesBatches?: boolean;
  readonly handleEvent: (event: Event) => void;
  readonly handleSendError: (error: NodeJS.ErrnoException) => void;
}

export class SocketRunner<Event> {
  private readonly runner: Runner<Event>;
  private readonly deadlines: DeadlinePolicy;
  private endpoint: Endpoint | undefined;
  private portWatch: PortWatch | undefined;
  private isClosing = false;
  private timer: NodeJS.Timeout | undefined;
  private immediate: NodeJS.Immediate | undefined;
  /** When the timer or the immediate fires. */
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

  /** Opens the sockets; the machine starts with the first `drain`. */
  static async open<Event>(options: SocketRunnerOptions<Event>): Promise<SocketRunner<Event>> {
    const { bind, port, receivesBatches = false, handleSendError } = options;
    const runner = new SocketRunner(options);
    runner.endpoint = await Endpoint.open({
      ...(bind === undefined ? {} : { bind }),
      port,
      receivesBatches,
      handleDatagram: (from, bytes) => runner.runner.handleDatagram(from, bytes),
      handleWritable: () => runner.runner.drain(),
      handleSendError,
    });
    return runner;
  }

  get nowMs(): TimeMs {
    return performance.now();
  }

  get addresses(): Address[] {
    return this.endpoint?.addresses ?? [];
  }

  /** What the system does for batches of datagrams. */
  get offload(): Offload {
    return this.endpoint?.offload ?? noOffload;
  }

  /** For groups; closed with the runner. */
  get sockets(): Pick<Endpoint, 'joinGroup' | 'leaveGroup' | 'sendGroupsBy'> | undefined {
    return this.endpoint;
  }

  /**
   * Watches whether ports of silent receivers refuse what is sent there, until the runner is closed.
   * @param awaited the receivers whose answers are awaited now
   * @param handleRefusal is called once for each place and each silence; the machine is drained afterwards
   */
  watchPorts(
    awaited: () => Iterable<AwaitedPeer>,
    handleRefusal: (index: number, from: Address, code: RefusalCode) => void,
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

  /** Sends what is left to send, and closes; once is enough. */
  async close(): Promise<void> {
    const { endpoint } = this;
    if (endpoint === undefined || this.isClosing) return;
    this.isClosing = true;
    this.portWatch?.close();
    await endpoint.flush();
    this.runner.drain();
    await endpoint.flush();
    clearTimeout(this.timer);
    clearImmediate(this.immediate);
    await endpoint.close();
  }

  /**
   * Keeps one timer, moved only to an earlier time: in a transfer without loss, deadlines are put
   * off far more often than they pass, and the timer that fires too early just looks again.
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
   * When to look at a deadline. While they rarely pass, a short one is not likely to either, and a little
   * late will do: each wait that ends within milliseconds has the system set its clock anew, which
   * costs a tenth of a round trip on loopback. A longer one is kept to: late by half would be wrong.
   */
  private wakeTimeMs(nowMs: TimeMs, atMs: TimeMs): TimeMs {
    if (this.deadlines !== 'adaptive') return atMs;
    const isShort = atMs - this.timeoutSetAtMs < calmTimerMs;
    const isCalm = nowMs - this.timeoutBeforeLastMs >= calmAfterMs;
    return isShort && isCalm ? Math.max(atMs, nowMs + calmTimerMs) : atMs;
  }

  private arm(nowMs: TimeMs, wakesAtMs: TimeMs): void {
    clearTimeout(this.timer);
    clearImmediate(this.immediate);
    this.wakesAtMs = wakesAtMs;
    const waitMs = wakesAtMs - nowMs;
    // Timers count whole milliseconds; on a LAN a round trip takes a fraction of one, and so should
    // a timeout. What is left below one is spent polling the sockets, once it is likely that the
    // deadline will pass: while answers come, each puts it off, and polling would only burn a core.
    // One that has passed already, because the work took longer, must not wait for a timer's least.
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
   * Timers fire before the sockets are read. Where the process stood still meanwhile, the answers are there,
   * and they come first: else a machine that slept for a while would give up on everybody.
   */
  private readonly wake = (): void => {
    const { timeoutAtMs } = this;
    if (timeoutAtMs === undefined || timeoutAtMs > this.nowMs) this.wakePolled();
    else this.immediate = setImmediate(this.wakePolled);
  };

  private readonly wakePolled = (): void => {
    this.wakesAtMs = undefined;
    const { timeoutAtMs, nowMs } = this;
    if (timeoutAtMs === undefined) return;
    if (timeoutAtMs <= nowMs) {
      this.timeoutBeforeLastMs = this.lastTimeoutMs;
      this.lastTimeoutMs = nowMs;
      this.runner.handleTimeout();
    } else {
      this.arm(nowMs, this.wakeTimeMs(nowMs, timeoutAtMs));
    }
  };
}

/** A deadline that has stood for this long is likely to pass. */
const quietMs = 0.25;

/** With less than two timeouts within this time, deadlines are looked at less often. */
const calmAfterMs = 25;

/** How much later a deadline may be noticed then: above the grain of the system's own tick. */
const calmTimerMs = 5;

/** The longest wait that a timer of Node takes. */
const maxTimerMs = 2 ** 31 - 1;
