import * as fc from 'fast-check';
import t from 'tap';
import { Retries } from '../../../src/roles/fetch/retries.js';

t.test('each block has its own count', (t) => {
  const limit = 20;
  const step = fc.record({ start: fc.nat(limit - 1), size: fc.nat(5), arrives: fc.boolean() });
  const property = fc.property(fc.array(step), (steps) => {
    const retries = new Retries();
    const counts = Array.from({ length: limit }, () => 0);
    for (const { start, size, arrives } of steps) {
      const end = Math.min(limit, start + 1 + size);
      if (arrives) {
        retries.delete(start);
        counts[start] = 0;
      } else {
        retries.add(start, end);
        for (let block = start; block < end; block++) counts[block] = (counts[block] ?? 0) + 1;
      }
    }
    return counts.every((count, block) => {
      const other = counts.findIndex((value, i) => i > block && value !== count);
      const runEnd = other < 0 ? limit : other;
      return retries.countOf(block) === count && retries.runEnd(block, limit) === runEnd;
    });
  });
  fc.assert(property, { seed: 1, numRuns: 500 });
  t.end();
});
