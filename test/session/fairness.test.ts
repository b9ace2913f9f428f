/**
 * Two sessions that start at the same time share a path within 40:60, here of 30 Mbit/s, because every datagram takes
 * time to simulate. `npm run test:sweeps` names four seeds of docs/CONGESTION.md, at its 100 Mbit/s, and
 * `npm run congestion` checks all.
 */
import t from 'tap';
import { leastPart, runAlike } from '../support/congestion-runs.js';

const named = process.env['P2MP_FAIRNESS_SEEDS']?.split(',');
const [seeds, mbits] = named === undefined ? [['congestion 4'], 30] : [named, 100];

for (const queueBdp of [0.25, 1]) {
  t.test(`a queue of ${queueBdp} bandwidth-delay products`, (t) => {
    const { least, first, second } = runAlike(queueBdp, seeds, mbits);
    t.ok(least >= leastPart, `at least ${least.toFixed(3)} of the total`);
    t.ok(first + second > 0.7, `${(first + second).toFixed(3)} of the link`);
    t.end();
  });
}
