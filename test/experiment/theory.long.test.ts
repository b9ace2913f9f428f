import t from 'tap';
import { meanDelayMs, meanRounds, varianceOfRounds } from '../../src/experiment/theory.js';
import { type Comparison, grid, runCell } from '../support/theory-grid.js';

/** Bound for random deviation: fewer than one in 15,000 fair comparisons exceeds it. */
const limit = 4;

t.test('the formula of rounds gives its published values', (t) => {
  const table = [
    { receivers: 1, means: [1.0101, 1.05263, 1.11111], deviation: 0.3514 },
    { receivers: 2, means: [1.0201, 1.10276, 1.21212], deviation: 0.4651 },
    { receivers: 5, means: [1.04951, 1.23931, 1.46407], deviation: 0.6084 },
    { receivers: 10, means: [1.09663, 1.4273, 1.75801], deviation: 0.6492 },
    { receivers: 100, means: [1.64402, 2.2286, 2.74021], deviation: 0.6553 },
    { receivers: 1000, means: [2.09613, 3.04224, 3.73849], deviation: 0.6559 },
  ];
  for (const { receivers, means, deviation } of table) {
    const rounded = [0.01, 0.05, 0.1].map((loss) => Number(meanRounds(receivers, loss).toFixed(5)));
    t.same(rounded, means, `mean for ${receivers} receivers`);
    const sd = Math.sqrt(varianceOfRounds(receivers, 0.1));
    t.equal(Number(sd.toFixed(4)), deviation, `deviation for ${receivers} receivers`);
  }
  t.end();
});

t.test(
  'without loss the formula of delay is a round trip and its sending for each segment',
  (t) => {
    const run = { receivers: 3, loss: 0, segments: 10, timeoutMs: 100, rttMs: 20, sendTimeMs: 2 };
    t.equal(meanDelayMs(run), 10 * (3 * 2 + 20));
    t.end();
  },
);

t.test('simulated transfers match the formulas in rounds and delay', (t) => {
  const squares = [];
  for (const run of grid) {
    const { receivers, loss, sendTimeMs } = run;
    const name = `n = ${receivers}, p = ${loss}, t = ${sendTimeMs} ms`;
    const { rounds, delayMs } = runCell(run);
    for (const [what, comparison] of Object.entries({ rounds, delayMs })) {
      t.ok(Math.abs(comparison.deviation) <= limit, `${name}: ${describe(what, comparison)}`);
      t.ok(comparison.standardError < 0.015 * comparison.expected, `${name}: ${what} is sharp`);
      squares.push(comparison.deviation ** 2);
    }
  }
  // Rounds and delay of a cell are correlated, so the 40 deviations of 20 cells count as about 20 independent ones,
  // whose mean square deviates from 1 by 0.32 (one standard deviation).
  const meanSquare = squares.reduce((sum, square) => sum + square, 0) / squares.length;
  t.ok(meanSquare > 0.3 && meanSquare < 2, `and vary as predicted: ${meanSquare.toFixed(2)}`);
  t.end();
});

t.test('a loss a tenth higher than it should be is noticed', (t) => {
  const run = grid.find(({ receivers, loss }) => receivers === 5 && loss === 0.05);
  if (run === undefined) throw new Error('no such setting');
  const { rounds, delayMs } = runCell(run, 1.1 * run.loss);
  t.ok(rounds.deviation > limit, describe('rounds', rounds));
  t.ok(delayMs.deviation > limit, describe('delayMs', delayMs));
  t.end();
});

function describe(what: string, { expected, measured, deviation }: Comparison): string {
  const [e, m] = [expected, measured].map((value) => value.toPrecision(7));
  return `${what} ${m}, expected ${e}, ${deviation.toFixed(2)} standard errors off`;
}
