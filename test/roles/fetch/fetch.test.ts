/** Fetches from several sources, in virtual time. */
import t from 'tap';
import { withoutUndefined } from '../../../src/base/without-undefined.js';
import { MemoryStores } from '../../../src/object/memory-store.js';
import type { SimulatedHost } from '../../../src/simulator/host.js';
import { FetchRole, type FetchRoleOptions } from '../../../src/simulator/roles/fetch.js';
import type { ServedObject } from '../../../src/simulator/roles/serving.js';
import { createSimulatedCrypto } from '../../../src/simulator/session-crypto.js';
import { Simulation } from '../../../src/simulator/simulation.js';
import { createContent } from '../../../src/simulator/transfer.js';
import { decodeSession } from '../../../src/wire/header.js';
import {
  type AskingOptions,
  type AskingRun,
  type HostPlan,
  runAsking,
} from '../../support/asking-hosts.js';
import { withDigests, withWrongBlocks } from '../../support/served-objects.js';

const blockSizeBytes = 4000;
const { hash } = createSimulatedCrypto('', '');

const content = createContent('object', 200 * blockSizeBytes - 100);
const object = withDigests('object', content, blockSizeBytes);

interface FetchPlan {
  readonly seed?: string;
  readonly servers: Readonly<Record<string, HostPlan>>;
  /** Of the paths to each server, in bytes per second; 500,000 by default. */
  readonly rates?: Readonly<Record<string, number>>;
  readonly lossProbability?: number;
  readonly options?: Partial<FetchRoleOptions>;
  readonly intercept?: AskingOptions['intercept'];
  readonly prepare?: (run: FetchRun) => void;
}

interface FetchRun {
  readonly simulation: Simulation;
  readonly role: FetchRole;
  readonly stores: MemoryStores;
  readonly host: SimulatedHost;
  readonly servers: AskingRun;
}

function runFetch(plan: FetchPlan): FetchRun & { readonly isAtRest: boolean } {
  const { seed = '1', servers: hosts, rates = {}, lossProbability = 0, options = {} } = plan;
  const { intercept } = plan;
  let run: FetchRun | undefined;
  const servers = runAsking({
    ...{ seed, hosts, lossProbability, ...withoutUndefined({ intercept }) },
    prepare: (prepared) => {
      const { simulation } = prepared;
      const timing = { clock: simulation, writeTimeMs: 0.2, storeTimeMs: 5, checkpointMs: 20 };
      const stores = new MemoryStores({ hash, timing });
      const from = Object.keys(hosts);
      const role = new FetchRole(simulation, {
        ...{ name: 'fetcher', stores, from, what: { name: 'object' } },
        ...{ mssBytes: 500, blockSizeBytes },
        ...options,
      });
      const host = simulation.addRole('fetcher', role);
      for (const server of from) {
        for (const [one, other] of [
          ['fetcher', server],
          [server, 'fetcher'],
        ] as const) {
          const link = simulation.createLink(`${one} ${other}`, {
            ...{ delayMs: 5, rateBytesPerSec: rates[server] ?? 500_000, queueLimitBytes: 50_000 },
            loss: { model: 'bernoulli', probability: lossProbability },
          });
          simulation.connect(one, other, [link]);
        }
      }
      run = { simulation, role, stores, host, servers: prepared };
      plan.prepare?.(run);
    },
  });
  return { ...(run as FetchRun), isAtRest: servers.isAtRest };
}

/** Whether the fetcher durably holds this content, and says so. */
function isFetched({ role, stores }: FetchRun, { content }: ServedObject = object): boolean {
  const result = role.results.at(-1);
  if (result?.status !== 'complete' || result.object === undefined) return false;
  const blocks = [...(stores.blocksOf(result.object.manifestDigest) ?? [])];
  blocks.sort(([i], [j]) => i - j);
  return Buffer.concat(blocks.map(([, bytes]) => bytes)).equals(content);
}

const serving = { serves: [object] };

for (const lossProbability of [0, 0.05]) {
  for (const count of [1, 2, 3, 8]) {
    t.test(`${count} sources, loss ${lossProbability}`, async (t) => {
      const names = Array.from({ length: count }, (_, i) => `s${i}`);
      const run = runFetch({
        servers: Object.fromEntries(names.map((name) => [name, serving])),
        lossProbability,
      });
      t.ok(run.isAtRest);
      t.ok(isFetched(run), JSON.stringify(run.role.results));
      const { report } = run.role.results[0] ?? {};
      t.equal(report?.deliveredBytes, object.content.length);
      t.equal(report?.sources.length, count);
      const losses = report?.sources.map(({ lossRatio = -1 }) => lossRatio) ?? [];
      const most = lossProbability === 0 ? 0 : 0.25;
      t.ok(
        losses.every((loss) => loss >= 0 && loss <= most),
        `${losses}`,
      );
      if (lossProbability > 0) t.ok(Math.max(...losses) > 0, `${losses}`);
    });
  }
}

t.test('shares follow the rates', async (t) => {
  const rates = { s1: 500_000, s2: 300_000, s3: 200_000 };
  const run = runFetch({ servers: { s1: serving, s2: serving, s3: serving }, rates });
  t.ok(isFetched(run));
  const [result] = run.role.results;
  const shares = result?.report?.sources.map(({ share }) => share) ?? [];
  for (const [i, share] of [0.5, 0.3, 0.2].entries())
    t.ok(Math.abs((shares[i] as number) - share) < 0.05, `${shares}`);
  // The payload at the sum of the rates, without headers, and what it takes to begin and to end.
  const bestMs = (object.content.length / 1_000_000) * 1000;
  t.ok((result?.elapsedMs ?? Infinity) < 1.1 * bestMs + 300, `${result?.elapsedMs} ms`);
});

t.test('the first blocks come before all digests are there', async (t) => {
  const large = withDigests(
    'object',
    createContent('large', 3000 * blockSizeBytes),
    blockSizeBytes,
  );
  const plain = { serves: [large] };
  const crowdServer = { ...plain, hasGroup: true };
  for (const servers of [{ s1: plain }, { s1: plain, s2: plain }, { s1: crowdServer }]) {
    let firstAtMs = Infinity;
    let readyAtMs = Infinity;
    const run = runFetch({
      ...{ servers, rates: { s1: 5_000_000, s2: 5_000_000 } },
      prepare: ({ simulation, role }) => {
        for (let atMs = 0; atMs < 2000; atMs++) {
          simulation.at(atMs, () => {
            const hasFirst = (role.fetch?.report(atMs)?.deliveredBytes ?? 0) > 0;
            if (hasFirst) firstAtMs = Math.min(firstAtMs, atMs);
            const isReady = role.fetch?.['fetch']['opening']?.isReady === true;
            if (isReady) readyAtMs = Math.min(readyAtMs, atMs);
          });
        }
      },
    });
    t.ok(isFetched(run, large));
    t.ok(firstAtMs < readyAtMs, `${firstAtMs}, ${readyAtMs} ms`);
  }
});

t.test('a source that dies loses its blocks to the others', async (t) => {
  const run = runFetch({
    servers: { s1: serving, s2: serving },
    prepare: ({ simulation, servers }) => {
      simulation.at(600, () => servers.host('s1').host.inject('kill'));
    },
  });
  t.ok(isFetched(run), JSON.stringify(run.role.results));
  const [s1, s2] = run.role.results[0]?.report?.sources ?? [];
  t.match(s1, { replaced: 'slow' }, 'the other one took over at once');
  t.ok((s2?.share ?? 0) > 0.6);
});

t.test('the end does not wait for the confirmation of a dead source', async (t) => {
  let confirmedAtMs = Infinity;
  const run = runFetch({
    servers: { s1: serving, s2: serving },
    prepare: ({ simulation, servers, role }) => {
      simulation.at(600, () => servers.host('s1').host.inject('kill'));
      const look = () => {
        if (role.fetch?.isConfirmed === true) confirmedAtMs = simulation.nowMs;
        else if (simulation.nowMs < 10_000) simulation.at(simulation.nowMs + 1, look);
      };
      look();
    },
  });
  const [result] = run.role.results;
  t.equal(result?.status, 'complete');
  const waitMs = confirmedAtMs - (result?.elapsedMs ?? Infinity);
  t.ok(waitMs > 0 && waitMs < 50, `${waitMs} ms for a round trip of 10 ms`);
});

t.test('a source that lies is dropped at its first wrong block', async (t) => {
  const run = runFetch({
    servers: {
      s1: serving,
      s2: { serves: [withWrongBlocks(object, [0, 7, 60, 130], blockSizeBytes)] },
    },
  });
  t.ok(isFetched(run));
  const left = run.role.events.filter(({ type }) => type === 'left');
  t.match(left[0], { source: 's2', reason: 'sent a block with wrong content', isRetried: false });
});

t.test('sources that hold other content are told apart', async (t) => {
  const other = withDigests(
    'object',
    createContent('other', object.content.length),
    blockSizeBytes,
  );
  const run = runFetch({ servers: { s1: serving, s2: { serves: [other] }, s3: serving } });
  t.match(run.role.results, [{ status: 'failed', reason: /different content/ }]);
  t.same(
    run.role.results[0]?.groups.map(({ sources }) => sources),
    [['s1', 's3'], ['s2']],
  );
  const chosen = runFetch({
    servers: { s1: serving, s2: { serves: [other] }, s3: serving },
    options: { what: { name: 'object', root: object.digestTree.root() } },
  });
  t.ok(isFetched(chosen), JSON.stringify(chosen.role.results));
});

t.test('an excluded source can join again, unless it has lied', async (t) => {
  const other = withDigests('object', createContent('other', 8000), blockSizeBytes);
  const liar = withWrongBlocks(object, [0, 7, 60, 130], blockSizeBytes);
  const root = object.digestTree.root();
  let joins: (boolean | undefined)[] = [];
  const run = runFetch({
    servers: { s1: serving, s2: { serves: [other] }, s3: { serves: [liar] } },
    options: { what: { name: 'object', root } },
    prepare: ({ simulation, servers, role }) => {
      simulation.at(600, () => {
        for (const name of ['s2', 's3']) servers.host(name).role.serving?.change([object]);
        joins = ['s1', 's2', 's3'].map((name) =>
          role.fetch?.join(simulation.nowMs, { name, address: Simulation.address(name) }),
        );
      });
    },
  });
  t.same(joins, [false, true, false], 'one takes part, one is repaired, one has lied');
  t.ok(isFetched(run), JSON.stringify(run.role.results));
  const shares = run.role.results[0]?.report?.sources.map(({ name, deliveredBytes }) => [
    name,
    deliveredBytes > 0,
  ]);
  t.match(shares, [
    ['s1', true],
    ['s3', true],
    ['s2', true],
  ]);
});

for (const others of [[], ['s2']]) {
  const title = others.length === 0 ? 'ends the fetch if it is the only one' : 'is excluded';
  t.test(`a source that makes offers and sends no block ${title}`, async (t) => {
    const run = runFetch({
      servers: { s1: serving, ...Object.fromEntries(others.map((name) => [name, serving])) },
      // So that the other one needs longer than the source takes to be excluded.
      rates: { s2: 4000 },
      options: { patienceMs: 20_000 },
      intercept: ({ from, bytes }) => {
        const packet = decodeSession(bytes);
        const isData = typeof packet !== 'string' && packet.kind === 'data';
        return from === 's1' && isData ? [] : [bytes];
      },
    });
    const left = run.role.events.filter(({ type }) => type === 'left');
    const ofIt = left.filter((event) => 'source' in event && event.source === 's1');
    const reason =
      /^(?:s1: )?has offered the content 5 times and sent nothing of it; at last: has sent nothing of what/;
    t.match(ofIt.at(-1), { reason, isRetried: false });
    t.equal(ofIt.filter((event) => 'isRetried' in event && !event.isRetried).length, 1);
    if (others.length === 0) t.match(run.role.results, [{ status: 'failed', reason }]);
    else t.ok(isFetched(run), JSON.stringify(run.role.results));
    t.ok(run.isAtRest);
  });
}

t.test('a fetch that is killed resumes', async (t) => {
  const run = runFetch({
    servers: { s1: serving, s2: serving },
    prepare: ({ simulation, host }) => {
      simulation.at(700, () => host.inject('kill'));
      simulation.at(900, () => host.inject('start'));
    },
  });
  t.ok(isFetched(run), JSON.stringify(run.role.results));
  const delivered = run.role.results[0]?.report?.deliveredBytes ?? Infinity;
  t.ok(delivered < 0.8 * object.content.length, `${delivered}`);
});

t.test('all sources are gone for a while', async (t) => {
  const run = runFetch({
    servers: { s1: serving, s2: serving },
    prepare: ({ simulation, servers }) => {
      for (const name of ['s1', 's2']) {
        simulation.at(500, () => servers.host(name).host.inject('kill'));
        simulation.at(20_000, () => servers.host(name).host.inject('start'));
      }
    },
  });
  t.ok(isFetched(run), JSON.stringify(run.role.results));
  const sources = run.role.results[0]?.report?.sources ?? [];
  t.equal(sources.length, 2, 'each is counted once');
  t.ok(Math.abs(sources.reduce((sum, { share }) => sum + share, 0) - 1) < 1e-9);
});

t.test('a dead source is not accused of anything, and is asked until it is back', async (t) => {
  const run = runFetch({
    servers: { s1: serving },
    options: { patienceMs: 200_000 },
    prepare: ({ simulation, servers }) => {
      simulation.at(500, () => servers.host('s1').host.inject('kill'));
      simulation.at(150_000, () => servers.host('s1').host.inject('start'));
    },
  });
  t.ok(isFetched(run), JSON.stringify(run.role.results));
  const left = run.role.events.flatMap((event) => (event.type === 'left' ? event : []));
  t.match(left[1], { reason: /^no response from the server for 60 s/, isRetried: true });
  t.notOk(left.some(({ reason }) => reason === 'holds other content'));
});

t.test('no source has the object', async (t) => {
  const run = runFetch({ servers: { s1: {}, s2: {} } });
  t.match(run.role.results, [{ status: 'failed', reason: /^s1: .*; s2: / }]);
});

t.test('an empty object', async (t) => {
  const empty = withDigests('object', new Uint8Array(0), blockSizeBytes);
  const run = runFetch({ servers: { s1: { serves: [empty] } } });
  t.match(run.role.results, [{ status: 'complete' }]);
  const { report } = run.role.results[0] ?? {};
  t.equal(report?.possibleBytesPerSec, 0);
  for (const source of report?.sources ?? []) t.notOk('rateBytesPerSec' in source, 'not measured');
});

t.test('equal parts', async (t) => {
  const run = runFetch({
    servers: { s1: serving, s2: serving },
    rates: { s1: 500_000, s2: 250_000 },
    options: { split: 'equal' },
  });
  t.ok(isFetched(run));
  const delivered = run.role.results[0]?.report?.sources.map(
    ({ deliveredBytes }) => deliveredBytes,
  );
  t.same(delivered, [100 * blockSizeBytes, object.content.length - 100 * blockSizeBytes]);
});
