/** Hosts in virtual time that ask each other for objects, on one port each. */
import { MemoryStores } from '../../src/object/memory-store.js';
import type { SimulatedHost } from '../../src/simulator/host.js';
import type { LinkOptions } from '../../src/simulator/link.js';
import { EndpointRole, type EndpointRoleOptions } from '../../src/simulator/roles/endpoint.js';
import { createSimulatedCrypto } from '../../src/simulator/session-crypto.js';
import { Simulation, type SimulationOptions } from '../../src/simulator/simulation.js';
import { createContent } from '../../src/simulator/transfer.js';

export type HostPlan = Omit<EndpointRoleOptions, 'name' | 'stores'>;

export interface AskingOptions {
  readonly seed: string;
  readonly hosts: Readonly<Record<string, HostPlan>>;
  readonly lossProbability?: number;
  readonly link?: Partial<LinkOptions>;
  readonly untilMs?: number;
  readonly intercept?: SimulationOptions['intercept'];
  /** Plans faults and other events before the simulation runs. */
  readonly prepare?: (run: AskingRun) => void;
}

export interface AskingHost {
  readonly role: EndpointRole;
  readonly stores: MemoryStores;
  readonly host: SimulatedHost;
}

export interface AskingRun {
  readonly simulation: Simulation;
  readonly isAtRest: boolean;
  host(name: string): AskingHost;
}

const { hash } = createSimulatedCrypto('', '');
const sizes = { mssBytes: 500, blockSizeBytes: 4000 };

/** Content whose size identifies it. */
export const served = (name: string, sizeBytes: number) => ({
  name,
  content: createContent(name, sizeBytes),
});

export function runAsking(options: AskingOptions): AskingRun {
  const { seed, hosts: plans, lossProbability = 0, untilMs = 300_000, intercept } = options;
  const simulation = new Simulation({ seed, ...(intercept === undefined ? {} : { intercept }) });
  const hosts = new Map<string, AskingHost>();
  for (const [name, plan] of Object.entries(plans)) {
    const timing = { clock: simulation, writeTimeMs: 0.2, storeTimeMs: 5, checkpointMs: 20 };
    const stores = new MemoryStores({ hash, timing });
    const role = new EndpointRole(simulation, { name, stores, ...sizes, ...plan });
    hosts.set(name, { role, stores, host: simulation.addRole(name, role) });
  }
  for (const from of hosts.keys()) {
    for (const to of hosts.keys()) {
      const link = simulation.createLink(`${from} ${to}`, {
        delayMs: 5,
        rateBytesPerSec: 500_000,
        queueLimitBytes: 100_000,
        loss: { model: 'bernoulli', probability: lossProbability },
        ...options.link,
      });
      if (from !== to) simulation.connect(from, to, [link]);
    }
  }
  const run = {
    simulation,
    isAtRest: false,
    host: (name: string) => hosts.get(name) as AskingHost,
  };
  options.prepare?.(run);
  return { ...run, isAtRest: simulation.run({ untilMs }) };
}

/** Whether the host durably holds the object, and reported it as complete. */
export function holds({ role, stores }: AskingHost, object: ReturnType<typeof served>): boolean {
  const result = role.received.find(
    ({ label, status }) => label === object.name && status === 'complete',
  );
  if (result === undefined) return false;
  const blocks = [...(stores.blocksOf(result.manifestDigest) ?? [])].sort(([i], [j]) => i - j);
  return Buffer.concat(blocks.map(([, bytes]) => bytes)).equals(object.content);
}

/** The kinds of the events of a host's asks, without faults. */
export function answersOf({ role }: AskingHost): string[] {
  return role.answers.flatMap(({ type }) => (type === 'fault' ? [] : [type]));
}
