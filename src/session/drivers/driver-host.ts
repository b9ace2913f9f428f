/** What a driver needs from the host that runs its machine. */
import type { TimeMs } from '../../base/machine.js';

export interface DriverHost {
  /** The current time of the machine. */
  readonly nowMs: TimeMs;
  /** Handles everything that the machine has to send and to report. */
  drain(): void;
}

/**
 * Calls a machine when an operation ends, and drains it, unless that happens while an event is handled: the host
 * drains the machine then anyway.
 */
export class MachineCalls {
  private handling = 0;
  private isStopped = false;

  constructor(private readonly host: DriverHost) {}

  /** Handles an event of the machine. Operations can end meanwhile. */
  during(handle: () => void): void {
    this.handling++;
    try {
      handle();
    } finally {
      this.handling--;
    }
  }

  /** Passes the result of an operation to the machine. */
  call(take: (nowMs: TimeMs) => void): void {
    if (this.isStopped) return;
    take(this.host.nowMs);
    if (this.handling === 0) this.host.drain();
  }

  /** The machine is gone; whatever ends later is ignored. */
  stop(): void {
    this.isStopped = true;
  }
}
