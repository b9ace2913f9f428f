/** Deadlines of a heap compared with those of a plain list. */
import * as fc from 'fast-check';
import t from 'tap';
import { Deadlines } from '../../../src/base/time/deadlines.js';

class Timer {
  /** How often it was asked when it is due. */
  askedCount = 0;
  isDueByOthers = false;

  constructor(public atMs: number) {}

  pollTimeout(): number {
    this.askedCount++;
    return this.atMs;
  }
}

const atMs = fc.oneof(fc.integer({ min: 0, max: 20 }), fc.constant(Infinity));
const change = fc.record({
  kind: fc.constantFrom('add', 'set', 'delete', 'look'),
  which: fc.nat({ max: 30 }),
  atMs,
});

t.test('the first item is due first, and all that are due come in their order', (t) => {
  const property = fc.property(fc.array(change, { maxLength: 60 }), (changes) => {
    const deadlines = new Deadlines<Timer>();
    const plain: Timer[] = [];
    for (const { kind, which, atMs } of changes) {
      const timer = plain[which % Math.max(1, plain.length)];
      if (kind === 'add') {
        plain.push(new Timer(atMs));
        deadlines.add(plain.at(-1) as Timer);
      } else if (kind === 'set' && timer !== undefined) {
        timer.atMs = atMs;
        deadlines.touch(timer);
      } else if (kind === 'delete' && timer !== undefined) {
        plain.splice(plain.indexOf(timer), 1);
        deadlines.delete(timer);
      } else if (kind === 'look') {
        if (deadlines.earliestMs !== Math.min(Infinity, ...plain.map((each) => each.atMs)))
          return false;
        const due = plain.filter((each) => each.atMs <= which);
        const found = deadlines.due(which);
        if (found.length !== due.length || found.some((each, i) => each !== due[i])) return false;
      }
    }
    return true;
  });
  fc.assert(property, { seed: 1, numRuns: 3000 });
  t.end();
});

t.test('only items that were touched are asked', (t) => {
  const deadlines = new Deadlines<Timer>();
  const timers = [5, 3, 9].map((each) => new Timer(each));
  for (const timer of timers) deadlines.add(timer);
  const [first, second] = timers as [Timer, Timer];
  t.equal(deadlines.earliestMs, 3);
  first.atMs = 1;
  deadlines.touch(first);
  t.equal(deadlines.earliestMs, 1);
  t.equal(deadlines.earliestMs, 1);
  t.same(
    timers.map(({ askedCount }) => askedCount),
    [2, 1, 1],
  );
  // What is due is dealt with, and so asked again.
  t.same(deadlines.due(4), [first, second]);
  second.atMs = 20;
  first.atMs = Infinity;
  t.equal(deadlines.earliestMs, 9);
  t.end();
});

t.test('an item that others can change is asked each time', (t) => {
  const deadlines = new Deadlines<Timer>();
  const timer = new Timer(5);
  timer.isDueByOthers = true;
  deadlines.add(timer);
  t.equal(deadlines.earliestMs, 5);
  timer.atMs = 2;
  t.equal(deadlines.earliestMs, 2);
  deadlines.delete(timer);
  t.equal(deadlines.earliestMs, Infinity);
  t.end();
});
