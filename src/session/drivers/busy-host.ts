/**
 * The host that a machine gives to its own drivers. While the machine is in a call, nothing is drained for them: the shell
 * drains the machine after each call anyway.
 */
import type { TimeMs } from '../../base/machine.js';
import type { DriverHost } from './driver-host.js';

export class BusyHost implements DriverHost {
  /** How deep the machine is in its own calls. */
  private depth = 0;

  constructor(private readonly shell: DriverHost) {}

  get nowMs(): TimeMs {
    return this.shell.nowMs;
  }

  drain(): void {
    if (this.depth === 0) this.shell.drain();
  }

  /** Does a part of a call of the machine. @returns what the work returns */
  during<T>(work: () => T): T {
    this.depth++;
    try {
      return work();
    } finally {
      this.depth--;
    }
  }
}
