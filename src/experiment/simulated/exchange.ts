/** Executes one exchange in virtual time. */
import { assert, at } from '../../base/assert.js';
import { withoutUndefined } from '../../base/without-undefined.js';
import { MemoryStores } from '../../object/memory-store.js';
import type { SimulatedHost } from '../../simulator/host.js';
import type { Link } from '../../simulator/link.js';
import { ExchangeCoordinatorRole } from '../../simulator/roles/exchange-coordinator.js';
import { ExchangePeerRole } from '../../simulator/roles/exchange-peer.js';
import { createSimulatedCrypto } from '../../simulator/session-crypto.js';
import { Simulation } from '../../simulator/simulation.js';
import { createContent } from '../../simulator/transfer.js';
import { toHex } from '../../wire/byte-codec.js';
import { exchangeRates, peerDeathMs, peerDeathsOf } from '../exchange-model.js';
import { linkOverheadBytes } from '../model.js';
import type { Point } from '../parameters.js';
import { createLossSpec } from '../parameters.js';
import type { RunResult } from '../run-result.js';
import { isContent } from './served-object.js';

const coordinatorName = 'coordinator';

interface SimulatedPeer {
  readonly name: string;
  readonly content: Uint8Array;
  readonly stores: MemoryStores;
  readonly role: ExchangePeerRole;
  readonly host: SimulatedHost;
}

/** Simulates an exchange and compares all content. The delay is from the start until nobody gets anything any more. */
export function simulateExchange(point: Point, seed: string, rttMs: number): RunResult {
  const simulation = new Simulation({ seed });
  const { peers: peerCount = 2 } = point;
  const coordinator = new ExchangeCoordinatorRole(simulation, {
    ...{ name: coordinatorName, expectedPeers: peerCount },
  });
  simulation.addRole(coordinatorName, coordinator);
  const network = new ExchangeNetwork(simulation, point, rttMs);
  const peers = Array.from({ length: peerCount }, (_, i) => network.add(`p${i + 1}`, seed));
  const dying = peers.slice(0, peerDeathsOf(point));
  let elapsedMs: number | undefined;
  let seen = 0;
  simulation.run({
    isOver: () => {
      for (; seen < coordinator.events.length; seen++) {
        const event = at(coordinator.events, seen);
        if (event.type === 'end') elapsedMs = event.elapsedMs;
        if (event.type !== 'start') continue;
        simulation.at(event.atMs + peerDeathMs(point), () => {
          for (const { host } of dying) host.inject('kill');
        });
      }
      return elapsedMs !== undefined;
    },
  });
  assert(elapsedMs !== undefined, 'a simulated exchange ends');
  const staying = peers.filter((peer) => !dying.includes(peer));
  const isComplete = staying.every((peer) =>
    staying.every((other) => peer === other || holds(peer, other)),
  );
  return {
    delayMs: elapsedMs,
    ...{ rounds: 0, timeouts: 0, retransmissions: 0 },
    datagrams: countSent(network.links),
    acks: undefined,
    completeReceivers: isComplete ? 1 : 0,
    rttMs,
  };
}

/** The links of all peers. */
class ExchangeNetwork {
  readonly links: Link[] = [];
  private readonly ways = new Map<string, { readonly out: Link[]; readonly into: Link[] }>();
  private readonly medium: Link | undefined;

  constructor(
    private readonly simulation: Simulation,
    private readonly point: Point,
    private readonly rttMs: number,
  ) {
    const { mediumBytesPerSec } = exchangeRates(point);
    if (mediumBytesPerSec !== undefined) this.medium = this.link('medium', mediumBytesPerSec, 2);
  }

  add(name: string, seed: string): SimulatedPeer {
    const { simulation, point } = this;
    const { mssBytes, protocol, fileSizeBytes } = point;
    const { hash } = createSimulatedCrypto(seed, '');
    const stores = new MemoryStores({ hash });
    const content = createContent(`${seed} ${name}`, fileSizeBytes);
    const role = new ExchangePeerRole(simulation, {
      ...{ name, stores, mssBytes, coordinator: coordinatorName },
      hasGroup: protocol === 'multicast',
      objects: [{ name: `${name}.bin`, content }],
    });
    const host = simulation.addRole(name, role);
    this.connect(name);
    return { name, content, stores, role, host };
  }

  private connect(name: string): void {
    const { simulation, medium } = this;
    const { upBytesPerSec = 0, downBytesPerSec = 0 } = exchangeRates(this.point);
    const way =
      medium === undefined
        ? {
            out: [this.link(`${name} up`, upBytesPerSec, 1)],
            into: [this.link(`${name} down`, downBytesPerSec, 1)],
          }
        : { out: [medium], into: [] };
    const control = simulation.createLink(`${name} control`, { delayMs: this.rttMs / 2 });
    simulation.connect(name, coordinatorName, [control]);
    simulation.connect(coordinatorName, name, [control]);
    for (const [other, otherWay] of this.ways) {
      simulation.connect(name, other, [...way.out, ...otherWay.into]);
      simulation.connect(other, name, [...otherWay.out, ...way.into]);
    }
    this.ways.set(name, way);
  }

  /** @param hops how much of a one-way delay the link has, in halves */
  private link(name: string, rateBytesPerSec: number, hops: 1 | 2): Link {
    const { queueBytes } = this.point;
    const link = this.simulation.createLink(name, {
      ...{ delayMs: (this.rttMs / 4) * hops, rateBytesPerSec, overheadBytes: linkOverheadBytes },
      ...withoutUndefined({ queueLimitBytes: queueBytes }),
      // Only on the way to a peer, so that each loses what others get.
      ...(name.endsWith(' down') && { loss: createLossSpec(this.point) }),
    });
    this.links.push(link);
    return link;
  }
}

function countSent(links: readonly Link[]): number {
  return links
    .filter(({ name }) => !name.endsWith(' down'))
    .reduce((sum, { counts }) => sum + counts.sent, 0);
}

/** Whether a peer has stored the file of another one. */
function holds({ role, stores }: SimulatedPeer, other: SimulatedPeer): boolean {
  for (const object of role.peer?.objects ?? []) {
    if (!object.isStored || object.name !== `${other.name}.bin`) continue;
    const blocks = stores.blocksOf(toHex(object.content.manifestDigest));
    return blocks !== undefined && isContent(blocks, other.content);
  }
  return false;
}
