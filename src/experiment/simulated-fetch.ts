/** Executes one fetch from several sources in virtual time. */
import { assert } from '../base/assert.js';
import { withoutUndefined } from '../base/without-undefined.js';
import { DigestTree } from '../object/digest-tree.js';
import { hashLeaf } from '../object/hash-tree.js';
import { MemoryStores } from '../object/memory-store.js';
import type { Link } from '../simulator/link.js';
import { EndpointRole } from '../simulator/roles/endpoint.js';
import { FetchRole } from '../simulator/roles/fetch.js';
import { createSimulatedCrypto } from '../simulator/session-crypto.js';
import { Simulation } from '../simulator/simulation.js';
import { createContent } from '../simulator/transfer.js';
import { standardBlockSizeBytes } from '../wire/sizes.js';
import { deathMs, deathsOf, sourceRates } from './fetch-model.js';
import { linkOverheadBytes } from './model.js';
import type { Point } from './parameters.js';
import { createLossSpec } from './parameters.js';
import type { RunResult } from './run-result.js';

const client = 'client';
const objectName = 'object';

/** Simulates a fetch and compares its content. */
export function simulateFetch(point: Point, seed: string, rttMs: number): RunResult {
  const { fileSizeBytes, mssBytes, split = 'speed', queueBytes } = point;
  const simulation = new Simulation({ seed });
  const content = createContent(seed, fileSizeBytes);
  const { hash } = createSimulatedCrypto(seed, '');
  const object = { name: objectName, content, digestTree: digestsOf(content, hash) };
  const rates = sourceRates(point);
  const names = rates.map((_, i) => `s${i + 1}`);
  const sources = names.map((name) => {
    const stores = new MemoryStores({ hash });
    return new EndpointRole(simulation, { name, stores, serves: [object], mssBytes });
  });
  const stores = new MemoryStores({ hash });
  const role = new FetchRole(simulation, {
    ...{ name: client, stores, from: names, what: { name: objectName }, split, mssBytes },
  });
  simulation.addRole(client, role);
  const downLinks: Link[] = [];
  const upLinks: Link[] = [];
  for (const [i, name] of names.entries()) {
    const host = simulation.addRole(name, sources[i] as EndpointRole);
    if (i < deathsOf(point)) simulation.at(deathMs(point), () => host.inject('kill'));
    const link = {
      ...{ delayMs: rttMs / 2, rateBytesPerSec: rates[i] as number },
      ...{ overheadBytes: linkOverheadBytes, loss: createLossSpec(point) },
      ...withoutUndefined({ queueLimitBytes: queueBytes }),
    };
    const [down, up] = [
      simulation.createLink(`from ${name}`, link),
      simulation.createLink(`to ${name}`, link),
    ];
    simulation.connect(name, client, [down]);
    simulation.connect(client, name, [up]);
    downLinks.push(down);
    upLinks.push(up);
  }
  simulation.run({ isOver: () => role.results.length > 0 });
  const [result] = role.results;
  assert(result !== undefined, 'a simulated fetch ends');
  const stored = result.object && stores.blocksOf(result.object.manifestDigest);
  const isIdentical = stored !== undefined && isContent(stored, content);
  return {
    delayMs: result.elapsedMs,
    ...{ rounds: 0, timeouts: 0, retransmissions: 0 },
    datagrams: countSent(downLinks),
    acks: countSent(upLinks),
    completeReceivers: result.status === 'complete' && isIdentical ? 1 : 0,
    rttMs,
  };
}

function countSent(links: readonly Link[]): number {
  return links.reduce((sum, { counts }) => sum + counts.sent, 0);
}

function digestsOf(content: Uint8Array, hash: (bytes: Uint8Array) => Uint8Array): DigestTree {
  const blockCount = Math.ceil(content.length / standardBlockSizeBytes);
  const tree = new DigestTree(hash, blockCount);
  for (let i = 0; i < blockCount; i++) {
    const start = i * standardBlockSizeBytes;
    tree.set(i, hashLeaf(hash, content.subarray(start, start + standardBlockSizeBytes)));
  }
  return tree;
}

function isContent(blocks: ReadonlyMap<number, Uint8Array>, content: Uint8Array): boolean {
  let sizeBytes = 0;
  for (const [block, bytes] of blocks) {
    const start = block * standardBlockSizeBytes;
    if (bytes.some((byte, i) => byte !== content[start + i])) return false;
    sizeBytes += bytes.length;
  }
  return sizeBytes === content.length;
}
