/** A simulated host that fetches one object from several sources. If it is killed and started again, it resumes. */
import type { Machine } from '../../base/machine.js';
import type { MemoryStores } from '../../object/memory-store.js';
import type { FetchMachineOptions } from '../../roles/fetch/fetch-machine.js';
import { FetchMachine } from '../../roles/fetch/fetch-machine.js';
import type { FetchResult, FetchRoleEvent } from '../../roles/fetch/fetch-result.js';
import { commonAllocationBytes } from '../../session/object-limits.js';
import type { Role, SimulatedHost } from '../host.js';
import { createMachineCrypto, simulatedKey } from '../session-crypto.js';
import { Simulation } from '../simulation.js';

export interface FetchRoleOptions
  extends Pick<
    FetchMachineOptions,
    | 'what'
    | 'split'
    | 'graceMs'
    | 'patienceMs'
    | 'mssBytes'
    | 'blockSizeBytes'
    | 'existing'
    | 'bufferBytes'
  > {
  /** The host's name, which also determines its key. */
  readonly name: string;
  /** What the host holds on its disk. */
  readonly stores: MemoryStores;
  /** Whether multicast reaches the host; true by default. */
  readonly hearsGroups?: boolean;
  /** The key of the host that says which content the name has; by default, the sources say it. */
  readonly originKey?: Uint8Array;
  /** Addresses of the sources. */
  readonly from: readonly string[];
  /** @returns why not to take anything from a host with this key */
  readonly refuseServer?: (serverKey: Uint8Array) => string | undefined;
}

export class FetchRole implements Role<FetchRoleEvent> {
  /** One result for each life of the host that reached an end. */
  readonly results: FetchResult[] = [];
  readonly events: FetchRoleEvent[] = [];
  private machine: FetchMachine | undefined;
  private lives = 0;

  constructor(
    private readonly simulation: Simulation,
    private readonly options: FetchRoleOptions,
  ) {}

  /** The running fetch; undefined before the first life. */
  get fetch(): FetchMachine | undefined {
    return this.machine;
  }

  boot(host: SimulatedHost): Machine<FetchRoleEvent> {
    const { simulation, options } = this;
    const { name, from, originKey } = options;
    const receiverKey = simulatedKey(name);
    this.lives++;
    this.machine = new FetchMachine({
      ...options,
      crypto: createMachineCrypto(simulation.seed, name, `${this.lives}`),
      ownKey: receiverKey,
      ...(originKey !== undefined && { origin: { originKey, receiverKey } }),
      platform: 'posix',
      limits: { maxBytes: Infinity, maxEntries: Infinity, allocationBytes: commonAllocationBytes },
      sources: from.map((source) => ({ name: source, address: Simulation.address(source) })),
      host,
    });
    return this.machine;
  }

  handleEvent(event: FetchRoleEvent): void {
    this.events.push(event);
    if (event.type === 'end') this.results.push(event.result);
    if (event.type === 'join') this.joinGroup(event.group.host);
    if (event.type !== 'identify') return;
    const { refuseServer = () => undefined } = this.options;
    this.machine?.trust(this.simulation.nowMs, event.ask, refuseServer(event.serverKey));
  }

  private joinGroup(group: string): void {
    const { name, hearsGroups = true } = this.options;
    if (hearsGroups) this.simulation.joinGroup(group, name);
  }

  handleKill(): void {
    this.options.stores.crash();
  }
}
