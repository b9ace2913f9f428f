/** Two sessions that start at the same time share a path within 40:60, with every seed of docs/CONGESTION.md. */
import t from 'tap';
import { runAlike } from '../support/congestion-runs.js';

for (const queueBdp of [0.25, 1]) {
  t.test(`a queue of ${queueBdp} bandwidth-delay products`, (t) => {
    const { least, first, second } = runAlike(queueBdp);
    t.ok(least >= 0.4, `at least ${least.toFixed(3)} of the total`);
    t.ok(first + second > 0.7, `${(first + second).toFixed(3)} of the link`);
    t.end();
  });
}
