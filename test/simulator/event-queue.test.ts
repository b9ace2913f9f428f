import fc from 'fast-check';
import t from 'tap';
import { EventQueue } from '../../src/simulator/event-queue.js';

t.test('actions are taken by time, simultaneous ones in the order they were added', (t) => {
  const queue = new EventQueue();
  const log: string[] = [];
  for (const [atMs, name] of [
    [5, 'c'],
    [1, 'a'],
    [5, 'd'],
    [1, 'b'],
    [5, 'e'],
  ] as const) {
    queue.push(atMs, () => log.push(name));
  }
  t.equal(queue.length, 5);
  t.equal(queue.nextAtMs, 1);
  while (queue.length > 0) queue.pop()?.();
  t.strictSame(log, ['a', 'b', 'c', 'd', 'e']);
  t.end();
});

t.test('an empty queue has no next time and no action', (t) => {
  const queue = new EventQueue();
  t.equal(queue.nextAtMs, undefined);
  t.equal(queue.pop(), undefined);
  queue.push(1, () => {});
  queue.pop();
  t.equal(queue.nextAtMs, undefined);
  t.equal(queue.pop(), undefined);
  t.equal(queue.length, 0);
  t.end();
});

t.test('removing an action does not run it', (t) => {
  const queue = new EventQueue();
  let runs = 0;
  queue.push(1, () => runs++);
  const action = queue.pop();
  t.equal(runs, 0);
  action?.();
  t.equal(runs, 1);
  t.end();
});

t.test('any sequence of pushes and pops matches a stable sort', (t) => {
  // Few distinct times, so that many actions share one; undefined means a pop.
  const times = fc.oneof(fc.nat(5), fc.double({ min: 0, max: 5, noNaN: true }));
  const step = fc.option(times, { nil: undefined, freq: 2 });
  const property = fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
    const queue = new EventQueue();
    const model: { atMs: number; id: number }[] = [];
    let executed: number | undefined;
    const popBoth = (): boolean => {
      executed = undefined;
      queue.pop()?.();
      return executed === model.shift()?.id;
    };
    for (const [id, atMs] of steps.entries()) {
      if (atMs === undefined) {
        if (!popBoth()) return false;
      } else {
        queue.push(atMs, () => {
          executed = id;
        });
        model.push({ atMs, id });
        model.sort((a, b) => a.atMs - b.atMs);
      }
      if (queue.length !== model.length || queue.nextAtMs !== model[0]?.atMs) return false;
    }
    while (model.length > 0) if (!popBoth()) return false;
    return queue.length === 0;
  });
  fc.assert(property, { seed: 1, numRuns: 300 });
  t.end();
});
