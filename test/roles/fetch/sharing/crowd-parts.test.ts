/** Several servers, with a crowd each, share the work. */
import t, { type Test } from 'tap';
import { FetchScheduler } from '../../../../src/roles/fetch/scheduler.js';
import { runCrowd, servedWithDigests } from '../../../support/crowd.js';
import { runFetch } from '../../../support/fetch-run.js';
import type { ModelSourceOptions } from '../../../support/fetch-scenario.js';

const object = servedWithDigests('object', 200);
const names = ['s', 's2', 's3'];

for (const count of [2, 3]) {
  t.test(`${count} servers send each block about once`, async (t) => {
    const servers = names.slice(0, count);
    const run = runCrowd({
      servers: Object.fromEntries(
        servers.map((name) => [name, { serves: [object], hasGroup: true }]),
      ),
      clients: Array.from({ length: 8 }, (_, i) => ({ atMs: 20 * i })),
    });
    t.ok(run.roles.every((_, i) => run.holds(i, object)));
    const times = servers.map((server) => run.sentBytes(server) / object.content.length);
    const sum = times.reduce((total, each) => total + each, 0);
    t.ok(sum < 1.3, `${times} times`);
    t.ok(Math.max(...times) < 1.3 / count, `${times} times`);
  });
}

/** All of its sources set their own pace. */
class CrowdScheduler extends FetchScheduler {
  override join(...args: Parameters<FetchScheduler['join']>): number {
    const index = super.join(...args);
    this.setPace(index, true);
    return index;
  }
}

const blockSizeBytes = 61_440;
const megabit = 125_000;

function fetchFromCrowds(t: Test, sources: readonly Partial<ModelSourceOptions>[], sizeMb = 50) {
  const base = { number: 1, kind: 'steady', split: 'speed', blockSizeBytes } as const;
  const contentSizeBytes = sizeMb * 1_000_000;
  const run = runFetch(
    {
      ...{ ...base, contentSizeBytes },
      missing: [{ start: 0, end: Math.ceil(contentSizeBytes / blockSizeBytes) }],
      sources: sources.map((each) => ({
        ...{ rttMs: 2, joinAtMs: 0, badProbability: 0 },
        ...{ rates: [{ atMs: 0, bytesPerSec: 100 * megabit }], ...each },
      })),
    },
    (options) => new CrowdScheduler(options),
  );
  t.equal(run.wrongBlocks, 0);
  return (run.endMs ?? Infinity) / 1000;
}

t.test('a fast source helps a slow one with its part', (t) => {
  const slow = { rates: [{ atMs: 0, bytesPerSec: 10 * megabit }] };
  const seconds = fetchFromCrowds(t, [{}, slow]);
  t.ok(seconds < 1.1 * (400 / 110), `${seconds} s, at best ${400 / 110} s`);
  t.end();
});

t.test('the part of a source that leaves comes from the others', (t) => {
  for (const foundAfterMs of [0, 1000]) {
    const seconds = fetchFromCrowds(t, [{ diesAtHalf: { foundAfterMs } }, {}, {}]);
    t.ok(seconds < 2.2, `${seconds} s`);
  }
  t.end();
});

t.test('a source that joins late takes a part at once', (t) => {
  const seconds = fetchFromCrowds(t, [{}, { joinAtMs: 1000 }]);
  t.ok(seconds < 2.7, `${seconds} s, at best 2.5 s`);
  t.end();
});
