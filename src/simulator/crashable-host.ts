/** A machine in the simulated network that can be killed, started again, and cut off. */
import type { Machine } from '../base/machine.js';
import type { SimulatedHost, Simulation } from './simulation.js';

/** What happens to a host: a kill, a power failure, a restart. */
export type HostFate =
  /** Killed: its memory is gone, and what its disk had not made durable. */
  | 'kill'
  /** Started again; a sender begins a new session. */
  | 'start'
  /** Nothing reaches it, nothing leaves it. */
  | 'cut'
  | 'mend';

/** A machine that can be cut off from its network. */
export abstract class MortalHost<Event extends object> {
  protected host: SimulatedHost | undefined;
  protected isCut = false;

  constructor(
    protected readonly simulation: Simulation,
    readonly name: string,
    private readonly sendTimeMs: number,
  ) {}

  suffer(fate: HostFate): void {
    const { host } = this;
    switch (fate) {
      case 'cut':
        this.isCut = true;
        break;
      case 'mend':
        this.isCut = false;
        break;
      case 'kill':
        if (host === undefined || host.isDown) return;
        host.isDown = true;
        this.handleKill();
        break;
      case 'start':
        if (host?.isDown === true) this.startMachine();
        break;
    }
  }

  protected abstract createMachine(): Machine<Event>;
  protected abstract handleEvent(event: Event): void;
  protected abstract handleKill(): void;
  /** A datagram leaves. */
  protected handleTransmit(): void {}
  /** A datagram has been taken in. */
  protected handleTaken(): void {}

  protected startMachine(): void {
    const machine = this.createMachine();
    const wrapped: Machine<Event> = {
      handleDatagram: (nowMs, from, bytes) => {
        if (this.isCut) return;
        machine.handleDatagram(nowMs, from, bytes);
        this.handleTaken();
      },
      handleTimeout: (nowMs) => machine.handleTimeout(nowMs),
      pollTimeout: () => machine.pollTimeout(),
      pollEvent: () => machine.pollEvent(),
      pollTransmit: (nowMs) => {
        for (;;) {
          const transmit = machine.pollTransmit(nowMs);
          if (transmit === undefined) return undefined;
          if (this.isCut) continue;
          this.handleTransmit();
          return transmit;
        }
      },
    };
    const handleEvent = (event: Event) => this.handleEvent(event);
    if (this.host === undefined) {
      const { sendTimeMs } = this;
      this.host = this.simulation.addHost(this.name, wrapped, handleEvent, { sendTimeMs });
    } else {
      this.simulation.restart(this.host, wrapped, handleEvent);
    }
  }
}
