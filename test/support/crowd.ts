/** Hosts that fetch the same object at about the same time, in virtual time. */
import type { TimeMs } from '../../src/base/machine.js';
import { DigestTree } from '../../src/object/digest-tree.js';
import { hashLeaf } from '../../src/object/hash-tree.js';
import { MemoryStores } from '../../src/object/memory-store.js';
import type { SimulatedHost } from '../../src/simulator/host.js';
import { FetchRole, type FetchRoleOptions } from '../../src/simulator/roles/fetch.js';
import type { ServedObject } from '../../src/simulator/roles/serving.js';
import { createSimulatedCrypto } from '../../src/simulator/session-crypto.js';
import { createContent } from '../../src/simulator/transfer.js';
import { type AskingRun, type HostPlan, runAsking } from './asking-hosts.js';

const blockSizeBytes = 4000;
const { hash } = createSimulatedCrypto('', '');

/** An object whose digests are known before it is sent. */
export function servedWithDigests(name: string, blockCount: number): ServedObject {
  const content = createContent(name, blockCount * blockSizeBytes - 100);
  const digestTree = new DigestTree(hash, blockCount);
  for (let i = 0; i < blockCount; i++) {
    const block = content.subarray(i * blockSizeBytes, (i + 1) * blockSizeBytes);
    digestTree.set(i, hashLeaf(hash, block));
  }
  return { name, content, digestTree };
}

export interface CrowdClient {
  readonly atMs?: TimeMs;
  /** Of its paths, in bytes per second; 500,000 by default. */
  readonly rate?: number;
  readonly options?: Partial<FetchRoleOptions>;
  /** When the host is killed, and started again. */
  readonly killAtMs?: TimeMs;
  readonly startAtMs?: TimeMs;
}

export interface CrowdPlan {
  readonly seed?: string;
  readonly servers: Readonly<Record<string, HostPlan>>;
  readonly clients: readonly CrowdClient[];
  readonly lossProbability?: number;
  readonly untilMs?: number;
}

export interface CrowdRun {
  readonly servers: AskingRun;
  readonly roles: readonly FetchRole[];
  /** Payload that a server sent; what goes to the group counts once. */
  sentBytes(server: string): number;
  /** Whether this client durably holds the content, and says so. */
  holds(client: number, object: ServedObject): boolean;
  /** From its start to its end. */
  elapsedMs(client: number): number;
}

export function runCrowd(plan: CrowdPlan): CrowdRun {
  const { seed = '1', servers: hosts, clients, lossProbability = 0, untilMs = 300_000 } = plan;
  const roles: FetchRole[] = [];
  const stores: MemoryStores[] = [];
  const servers = runAsking({
    ...{ seed, hosts, lossProbability, untilMs },
    prepare: ({ simulation }) => {
      for (const [i, { atMs = 0, rate = 500_000, options, ...faults }] of clients.entries()) {
        const name = `client ${i}`;
        const timing = { clock: simulation, writeTimeMs: 0.2, storeTimeMs: 5, checkpointMs: 20 };
        const own = new MemoryStores({ hash, timing });
        const role = new FetchRole(simulation, {
          ...{ name, stores: own, from: Object.keys(hosts), what: { name: 'object' } },
          ...{ mssBytes: 500, blockSizeBytes },
          ...options,
        });
        roles.push(role);
        stores.push(own);
        for (const server of Object.keys(hosts)) {
          for (const [from, to] of [
            [name, server],
            [server, name],
          ] as const) {
            const link = simulation.createLink(`${from} ${to}`, {
              ...{ delayMs: 5, rateBytesPerSec: rate, queueLimitBytes: 50_000 },
              loss: { model: 'bernoulli', probability: lossProbability },
            });
            simulation.connect(from, to, [link]);
          }
        }
        let host: SimulatedHost | undefined;
        simulation.at(atMs, () => {
          host = simulation.addRole(name, role);
        });
        const { killAtMs, startAtMs } = faults;
        if (killAtMs !== undefined) simulation.at(killAtMs, () => host?.inject('kill'));
        if (startAtMs !== undefined) simulation.at(startAtMs, () => host?.inject('start'));
      }
    },
  });
  return {
    ...{ servers, roles },
    sentBytes: (server) =>
      servers.host(server).role.sent.reduce((sum, { result }) => sum + result.bytesSent, 0),
    holds: (client, { content }) => {
      const result = roles[client]?.results.at(-1);
      if (result?.status !== 'complete' || result.object === undefined) return false;
      const blocks = [...(stores[client]?.blocksOf(result.object.manifestDigest) ?? [])];
      blocks.sort(([i], [j]) => i - j);
      return Buffer.concat(blocks.map(([, bytes]) => bytes)).equals(content);
    },
    elapsedMs: (client) => roles[client]?.results.at(-1)?.elapsedMs ?? Infinity,
  };
}
