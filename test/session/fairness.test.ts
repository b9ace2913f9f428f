/**
 * Two sessions that start at the same time share a path within 40:60. This is one of the seeds of docs/CONGESTION.md;
 * `npm run test:sweeps` names three others, and `npm run congestion` checks all.
 */
import t from 'tap';
import { leastPart, runAlike } from '../support/congestion-runs.js';

const seeds = process.env['P2MP_FAIRNESS_SEEDS']?.split(',') ?? ['congestion 4'];

for (const queueBdp of [0.25, 1]) {
  t.test(`a queue of ${queueBdp} bandwidth-delay products`, (t) => {
    const { least, first, second } = runAlike(queueBdp, seeds);
    t.ok(least >= leastPart, `at least ${least.toFixed(3)} of the total`);
    t.ok(first + second > 0.7, `${(first + second).toFixed(3)} of the link`);
    t.end();
  });
}
