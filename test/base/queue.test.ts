import fc from 'fast-check';
import t from 'tap';
import { Queue } from '../../src/base/queue.js';

t.test('items come out in the order they went in', (t) => {
  const queue = new Queue<string>();
  queue.push('a');
  queue.push('b');
  t.equal(queue.length, 2);
  t.equal(queue.shift(), 'a');
  queue.push('c');
  t.equal(queue.shift(), 'b');
  t.equal(queue.shift(), 'c');
  t.equal(queue.shift(), undefined);
  t.equal(queue.length, 0);
  t.end();
});

t.test('a cleared queue is empty and works like a new one', (t) => {
  const queue = new Queue<number>();
  for (let i = 0; i < 10; i++) queue.push(i);
  queue.shift();
  queue.clear();
  t.equal(queue.length, 0);
  t.equal(queue.shift(), undefined);
  queue.push(42);
  t.equal(queue.length, 1);
  t.equal(queue.shift(), 42);
  t.end();
});

t.test('any sequence of pushes, shifts and clears matches an array', (t) => {
  const step = fc.oneof(
    { weight: 10, arbitrary: fc.record({ do: fc.constant('push'), count: fc.nat(3_000) }) },
    { weight: 10, arbitrary: fc.record({ do: fc.constant('shift'), count: fc.nat(3_000) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('clear'), count: fc.constant(1) }) },
  );
  const property = fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
    const queue = new Queue<number>();
    let model: number[] = [];
    let next = 0;
    for (const { do: what, count } of steps) {
      if (what === 'clear') {
        queue.clear();
        model = [];
      }
      for (let i = 0; i < count && what === 'push'; i++) {
        queue.push(next);
        model.push(next++);
      }
      for (let i = 0; i < count && what === 'shift'; i++) {
        if (queue.shift() !== model.shift()) return false;
      }
      if (queue.length !== model.length) return false;
    }
    return true;
  });
  fc.assert(property, { seed: 1, numRuns: 200 });
  t.end();
});
