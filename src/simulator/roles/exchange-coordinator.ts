/** A simulated coordinator of an exchange. If it is killed and started again, it learns everything again. */
import type { Machine } from '../../base/machine.js';
import { withoutUndefined } from '../../base/without-undefined.js';
import type { CoordinatorOptions } from '../../roles/exchange/coordinator.js';
import type { CoordinatorMachineEvent } from '../../roles/exchange/coordinator-machine.js';
import { CoordinatorMachine } from '../../roles/exchange/coordinator-machine.js';
import { standardBlockSizeBytes } from '../../wire/sizes.js';
import type { Role, SimulatedHost } from '../host.js';
import { createSimulatedCrypto } from '../session-crypto.js';
import type { Simulation } from '../simulation.js';

export interface ExchangeCoordinatorRoleOptions
  extends Omit<CoordinatorOptions, 'blockSizeBytes'>,
    Partial<Pick<CoordinatorOptions, 'blockSizeBytes'>> {
  /** The host's name, which also determines its key. */
  readonly name: string;
  /** @returns why a host with this key may not take part */
  readonly refusePeer?: (key: Uint8Array) => string | undefined;
}

export class ExchangeCoordinatorRole implements Role<CoordinatorMachineEvent> {
  readonly events: CoordinatorMachineEvent[] = [];
  private machine: CoordinatorMachine | undefined;
  private lives = 0;

  constructor(
    private readonly simulation: Simulation,
    private readonly options: ExchangeCoordinatorRoleOptions,
  ) {}

  /** The coordinator of this life. */
  get coordinator() {
    return this.machine?.coordinator;
  }

  boot(_host: SimulatedHost): Machine<CoordinatorMachineEvent> {
    const { simulation, options } = this;
    const { name, refusePeer = () => undefined, blockSizeBytes = standardBlockSizeBytes } = options;
    this.lives++;
    const { random } = createSimulatedCrypto(simulation.seed, `${name} ${this.lives}`);
    this.machine = new CoordinatorMachine({
      ...options,
      ...withoutUndefined({ blockSizeBytes }),
      crypto: { ...createSimulatedCrypto(simulation.seed, name), random },
      refuseAsker: refusePeer,
    });
    return this.machine;
  }

  handleEvent(event: CoordinatorMachineEvent): void {
    this.events.push(event);
  }
}
