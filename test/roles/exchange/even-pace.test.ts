/** Owners of an exchange that stay together. */
import t from 'tap';
import type { Progress, Receiver } from '../../../src/roles/exchange/even-pace.js';
import { EvenPace } from '../../../src/roles/exchange/even-pace.js';
import { Roster, RosterPeer } from '../../../src/roles/exchange/roster.js';

const stepMs = 100;
const total = 10_000;

/** One receiver, at which owners arrive at these speeds, in blocks per second; the first is this peer. */
class Arrivals {
  private readonly pace = new EvenPace(1000);
  private readonly held: number[];
  private nowMs = 0;
  /** The number of owners that have left, the last ones. */
  absentCount = 0;

  constructor(ownerCount: number) {
    this.held = Array(ownerCount).fill(0);
  }

  /** @returns what the pace allows after so long, in blocks per second */
  limitAfter(ms: number, ...speeds: number[]): number {
    let limit = Number.NaN;
    for (const endMs = this.nowMs + ms; this.nowMs < endMs; this.nowMs += stepMs) {
      for (const [i, speed] of speeds.entries())
        this.held[i] = Math.min(total, (this.held[i] ?? 0) + (speed * stepMs) / 1000);
      const firstAbsent = this.held.length - this.absentCount;
      const owners = new Map(
        this.held.map((held, i): [number, Progress] => [
          i,
          { held, total, isAbsent: i >= firstAbsent },
        ]),
      );
      const receiver: Receiver = { heardAtMs: this.nowMs, owners };
      limit = this.pace.limit(0, new Map([[7, receiver]]));
    }
    return Math.round(1000 * limit);
  }
}

t.test('nothing is limited before speeds are known', async (t) => {
  t.equal(new Arrivals(3).limitAfter(300, 100, 100, 100), Infinity);
});

t.test(
  'owners that are equally far get equal parts, and a little more to find out what fits',
  async (t) => {
    const limit = new Arrivals(3).limitAfter(3000, 100, 100, 100);
    t.ok(limit >= 100 && limit <= 110, `${limit}`);
  },
);

t.test('an owner that takes more than its part gives some of it up, bit by bit', async (t) => {
  const limit = new Arrivals(3).limitAfter(3000, 200, 50, 50);
  t.ok(limit > 100 && limit < 195, `${limit}`);
});

t.test('an owner that is behind may send more than the others', async (t) => {
  const arrivals = new Arrivals(3);
  arrivals.limitAfter(20_000, 100, 200, 200);
  const limit = arrivals.limitAfter(2000, 166, 167, 167);
  t.ok(limit > 190, `${limit}`);
});

t.test('what others do not use is there for those who can', async (t) => {
  const arrivals = new Arrivals(3);
  arrivals.limitAfter(3000, 100, 100, 100);
  const limit = arrivals.limitAfter(2000, 100, 100, 0);
  t.ok(limit >= 195, `one of the others has stopped: ${limit}`);
});

t.test('the last owner has the link for itself', async (t) => {
  const arrivals = new Arrivals(3);
  t.equal(arrivals.limitAfter(30_000, 50, 500, 500), Infinity);
});

t.test('content of an absent owner takes no share from the owners that are present', async (t) => {
  const arrivals = new Arrivals(3);
  arrivals.limitAfter(3000, 100, 100, 100);
  arrivals.absentCount = 1;
  // Others send what is missing of it.
  const limit = arrivals.limitAfter(2000, 100, 100, 100);
  t.ok(limit >= 145, `half of the link: ${limit}`);
  arrivals.absentCount = 2;
  t.equal(arrivals.limitAfter(100, 100, 100, 100), Infinity, 'only this peer still sends its own');
});

t.test('two peers share no link, and are not limited', async (t) => {
  t.equal(new Arrivals(1).limitAfter(3000, 200), Infinity);
});

t.test('while a speed still grows, more than twice of it is allowed', async (t) => {
  const arrivals = new Arrivals(2);
  for (let speed = 10; speed < 100; speed *= 1.3) arrivals.limitAfter(500, speed, speed);
  const limit = arrivals.limitAfter(100, 100, 100);
  t.ok(limit > 150, `${limit}`);
});

t.test('a receiver that says nothing while others do counts for nothing', async (t) => {
  const roster = new Roster(1000);
  for (let owner = 0; owner < 4; owner++) {
    const name = `p${owner}`;
    const digest = new Uint8Array(32).fill(owner);
    roster.add(new RosterPeer(owner, name, digest, { host: name, port: 7735 }));
    roster.takeObject({
      ...{ kind: 'object', owner, object: 0, name, fileCount: 1, contentSizeBytes: 10_000 },
      ...{ contentRoot: digest, manifestDigest: digest },
    });
  }
  const pace = new EvenPace(1000);
  const hold = (nowMs: number, holder: number, owners: readonly number[]) => {
    for (const owner of owners)
      roster.takeHeld({
        ...{ kind: 'held', holder, owner, object: 0, ranges: [{ start: 0, end: 10 }] },
      });
    pace.handleHeld(nowMs, holder);
    pace.update(0, roster, true);
  };
  hold(0, 1, []);
  hold(100, 2, []);
  t.equal(pace.ownerCount, 3, 'each gets from three');
  hold(900, 2, [1, 3]);
  hold(900, 3, [1, 2]);
  t.equal(pace.ownerCount, 3, 'the first one may still be there');
  hold(1200, 2, []);
  t.equal(pace.ownerCount, 1, 'the others get only from this peer');
  hold(1300, 1, []);
  t.equal(pace.ownerCount, 3, 'it is back');
});
