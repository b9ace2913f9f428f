/** Plans with relays and caches: what the models say, and what is simulated. */
import t from 'tap';
import { hitRatio, popularities } from '../../src/experiment/cache-model.js';
import { predict } from '../../src/experiment/measure.js';
import type { Point } from '../../src/experiment/parameters.js';
import { parsePlan } from '../../src/experiment/plan.js';
import { simulateRun } from '../../src/experiment/simulated/run.js';

function pointsOf(members: Readonly<Record<string, unknown>>): readonly Point[] {
  const base = { title: 'A plan', seed: 'a seed', mssBytes: 1400, receivers: 2 };
  return parsePlan(JSON.stringify({ ...base, ...members }), 'plan.json').points;
}

const chain = {
  fileSizeBytes: 1_000_000,
  receivers: 2,
  link: { rttMs: 10, rateBytesPerSec: 500_000 },
};

t.test('cut-through takes as long as one link, store-and-forward as long as all', (t) => {
  // Of each datagram of 1,444 bytes, 1,400 are content.
  const linkS = (2 * 1444) / 1400;
  const points = pointsOf({
    ...{ ...chain, relays: { hops: [0, 2], passing: ['cut-through', 'store-and-forward'] } },
  });
  for (const point of points) {
    const { hops, passing } = point;
    const links = passing === 'store-and-forward' ? (hops ?? 0) + 1 : 1;
    const name = `${hops} relays, ${passing}`;
    t.equal(predict(point)?.mean.toFixed(9), (links * linkS).toFixed(9), name);
    const { delayMs, completeReceivers, originBytes = 0 } = simulateRun(point, 'seed');
    t.equal(completeReceivers, 2, name);
    const share = delayMs / 1000 / linkS;
    t.ok(share > links && share < 1.5 * links + 0.5, `${name}: ${share} times as long as a link`);
    const copies = hops === 0 ? 2 : 1;
    const sent = originBytes / 1_000_000;
    t.ok(sent > copies && sent < 1.5 * copies, `${name}: the origin sends ${sent} F`);
  }
  t.end();
});

t.test(
  'loss takes its share of the rate, and repairs behind relays do not come from the origin',
  (t) => {
    const relays = { hops: 1, passing: 'cut-through', lossyLink: ['none', 'first', 'last'] };
    const points = pointsOf({ ...chain, loss: 0.2, relays });
    const [none, first, last] = points.map((point) => predict(point)?.mean ?? 0);
    t.equal(first, last);
    t.equal(((first as number) * 0.8).toFixed(9), none?.toFixed(9));
    const sent = points.map((point) => simulateRun(point, 'seed').originBytes ?? 0);
    const [without = 0, , behind = 0] = sent;
    t.ok(Math.abs(behind / without - 1) < 0.001, `loss behind the relay: ${sent}`);
    t.ok((sent[1] as number) > 1.15 * without, `loss before it: ${sent}`);
    t.equal(predict(pointsOf({ fileSizeBytes: 1, relays: { hops: 1 } })[0] as Point), undefined);
    t.end();
  },
);

t.test('with loss, no receiver waits for what others are sent', (t) => {
  const link = { rttMs: 20, rateBytesPerSec: 1_250_000, queueBytes: 100_000 };
  const relays = { hops: 0, passing: 'cut-through', lossyLink: 'last' };
  const more = { ...{ fileSizeBytes: 4_000_000, receivers: 4, loss: 0.05 }, link, relays };
  const [point] = pointsOf(more) as [Point];
  // An answer to one of the receivers is lost. So it begins with later blocks than the others.
  const { delayMs, completeReceivers } = simulateRun(point, 'seed 6');
  t.equal(completeReceivers, 4);
  const share = delayMs / 1000 / (predict(point)?.mean ?? 0);
  t.ok(share < 1.5, `${share} times as long as the link takes`);
  t.end();
});

t.test("Che's approximation has the values of its formula", (t) => {
  const shares = popularities({ objects: 3, zipfExponent: 1, cachedObjects: 1 });
  t.same(
    shares.map((share) => share.toFixed(6)),
    [6 / 11, 3 / 11, 2 / 11].map((share) => share.toFixed(6)),
  );
  // With equal shares, C of N objects are there.
  t.equal(hitRatio({ objects: 10, zipfExponent: 0, cachedObjects: 4 }).toFixed(9), '0.400000000');
  t.equal(hitRatio({ objects: 10, zipfExponent: 1, cachedObjects: 10 }), 1);
  // One of two objects with shares 2/3 and 1/3: with x = exp(-T/3), 1 - x^2 + 1 - x = 1.
  const x = (Math.sqrt(5) - 1) / 2;
  const expected = (2 / 3) * (1 - x * x) + (1 / 3) * (1 - x);
  const one = hitRatio({ objects: 2, zipfExponent: 1, cachedObjects: 1 });
  t.equal(one.toFixed(9), expected.toFixed(9));
  t.end();
});

t.test('a simulated cache is as good as the approximation says', (t) => {
  const caches = { objects: 30, requests: 200, zipfExponent: 0.8, cachedObjects: [3, 10] };
  const link = { rttMs: 10 };
  for (const point of pointsOf({ fileSizeBytes: 3000, caches, link })) {
    const { mean = 0, deviation = 0 } = predict(point) ?? {};
    const { hitRatio: measured = 0, originBytes = 0, completeReceivers } = simulateRun(point, 's');
    const name = `${point.cachedObjects} objects: ${measured}, the model says ${mean}`;
    t.equal(completeReceivers, 2, name);
    t.ok(Math.abs(measured - mean) <= 4 * deviation, name);
    // Each of the 100 questions that are counted costs the origin an answer, and each miss an object.
    const objectBytes = (1 - measured) * 100 * 3000;
    t.ok(originBytes > objectBytes && originBytes < 1.2 * objectBytes + 100 * 3000, name);
  }
  t.end();
});

t.test('a simulated run with relays or a cache is the same each time', (t) => {
  const caches = { objects: 5, requests: 20, zipfExponent: 1, cachedObjects: 2 };
  const small = { ...chain, fileSizeBytes: 50_000 };
  for (const members of [
    { ...small, relays: { hops: 1 }, loss: 0.05 },
    { ...small, caches },
  ]) {
    const [point] = pointsOf(members);
    t.same(simulateRun(point as Point, 'a'), simulateRun(point as Point, 'a'));
  }
  t.end();
});
