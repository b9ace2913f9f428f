/** Executes many fetches from a relay with a cache in virtual time: clients ask by a Zipf law. */
import { createRandom } from '../../base/random.js';
import { encodeManifest } from '../../object/manifest.js';
import { MemoryStores } from '../../object/memory-store.js';
import type { FetchRoleEvent } from '../../roles/fetch/fetch-result.js';
import { roomOf } from '../../roles/relay/object-cache.js';
import type { Role } from '../../simulator/host.js';
import type { LinkOptions } from '../../simulator/link.js';
import { EndpointRole } from '../../simulator/roles/endpoint.js';
import { FetchRole } from '../../simulator/roles/fetch.js';
import { RelayRole } from '../../simulator/roles/relay.js';
import { createManifestOfFiles } from '../../simulator/roles/session-sender.js';
import { createSimulatedCrypto } from '../../simulator/session-crypto.js';
import { Simulation } from '../../simulator/simulation.js';
import { createContent } from '../../simulator/transfer.js';
import { standardBlockSizeBytes } from '../../wire/sizes.js';
import { countedRequests, popularities } from '../cache-model.js';
import { linkOverheadBytes } from '../model.js';
import type { Point } from '../parameters.js';
import { createLossSpec } from '../parameters.js';
import type { RunResult } from '../run-result.js';
import { isFetched, servedObject } from './served-object.js';

const origin = 'origin';
const relayName = 'relay';
/** A client waits so long before its next question. */
const pauseMs = 5000;
const { hash } = createSimulatedCrypto('', '');

/** Simulates clients that ask for one object after another, and compares what they got. */
export function simulateCache(point: Point, seed: string, rttMs: number): RunResult {
  return new CacheModel(point, seed, rttMs).run();
}

/** What the origin and the relay had done at a time. */
interface Done {
  readonly hits: number;
  readonly originBytes: number;
  readonly originDatagrams: number;
}

class CacheModel {
  private readonly simulation: Simulation;
  private readonly relay: RelayRole;
  private readonly link: LinkOptions;
  private readonly contents: readonly Uint8Array[];
  private readonly choose: () => number;
  private readonly requests: number;
  private asked = 0;
  private answered = 0;
  private readonly failedClients = new Set<number>();
  private originBytes = 0;
  private originDatagrams = 0;
  private atCount: Done = { hits: 0, originBytes: 0, originDatagrams: 0 };

  constructor(
    private readonly point: Point,
    seed: string,
    private readonly rttMs: number,
  ) {
    const { fileSizeBytes, mssBytes, objects = 1, requests = 2 } = point;
    this.requests = requests;
    this.simulation = new Simulation({
      seed,
      intercept: ({ from, bytes }) => {
        if (from === origin) {
          this.originBytes += bytes.length + linkOverheadBytes;
          this.originDatagrams++;
        }
        return [bytes];
      },
    });
    this.link = linkOf(point, rttMs);
    this.contents = Array.from({ length: objects }, (_, i) =>
      createContent(`${seed} ${i}`, fileSizeBytes),
    );
    this.choose = chooser(popularities(point), createRandom(seed, 'questions'));
    const serves = this.contents.map((content, i) => servedObject(nameOf(i), content));
    const server = { name: origin, stores: new MemoryStores({ hash }), serves, mssBytes };
    this.simulation.addRole(origin, new EndpointRole(this.simulation, server));
    this.relay = new RelayRole(this.simulation, {
      ...{ name: relayName, stores: new MemoryStores({ hash }), from: [origin], mssBytes },
      cacheLimitBytes: cacheLimitBytes(point),
    });
    this.simulation.addRole(relayName, this.relay);
    this.connect(origin, relayName);
  }

  run(): RunResult {
    const { simulation, point, rttMs, requests } = this;
    for (let client = 0; client < point.receivers; client++) this.ask(client);
    simulation.run({ isOver: () => this.answered === requests });
    const { hits, originBytes, originDatagrams } = this.done();
    return {
      delayMs: simulation.nowMs,
      ...{ rounds: 0, timeouts: 0, retransmissions: 0, acks: undefined, rttMs },
      datagrams: originDatagrams - this.atCount.originDatagrams,
      completeReceivers: point.receivers - this.failedClients.size,
      originBytes: originBytes - this.atCount.originBytes,
      hitRatio: (hits - this.atCount.hits) / countedRequests(point),
    };
  }

  private done(): Done {
    const { originBytes, originDatagrams } = this;
    return { hits: this.relay.totals?.hits ?? 0, originBytes, originDatagrams };
  }

  /** A client asks for an object, and for the next one when it has this one. */
  private ask(client: number): void {
    const { simulation, requests, point } = this;
    if (this.asked === requests) return;
    if (this.asked === requests - countedRequests(point)) this.atCount = this.done();
    this.asked++;
    const object = this.choose();
    const name = `client ${client + 1}, question ${this.asked}`;
    const stores = new MemoryStores({ hash });
    const role = new FetchRole(simulation, {
      ...{ name, stores, from: [relayName], what: { name: nameOf(object) } },
      mssBytes: point.mssBytes,
    });
    const asking: Role<FetchRoleEvent> = {
      boot: (host) => role.boot(host),
      handleEvent: (event) => {
        role.handleEvent(event);
        if (event.type !== 'end') return;
        const content = this.contents[object] as Uint8Array;
        if (!isFetched(event.result, stores, content)) this.failedClients.add(client);
        this.answered++;
        simulation.at(simulation.nowMs + pauseMs, () => this.ask(client));
      },
    };
    this.connect(relayName, name);
    simulation.addRole(name, asking);
  }

  private connect(upper: string, lower: string): void {
    const { simulation, link } = this;
    for (const [from, to] of [
      [upper, lower],
      [lower, upper],
    ] as const)
      simulation.connect(from, to, [simulation.createLink(`${from} to ${to}`, link)]);
  }
}

function nameOf(object: number): string {
  return `object ${object + 1}`;
}

/** Room for exactly as many objects as the point says. */
function cacheLimitBytes({ fileSizeBytes, cachedObjects = 1 }: Point): number {
  const manifest = encodeManifest(createManifestOfFiles(fileSizeBytes, 1));
  const blockCount = Math.ceil(fileSizeBytes / standardBlockSizeBytes);
  return cachedObjects * roomOf(fileSizeBytes, manifest.length, blockCount);
}

function linkOf(point: Point, rttMs: number): LinkOptions {
  const { rateBytesPerSec, queueBytes } = point;
  return {
    ...{ delayMs: rttMs / 2, loss: createLossSpec(point) },
    ...(rateBytesPerSec === undefined ? {} : { rateBytesPerSec, overheadBytes: linkOverheadBytes }),
    ...(queueBytes === undefined ? {} : { queueLimitBytes: queueBytes }),
  };
}

/** @returns a function that chooses an object at random by these probabilities */
function chooser(shares: readonly number[], random: () => number): () => number {
  let sum = 0;
  const ends = shares.map((share) => {
    sum += share;
    return sum;
  });
  return () => {
    const place = random();
    let [low, high] = [0, ends.length - 1];
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      if ((ends[middle] as number) > place) high = middle;
      else low = middle + 1;
    }
    return low;
  };
}
