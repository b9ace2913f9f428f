/** The disk of a simulated host. It does one operation at a time. */
import type { TimeMs } from '../base/machine.js';
import type { SimulatedHost } from './host.js';

/** A disk that stops with its host: an operation that a kill interrupts has no effect. */
export class SimulatedDisk {
  private freeAtMs: TimeMs = 0;

  constructor(
    private readonly clock: { readonly nowMs: TimeMs },
    private readonly host: SimulatedHost,
  ) {}

  get isIdle(): boolean {
    return this.freeAtMs <= this.clock.nowMs;
  }

  /** Runs `action` when the disk has done everything before it and then worked for `timeMs`. */
  perform(timeMs: number, action: () => void): void {
    this.freeAtMs = Math.max(this.freeAtMs, this.clock.nowMs) + timeMs;
    this.host.at(this.freeAtMs, action);
  }
}
