/** Executes one fetch of several receivers through a chain of relays in virtual time. */
import { assert } from '../../base/assert.js';
import { withoutUndefined } from '../../base/without-undefined.js';
import { MemoryStores } from '../../object/memory-store.js';
import type { Link, LinkOptions } from '../../simulator/link.js';
import { EndpointRole } from '../../simulator/roles/endpoint.js';
import { FetchRole } from '../../simulator/roles/fetch.js';
import { RelayRole } from '../../simulator/roles/relay.js';
import { createSimulatedCrypto } from '../../simulator/session-crypto.js';
import { Simulation } from '../../simulator/simulation.js';
import { createContent } from '../../simulator/transfer.js';
import { linkOverheadBytes } from '../model.js';
import type { Point } from '../parameters.js';
import { createLossSpec } from '../parameters.js';
import type { RunResult } from '../run-result.js';
import { countSent, isFetched, servedObject } from './served-object.js';

const origin = 'origin';
const objectName = 'object';
const { hash } = createSimulatedCrypto('', '');

/** Simulates the fetches of all receivers, which begin at once, and compares what they got. */
export function simulateRelays(point: Point, seed: string, rttMs: number): RunResult {
  return new ChainModel(point, seed, rttMs).run();
}

interface ChainReceiver {
  readonly role: FetchRole;
  readonly stores: MemoryStores;
}

class ChainModel {
  private readonly simulation: Simulation;
  private readonly content: Uint8Array;
  private readonly receivers: readonly ChainReceiver[];
  /** From and to the origin. */
  private readonly downLinks: Link[] = [];
  private readonly upLinks: Link[] = [];
  private originBytes = 0;

  constructor(
    private readonly point: Point,
    seed: string,
    private readonly rttMs: number,
  ) {
    const { receivers, mssBytes, fileSizeBytes } = point;
    this.simulation = new Simulation({
      seed,
      intercept: ({ from, bytes }) => {
        if (from === origin) this.originBytes += bytes.length + linkOverheadBytes;
        return [bytes];
      },
    });
    this.content = createContent(seed, fileSizeBytes);
    const serves = [servedObject(objectName, this.content)];
    const server = { name: origin, stores: new MemoryStores({ hash }), serves, mssBytes };
    this.simulation.addRole(origin, new EndpointRole(this.simulation, server));
    const last = this.addRelays();
    this.receivers = Array.from({ length: receivers }, (_, i) =>
      this.addReceiver(`r${i + 1}`, last),
    );
  }

  run(): RunResult {
    const { simulation, receivers, content, rttMs } = this;
    simulation.run({ isOver: () => receivers.every(({ role }) => role.results.length > 0) });
    const results = receivers.map(({ role, stores }) => {
      const [result] = role.results;
      assert(result !== undefined, 'a simulated fetch ends');
      return { elapsedMs: result.elapsedMs, isComplete: isFetched(result, stores, content) };
    });
    return {
      delayMs: Math.max(...results.map(({ elapsedMs }) => elapsedMs)),
      ...{ rounds: 0, timeouts: 0, retransmissions: 0 },
      datagrams: countSent(this.downLinks),
      acks: countSent(this.upLinks),
      completeReceivers: results.filter(({ isComplete }) => isComplete).length,
      ...{ originBytes: this.originBytes, rttMs },
    };
  }

  /** @returns whom the receivers ask */
  private addRelays(): string {
    const { simulation } = this;
    const { hops = 0, mssBytes, passing } = this.point;
    let last = origin;
    for (let hop = 1; hop <= hops; hop++) {
      const name = `relay ${hop}`;
      const role = new RelayRole(simulation, {
        ...{ name, stores: new MemoryStores({ hash }), from: [last], mssBytes },
        ...{ cacheLimitBytes: Infinity, storesFirst: passing === 'store-and-forward' },
      });
      simulation.addRole(name, role);
      this.connect(last, name, false);
      last = name;
    }
    return last;
  }

  private addReceiver(name: string, from: string): ChainReceiver {
    const { simulation } = this;
    const stores = new MemoryStores({ hash });
    const role = new FetchRole(simulation, {
      ...{ name, stores, from: [from], what: { name: objectName }, mssBytes: this.point.mssBytes },
    });
    simulation.addRole(name, role);
    this.connect(from, name, true);
    return { role, stores };
  }

  private connect(upper: string, lower: string, isLast: boolean): void {
    const { simulation, point, rttMs } = this;
    const isFirst = upper === origin;
    const options = linkOf(point, rttMs, isFirst, isLast);
    const down = simulation.createLink(`${upper} to ${lower}`, options);
    const up = simulation.createLink(`${lower} to ${upper}`, options);
    simulation.connect(upper, lower, [down]);
    simulation.connect(lower, upper, [up]);
    if (!isFirst) return;
    this.downLinks.push(down);
    this.upLinks.push(up);
  }
}

/** Without relays, the links of the origin are those of the receivers. */
function linkOf(point: Point, rttMs: number, isFirst: boolean, isLast: boolean): LinkOptions {
  const { lossyLink, rateBytesPerSec, queueBytes } = point;
  const isLossy = (lossyLink === 'first' && isFirst) || (lossyLink === 'last' && isLast);
  return {
    delayMs: rttMs / 2,
    ...(rateBytesPerSec === undefined ? {} : { rateBytesPerSec, overheadBytes: linkOverheadBytes }),
    ...withoutUndefined({ queueLimitBytes: queueBytes }),
    ...(isLossy ? { loss: createLossSpec(point) } : {}),
  };
}
