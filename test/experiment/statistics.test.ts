import t from 'tap';
import { createRandom } from '../../src/base/random.js';
import { describeSample, studentQuantile } from '../../src/experiment/statistics.js';

t.test("the quantiles of Student's t match the published tables", (t) => {
  const table: [number, number, number, number][] = [
    [1, 6.3138, 12.7062, 63.6567],
    [2, 2.92, 4.3027, 9.9248],
    [3, 2.3534, 3.1824, 5.8409],
    [4, 2.1318, 2.7764, 4.6041],
    [5, 2.015, 2.5706, 4.0321],
    [6, 1.9432, 2.4469, 3.7074],
    [9, 1.8331, 2.2622, 3.2498],
    [29, 1.6991, 2.0452, 2.7564],
    [30, 1.6973, 2.0423, 2.75],
    [99, 1.6604, 1.9842, 2.6264],
    [120, 1.6577, 1.9799, 2.6174],
  ];
  for (const [degrees, ...quantiles] of table) {
    const computed = [0.95, 0.975, 0.995].map((p) => studentQuantile(p, degrees));
    t.same(
      computed.map((quantile) => Number(quantile.toFixed(4))),
      quantiles,
      `${degrees} degrees of freedom`,
    );
  }
  t.end();
});

t.test('the median is 0, and with many degrees of freedom the quantile is the normal one', (t) => {
  for (const degrees of [1, 2, 3, 10]) {
    t.ok(Math.abs(studentQuantile(0.5, degrees)) < 1e-9, `${degrees}`);
  }
  t.equal(studentQuantile(0.975, 9999).toFixed(4), '1.9602');
  t.equal(studentQuantile(0.975, 1_000_000).toFixed(3), '1.960');
  t.end();
});

t.test('a sample has its mean, its standard deviation and its interval', (t) => {
  const samples: [number[], number, number, number][] = [
    [[1, 2, 3, 4, 5], 3, 1.5811, 1.9632],
    [[2, 4], 3, Math.SQRT2, 12.7062],
    [[5, 5, 5], 5, 0, 0],
    [[0.1, 0.2, 0.4], 0.2333, 0.1528, 0.3795],
    [[1e9 + 1, 1e9 + 2, 1e9 + 3], 1e9 + 2, 1, 2.4841],
  ];
  for (const [values, mean, deviation, halfWidth] of samples) {
    const sample = describeSample(values);
    t.equal(sample.count, values.length);
    t.equal(sample.mean.toFixed(4), mean.toFixed(4), `mean of ${values}`);
    t.equal(sample.standardDeviation?.toFixed(4), deviation.toFixed(4), `deviation of ${values}`);
    t.equal(sample.ci95HalfWidth?.toFixed(4), halfWidth.toFixed(4), `interval of ${values}`);
  }
  t.end();
});

t.test('a single value has neither deviation nor interval', (t) => {
  t.strictSame(describeSample([7]), {
    count: 1,
    mean: 7,
    standardDeviation: undefined,
    ci95HalfWidth: undefined,
  });
  t.end();
});

t.test('95 % of many intervals of normal values contain the true mean', (t) => {
  const random = createRandom('statistics', 'normal');
  const normal = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  for (const size of [2, 5, 10]) {
    const count = 10_000;
    let held = 0;
    for (let i = 0; i < count; i++) {
      const values = Array.from({ length: size }, () => 10 + 3 * normal());
      const { mean, ci95HalfWidth = 0 } = describeSample(values);
      if (Math.abs(mean - 10) <= ci95HalfWidth) held++;
    }
    const error = Math.sqrt((0.95 * 0.05) / count);
    t.ok(Math.abs(held / count - 0.95) < 4 * error, `${held} of ${count} with ${size} values`);
  }
  t.end();
});
