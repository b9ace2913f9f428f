/**
 * How many blocks may be in flight: as many as the path carries without a queue. Loss says little (a radio
 * link loses without being full), so the round trip steers: it grows where a queue does, a socket's
 * buffer among them (the idea of TCP Vegas, Brakmo and Peterson 1995).
 */
export class FlightWindow {
  private blocks: number;
  private lastShrinkMs = -Infinity;
  private isStarting = true;

  constructor(
    private readonly maxBlocks: number,
    initialBlocks = 4,
  ) {
    this.blocks = Math.min(initialBlocks, maxBlocks);
  }

  get limit(): number {
    return Math.max(1, Math.floor(this.blocks));
  }

  /**
   * A report has come.
   * @param rttMs its round trip, without the time that the receiver held it
   * @param minRttMs the shortest that there was with this receiver
   */
  handleSample(nowMs: number, rttMs: number, minRttMs: number): void {
    const isQueueing = rttMs > 2 * minRttMs + queueAllowanceMs;
    if (!isQueueing) {
      this.blocks = Math.min(this.maxBlocks, this.blocks + (this.isStarting ? 1 : 1 / this.blocks));
    } else if (nowMs - this.lastShrinkMs > rttMs) {
      this.isStarting = false;
      this.lastShrinkMs = nowMs;
      this.blocks = Math.min(this.maxBlocks, Math.max(2, this.blocks * 0.75));
    }
  }
}

/** A queue of this length is none: timers are coarse, and a host that sends much reads late. */
const queueAllowanceMs = 20;
