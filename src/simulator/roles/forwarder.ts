/**
 * A simulated relay that sends objects on. If it is killed and started again, what was passing is still there as far as
 * it was durable.
 */
import type { Machine } from '../../base/machine.js';
import { withoutUndefined } from '../../base/without-undefined.js';
import type { ContentStores } from '../../object/content-store.js';
import type { MemoryStores } from '../../object/memory-store.js';
import { ForwardMachine } from '../../roles/forward/forward-machine.js';
import type { ForwardEvent } from '../../roles/forward/forwarder.js';
import type { SessionCrypto } from '../../security/crypto.js';
import type { IncomingResult } from '../../session/receiver-events.js';
import type { Role, SimulatedHost } from '../host.js';
import { createMachineCrypto } from '../session-crypto.js';
import { Simulation } from '../simulation.js';

export interface ForwarderRoleOptions {
  /** The host's name, which also determines its key. */
  readonly name: string;
  /** What the host holds on its disk. */
  readonly stores: MemoryStores;
  /** Addresses of the receivers behind it. */
  readonly to: readonly string[];
  /** The multicast group of its sessions; none by default. */
  readonly group?: string;
  /** Changes what the relay keeps, to make it false. */
  readonly wrapStores?: (stores: ContentStores) => ContentStores;
  /** Changes how the relay seals what it sends on, to make it false. */
  readonly wrapCrypto?: (crypto: SessionCrypto) => SessionCrypto;
  readonly mssBytes?: number;
  readonly blockSizeBytes?: number;
  readonly livenessTimeoutMs?: number;
}

export class ForwarderRole implements Role<ForwardEvent> {
  readonly events: ForwardEvent[] = [];
  /** What came of what it received. */
  readonly received: IncomingResult[] = [];
  private machine: ForwardMachine | undefined;
  private lives = 0;
  private sessionCount = 0;

  constructor(
    private readonly simulation: Simulation,
    private readonly options: ForwarderRoleOptions,
  ) {}

  boot(host: SimulatedHost): Machine<ForwardEvent> {
    const { name, to, group, stores, mssBytes, blockSizeBytes, livenessTimeoutMs } = this.options;
    const { wrapStores = (each: ContentStores) => each } = this.options;
    const { wrapCrypto = (each: SessionCrypto) => each } = this.options;
    this.lives++;
    this.machine = new ForwardMachine({
      ...{ name, platform: 'posix', host, crypto: this.cryptoFor('relay') },
      refuseSender: () => undefined,
      refuseRelay: () => undefined,
      stores: wrapStores(stores),
      receivers: to.map((each) => ({ name: each, address: Simulation.address(each) })),
      createTerms: () => {
        this.sessionCount++;
        return {
          crypto: wrapCrypto(this.cryptoFor(`session ${this.sessionCount}`)),
          ...withoutUndefined({ mssBytes, blockSizeBytes, livenessTimeoutMs }),
          ...(group === undefined ? {} : { group: Simulation.address(group) }),
        };
      },
      ...withoutUndefined({ blockSizeBytes }),
    });
    return this.machine;
  }

  handleEvent(event: ForwardEvent): void {
    this.events.push(event);
    const { nowMs } = this.simulation;
    if (event.type === 'identify') {
      this.machine?.trust(nowMs, event.sender, event.index, event.receiverKey);
    } else if (event.type === 'received') {
      const { event: received } = event;
      if (received.type === 'end') this.received.push(received.result);
      else if (received.type === 'join')
        this.simulation.joinGroup(received.group.host, this.options.name);
    }
  }

  handleKill(): void {
    this.machine?.forwarder.stop();
    this.options.stores.crash();
  }

  private cryptoFor(purpose: string) {
    const { simulation, lives, options } = this;
    return createMachineCrypto(simulation.seed, options.name, `${purpose} ${lives}`);
  }
}
