/** A host that takes one object from several sources, in virtual time: each source sends what is wanted of it. */
import t from 'tap';
import { RangeSet } from '../../src/base/range-set.js';
import { Endpoint, type EndpointEvent } from '../../src/endpoint/endpoint.js';
import { Asker } from '../../src/session/asks/asker.js';
import { SessionReceiver } from '../../src/session/receiver.js';
import type { SessionReceiverEvent } from '../../src/session/receiver-events.js';
import type { Role, SimulatedHost } from '../../src/simulator/host.js';
import { createSimulatedCrypto } from '../../src/simulator/session-crypto.js';
import { Simulation } from '../../src/simulator/simulation.js';
import { type AskingRun, runAsking, served } from '../support/asking-hosts.js';

const blockSizeBytes = 4000;
/** Of 500 bytes, with the tag of the block. */
const segmentsPerBlock = 9;
const object = served('object', 100 * blockSizeBytes - 100);

type Supplied = Extract<SessionReceiverEvent, { type: 'supplied' }>;

/** Asks all hosts for the object, and leaves it to `decide` what to want of each. */
class Fetcher implements Role<EndpointEvent<never>> {
  readonly blocks = new Map<number, Uint8Array>();
  readonly blocksOf = new Map<number, number[]>();
  readonly ended: string[] = [];
  private readonly wanted = new Map<number, RangeSet>();
  receiver!: SessionReceiver;
  /** Sessions with sources, in the order of their offers. */
  readonly sessions: number[] = [];
  decide: (fetcher: Fetcher, event: SessionReceiverEvent) => void = () => undefined;

  constructor(
    readonly simulation: Simulation,
    private readonly hosts: readonly string[],
  ) {}

  boot(host: SimulatedHost): Endpoint {
    const { simulation } = this;
    const cryptoFor = (purpose: string) => ({
      ...createSimulatedCrypto(simulation.seed, 'fetcher'),
      random: createSimulatedCrypto(simulation.seed, `fetcher ${purpose}`).random,
    });
    const receiver = new SessionReceiver({
      ...{ crypto: cryptoFor('receiver'), name: 'fetcher', platform: 'posix', blockSizeBytes },
      refuseSender: () => undefined,
    });
    const asker = new Asker({ crypto: cryptoFor('asker'), receiver, mssBytes: 500 });
    this.receiver = receiver;
    this.trust = (id) => asker.trust(simulation.nowMs, id);
    host.at(0, () => {
      for (const name of this.hosts) {
        const server = { name, address: Simulation.address(name) };
        asker.ask(0, { server, what: { name: object.name }, isSource: true });
      }
    });
    return new Endpoint({ receiver, asker });
  }

  private trust: (id: number) => void = () => undefined;

  handleEvent(event: EndpointEvent<never>): void {
    if (event.role === 'asker' && event.event.type === 'identify') this.trust(event.event.ask);
    if (event.role !== 'receiver') return;
    const { event: each } = event;
    if (each.type === 'source') this.sessions.push(each.info.session);
    else if (each.type === 'supplied') this.take(each);
    else if (each.type === 'end') this.ended.push(each.result.status);
    this.decide(this, each);
  }

  private take({ session, block, bytes }: Supplied): void {
    this.blocks.set(block, bytes.slice());
    this.wanted.get(session)?.remove(block, block + 1);
    this.blocksOf.set(session, [...(this.blocksOf.get(session) ?? []), block]);
    this.receiver.handleWritten(this.simulation.nowMs, session, bytes.length);
  }

  /** Changes what is wanted of a source. */
  want(session: number, change: (wanted: RangeSet) => void): void {
    const wanted = this.wanted.get(session) ?? new RangeSet();
    this.wanted.set(session, wanted);
    change(wanted);
    this.receiver.find(session)?.source?.wantOnly(this.simulation.nowMs, wanted);
  }

  conclude(): void {
    for (const session of this.sessions)
      this.receiver.find(session)?.conclude(this.simulation.nowMs, true, '');
  }

  get content(): Buffer {
    const inOrder = [...this.blocks].sort(([i], [j]) => i - j);
    return Buffer.concat(inOrder.map(([, bytes]) => bytes));
  }
}

function fetch(
  seed: string,
  lossProbability: number,
  decide: Fetcher['decide'],
  plan: (fetcher: Fetcher) => void = () => undefined,
): { fetcher: Fetcher; run: AskingRun } {
  let fetcher: Fetcher | undefined;
  const run = runAsking({
    ...{ seed, lossProbability },
    hosts: { s1: { serves: [object] }, s2: { serves: [object] } },
    prepare: (prepared) => {
      const { simulation } = prepared;
      fetcher = new Fetcher(simulation, ['s1', 's2']);
      fetcher.decide = decide;
      simulation.addRole('fetcher', fetcher);
      for (const [from, to] of [
        ['fetcher', 's1'],
        ['fetcher', 's2'],
        ['s1', 'fetcher'],
        ['s2', 'fetcher'],
      ] as const) {
        const link = simulation.createLink(`${from} ${to}`, {
          ...{ delayMs: 5, rateBytesPerSec: 500_000, queueLimitBytes: 100_000 },
          loss: { model: 'bernoulli', probability: lossProbability },
        });
        simulation.connect(from, to, [link]);
      }
      plan(fetcher);
    },
  });
  return { fetcher: fetcher as Fetcher, run };
}

for (const lossProbability of [0, 0.1]) {
  t.test(`two sources send one half each, loss ${lossProbability}`, async (t) => {
    for (const seed of ['1', '2', '3']) {
      const { fetcher, run } = fetch(seed, lossProbability, (fetcher, event) => {
        if (event.type === 'source') {
          const start = fetcher.sessions.length === 1 ? 0 : 50;
          fetcher.want(event.info.session, (wanted) => wanted.add(start, start + 50));
        }
        if (fetcher.blocks.size === 100) fetcher.conclude();
      });
      t.ok(run.isAtRest);
      t.ok(fetcher.content.equals(object.content));
      for (const blocks of fetcher.blocksOf.values()) t.equal(blocks.length, 50);
      t.same(fetcher.ended, ['complete', 'complete']);
      for (const name of ['s1', 's2']) {
        const [sent] = run.host(name).role.sent;
        t.match(sent, { result: { receivers: [{ status: 'complete' }] } });
        if (lossProbability > 0) continue;
        // The last block of the second half is shorter.
        t.equal(sent?.result.datagramsSent, 50 * segmentsPerBlock - (name === 's1' ? 0 : 1));
      }
    }
  });
}

t.test('what is wanted can grow while it arrives, and shrink', async (t) => {
  let next = 0;
  const { fetcher, run } = fetch('1', 0, (fetcher, event) => {
    const [first = 0] = fetcher.sessions;
    if (event.type === 'source') {
      fetcher.want(event.info.session, (wanted) => wanted.add(next, next + 4));
      next += 4;
    } else if (event.type === 'supplied') {
      // At block 60, the first source takes over what remains of the other one.
      if (next === 60) {
        for (const session of fetcher.sessions.slice(1))
          fetcher.want(session, (wanted) => wanted.clear());
        fetcher.want(first, (wanted) => {
          for (let block = 0; block < 60; block++)
            if (!fetcher.blocks.has(block)) wanted.add(block, block + 1);
        });
      }
      // One block more for each that has arrived.
      const session = next < 60 ? event.session : first;
      if (next < 100) fetcher.want(session, (wanted) => wanted.add(next, ++next));
    }
    if (fetcher.blocks.size === 100) fetcher.conclude();
  });
  t.ok(run.isAtRest);
  t.ok(fetcher.content.equals(object.content));
  const counts = [...fetcher.blocksOf.values()].map(({ length }) => length);
  t.ok(Math.min(...counts) > 10 && Math.max(...counts) > 60, `${counts}`);
});

t.test('a source of which nothing is wanted for a minute stays', async (t) => {
  const { fetcher, run } = fetch(
    '1',
    0,
    (fetcher) => {
      if (fetcher.blocks.size === 100) fetcher.conclude();
    },
    (fetcher) => {
      fetcher.simulation.at(60_000, () => {
        t.same([fetcher.sessions.length, fetcher.blocks.size], [2, 0]);
        fetcher.want(fetcher.sessions[0] as number, (wanted) => wanted.add(0, 100));
      });
    },
  );
  t.ok(run.isAtRest);
  t.ok(fetcher.content.equals(object.content));
});
