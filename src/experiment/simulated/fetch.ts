/** Executes one fetch from several sources in virtual time. */
import { assert } from '../../base/assert.js';
import { withoutUndefined } from '../../base/without-undefined.js';
import { MemoryStores } from '../../object/memory-store.js';
import type { Link } from '../../simulator/link.js';
import { EndpointRole } from '../../simulator/roles/endpoint.js';
import { FetchRole } from '../../simulator/roles/fetch.js';
import { createSimulatedCrypto } from '../../simulator/session-crypto.js';
import { Simulation } from '../../simulator/simulation.js';
import { createContent } from '../../simulator/transfer.js';
import { deathMs, deathsOf, sourceRates } from '../fetch-model.js';
import { linkOverheadBytes } from '../model.js';
import type { Point } from '../parameters.js';
import { createLossSpec } from '../parameters.js';
import type { RunResult } from '../run-result.js';
import { countSent, isFetched, servedObject } from './served-object.js';

const client = 'client';
const objectName = 'object';

/** Simulates a fetch and compares its content. */
export function simulateFetch(point: Point, seed: string, rttMs: number): RunResult {
  const { fileSizeBytes, mssBytes, split = 'speed', queueBytes } = point;
  const simulation = new Simulation({ seed });
  const content = createContent(seed, fileSizeBytes);
  const { hash } = createSimulatedCrypto(seed, '');
  const object = servedObject(objectName, content);
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
  return {
    delayMs: result.elapsedMs,
    ...{ rounds: 0, timeouts: 0, retransmissions: 0 },
    datagrams: countSent(downLinks),
    acks: countSent(upLinks),
    completeReceivers: isFetched(result, stores, content) ? 1 : 0,
    rttMs,
  };
}
