/**
 * Two sessions that start at the same time share a path of 100 Mbit/s within 40:60, with four of the seeds of
 * docs/CONGESTION.md. `npm run congestion` checks all.
 */
import t from 'tap';
import { leastPart, runAlike } from '../support/congestion-runs.js';

const seeds = ['congestion', 'congestion 4', 'congestion 6', 'congestion 11'];
const mbits = 100;

for (const queueBdp of [0.25, 1]) {
  t.test(`a queue of ${queueBdp} bandwidth-delay products`, (t) => {
    const { least, first, second } = runAlike(queueBdp, seeds, mbits);
    t.ok(least >= leastPart, `at least ${least.toFixed(3)} of the total`);
    t.ok(first + second > 0.7, `${(first + second).toFixed(3)} of the link`);
    t.end();
  });
}
