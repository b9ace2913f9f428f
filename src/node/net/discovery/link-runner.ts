/** Runs a machine of discovery over any sockets, with a monotonic clock and one timer. */
import type { Address } from '../../../base/address.js';
import type { Machine, Transmit } from '../../../base/machine.js';
import { Runner } from '../../../base/machine.js';

export interface LinkRunnerOptions<Event> {
  readonly machine: Machine<Event>;
  readonly transmit: (transmit: Transmit) => void;
  readonly handleEvent: (event: Event) => void;
}

export class LinkRunner<Event> {
  private readonly runner: Runner<Event>;
  private timer: NodeJS.Timeout | undefined;
  private isClosed = false;

  constructor({ machine, transmit, handleEvent }: LinkRunnerOptions<Event>) {
    this.runner = new Runner(machine, {
      now: () => performance.now(),
      canTransmit: () => true,
      transmit,
      handleEvent,
      scheduleTimeout: (atMs) => this.schedule(atMs),
    });
  }

  drain(): void {
    if (!this.isClosed) this.runner.drain();
  }

  handleDatagram(from: Address, bytes: Uint8Array): void {
    if (!this.isClosed) this.runner.handleDatagram(from, bytes);
  }

  close(): void {
    this.isClosed = true;
    clearTimeout(this.timer);
  }

  private schedule(atMs: number | undefined): void {
    clearTimeout(this.timer);
    if (atMs === undefined || this.isClosed) return;
    const delayMs = Math.max(0, Math.ceil(atMs - performance.now()));
    this.timer = setTimeout(() => this.runner.handleTimeout(), delayMs);
  }
}
