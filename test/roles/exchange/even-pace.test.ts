/** Owners of an exchange that stay together. */
import t from 'tap';
import { EvenPace } from '../../../src/roles/exchange/even-pace.js';

const stepMs = 100;

/** What a pace allows after so long, if all owners have gone on evenly at these speeds, in shares per second. */
function limitAfter(ms: number, ownSpeed: number, ...otherSpeeds: number[]): number {
  const pace = new EvenPace(1000);
  let limit = Number.NaN;
  for (let nowMs = 0; nowMs <= ms; nowMs += stepMs) {
    const shareOf = (speed: number) => Math.min(1, (speed * nowMs) / 1000);
    const others = new Map(otherSpeeds.map((speed, i) => [i, shareOf(speed)]));
    limit = pace.limit(nowMs, shareOf(ownSpeed), others);
  }
  return 1000 * limit;
}

t.test('an owner that is ahead of most others slows down', async (t) => {
  const limit = limitAfter(2000, 0.1, 0.05, 0.05, 0.05);
  t.ok(limit > 0.02 && limit < 0.05, `${limit}`);
});

t.test(
  'a lead costs no more than half of the speed, or what exceeds an even share of a link',
  async (t) => {
    t.equal(limitAfter(2000, 0.4, 0.2, 0.2, 0.2).toFixed(4), '0.1333');
    t.equal(limitAfter(2000, 0.2, 0.2, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1).toFixed(4), '0.0500');
  },
);

t.test('an owner that is not ahead of most others is not limited', async (t) => {
  t.equal(limitAfter(2000, 0.05, 0.05, 0.05, 0.01), Infinity);
  t.equal(limitAfter(2000, 0.04, 0.1, 0.05, 0.01), Infinity);
});

t.test('one owner with a slow link does not delay others', async (t) => {
  t.equal(limitAfter(2000, 0.1, 0.11, 0.11, 0.001), Infinity);
});

t.test('owners that stand still are not waited for', async (t) => {
  t.equal(limitAfter(2000, 0.1, 0, 0, 0.1), Infinity);
});

t.test('two peers share no link, and are not limited', async (t) => {
  t.equal(limitAfter(2000, 0.2, 0.1), Infinity);
});

t.test('the others that have ended leave the link to the last', async (t) => {
  t.equal(limitAfter(12_000, 0.05, 0.1, 0.1, 0.1), Infinity);
});

t.test('an owner that is gone is forgotten', async (t) => {
  const pace = new EvenPace(1000);
  for (let nowMs = 0; nowMs <= 2000; nowMs += stepMs) {
    const others = new Map([1, 2, 3].map((number) => [number, nowMs / 100_000]));
    pace.limit(nowMs, nowMs / 50_000, others);
  }
  t.equal(pace.limit(2100, 0.05, new Map([[1, 0.021]])), Infinity);
});
