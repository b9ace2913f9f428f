/** A simulated host that can be killed, restarted and disconnected. */
import type { Machine } from '../base/machine.js';
import type { SimulatedHost, Simulation } from './simulation.js';

/** A fault of a host or of its network connection, or the recovery from such a fault. */
export type HostFault =
  /** The host is killed. It loses its memory and all data that is not yet durable. */
  | 'kill'
  /** The host is restarted. A restarted sender begins a new session. */
  | 'start'
  /** The host is disconnected. No datagram reaches or leaves it. */
  | 'disconnect'
  | 'reconnect';

/** Base of a simulated host into which faults can be injected. */
export abstract class CrashableHost<Event extends object> {
  protected host: SimulatedHost | undefined;
  protected isDisconnected = false;

  constructor(
    protected readonly simulation: Simulation,
    readonly name: string,
    private readonly sendTimeMs: number,
  ) {}

  /** Injects a fault, or ends one. */
  inject(fault: HostFault): void {
    const { host } = this;
    switch (fault) {
      case 'disconnect':
        this.isDisconnected = true;
        break;
      case 'reconnect':
        this.isDisconnected = false;
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
  /** Called for each datagram sent. */
  protected handleTransmit(): void {}
  /** Called after the machine has handled a datagram. */
  protected handleTaken(): void {}

  protected startMachine(): void {
    const machine = this.createMachine();
    const wrapped: Machine<Event> = {
      handleDatagram: (nowMs, from, bytes) => {
        if (this.isDisconnected) return;
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
          if (this.isDisconnected) continue;
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
