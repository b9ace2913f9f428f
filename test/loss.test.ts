import fc from 'fast-check';
import t from 'tap';
import { P2mpError } from '../src/base/errors.js';
import { createRandom } from '../src/base/random.js';
import { burstLoss, createLossModel, type LossSpec, meanLoss } from '../src/loss.js';

/** Whether each of the first `count` arrivals is lost. */
function fates(spec: LossSpec, count: number, ...names: (string | number)[]): boolean[] {
  const isLost = createLossModel(spec, createRandom(...names));
  return Array.from({ length: count }, () => isLost());
}

function countLost(list: readonly boolean[]): number {
  return list.filter(Boolean).length;
}

function refusal(make: () => unknown): string {
  try {
    make();
  } catch (error) {
    if (error instanceof P2mpError && error.code === 'INVALID_ARGUMENT') return error.message;
  }
  return 'not refused as an invalid argument';
}

const bernoulli = (probability: number): LossSpec => ({ model: 'bernoulli', probability });

t.test('without loss nothing is lost, whatever is drawn', (t) => {
  for (const spec of [{ model: 'none' } as const, bernoulli(0), burstLoss(0, 5)]) {
    const isLost = createLossModel(spec, () => 0);
    t.notOk([isLost(), isLost(), isLost()].includes(true), spec.model);
  }
  t.end();
});

t.test('a draw of exactly p loses, a draw above it does not', (t) => {
  t.equal(createLossModel(bernoulli(0.3), () => 0.3)(), true);
  t.equal(createLossModel(bernoulli(0.3), () => 0)(), true);
  t.equal(createLossModel(bernoulli(0.3), () => 0.3 + Number.EPSILON)(), false);
  t.end();
});

t.test('the lost share is p, within four standard errors', (t) => {
  const count = 200_000;
  for (const p of [0.01, 0.05, 0.5, 0.99]) {
    const share = countLost(fates(bernoulli(p), count, 'mean', p)) / count;
    t.ok(Math.abs(share - p) < 4 * Math.sqrt((p * (1 - p)) / count), `${share} for ${p}`);
    t.equal(meanLoss(bernoulli(p)), p);
  }
  t.end();
});

t.test('the same seed draws the same numbers on every machine', (t) => {
  const random = createRandom('golden', 1);
  t.strictSame(
    Array.from({ length: 20 }, () => random()),
    [
      0.8295592819340527, 0.019049060996621847, 0.5320884766988456, 0.5471224829088897,
      0.7592979064211249, 0.009323173435404897, 0.7232881928794086, 0.11395522253587842,
      0.7135310331359506, 0.7924706335179508, 0.18806196167133749, 0.3366729423869401,
      0.4837683408986777, 0.7338342058937997, 0.2566328626126051, 0.7289529282134026,
      0.2448170951101929, 0.3044795421883464, 0.37394033279269934, 0.9843541870359331,
    ],
  );
  const lost = fates(bernoulli(0.3), 20, 'golden', 1).flatMap((isLost, i) => (isLost ? [i] : []));
  t.strictSame(lost, [1, 5, 7, 10, 14, 16]);
  t.end();
});

t.test('another seed, name or number gives different losses', (t) => {
  const streams = [['a', 1], ['a', 2], ['b', 1], ['a', '1'], ['a/1'], ['a'], [1, 'a']];
  const seen = streams.map((names) => fates(bernoulli(0.5), 100, ...names).join());
  t.equal(new Set(seen).size, streams.length);
  t.strictSame(fates(bernoulli(0.5), 100, 'a', 1).join(), seen[0]);
  t.end();
});

t.test('the number of receivers does not change the losses of any one', (t) => {
  const ofReceivers = (count: number) => {
    const models = Array.from({ length: count }, (_, i) =>
      createLossModel(bernoulli(0.2), createRandom('seed', 'receiver', `r${i + 1}`)),
    );
    const rows = Array.from({ length: 200 }, () => models.map((isLost) => isLost()));
    return models.map((_, i) => rows.map((row) => row[i]).join());
  };
  const alone = ofReceivers(1);
  const five = ofReceivers(5);
  t.equal(five[0], alone[0]);
  t.equal(new Set(five).size, 5, 'no two of them have the same losses');
  t.end();
});

t.test('bursts have the requested mean loss and mean length', (t) => {
  const count = 400_000;
  for (const [mean, burst] of [
    [0.05, 4],
    [0.2, 10],
    [0.5, 1],
    [0.01, 1],
  ] as const) {
    const spec = burstLoss(mean, burst);
    const list = fates(spec, count, 'burst', mean, burst);
    const share = countLost(list) / count;
    const correlation = 1 - spec.enterBad - spec.leaveBad;
    const variance = (mean * (1 - mean) * (1 + correlation)) / (1 - correlation);
    t.ok(Math.abs(share - mean) <= 4 * Math.sqrt(variance / count), `mean ${share} for ${mean}`);
    const bursts = list.filter((isLost, i) => isLost && !list[i - 1]).length;
    const length = countLost(list) / bursts;
    const error = Math.sqrt((burst * (burst - 1)) / bursts);
    t.ok(Math.abs(length - burst) <= 4 * error, `length ${length} for ${burst}`);
  }
  t.end();
});

t.test('the mean loss of bursts holds from the first arrival on', (t) => {
  const runs = Array.from({ length: 20_000 }, (_, i) => fates(burstLoss(0.2, 50), 1, 'first', i));
  const share = countLost(runs.flat()) / runs.length;
  t.ok(Math.abs(share - 0.2) < 4 * Math.sqrt((0.2 * 0.8) / runs.length), `${share}`);
  t.end();
});

t.test('each of the two states has its own loss', (t) => {
  const spec = {
    model: 'gilbert-elliott',
    enterBad: 0.1,
    leaveBad: 0.3,
    lossInGood: 0.02,
    lossInBad: 0.4,
  } as const;
  const mean = 0.75 * 0.02 + 0.25 * 0.4;
  t.ok(Math.abs(meanLoss(spec) - mean) < 1e-12);
  const share = countLost(fates(spec, 400_000, 'states')) / 400_000;
  t.ok(Math.abs(share - mean) < 0.004, `${share} for ${mean}`);
  t.end();
});

t.test('the model has any mean loss and burst length that it accepts', (t) => {
  const losses = fc.double({ min: 0, max: 0.999, noNaN: true });
  const property = fc.property(
    losses,
    fc.double({ min: 1, max: 1_000, noNaN: true }),
    (mean, excess) => {
      const spec = burstLoss(mean, excess + mean / (1 - mean));
      createLossModel(spec, () => 0.5);
      return Math.abs(meanLoss(spec) - mean) < 1e-9 && spec.enterBad <= 1 && spec.leaveBad <= 1;
    },
  );
  fc.assert(property, { seed: 1, numRuns: 1000 });
  t.end();
});

t.test('a script loses exactly the arrivals it names', (t) => {
  const script: LossSpec = { model: 'scripted', lost: [4, 0, 3, 3] };
  t.strictSame(fates(script, 7, 's'), [true, false, false, true, true, false, false]);
  t.strictSame(fates({ model: 'scripted', lost: [] }, 2, 's'), [false, false]);
  t.end();
});

t.test('an invalid probability is refused with its value', (t) => {
  for (const p of [-0.1, 1, 1.5, NaN, Infinity]) {
    const expected = `loss probability ${p}: must be at least 0 and below 1`;
    const refused = [() => fates(bernoulli(p), 1, 's'), () => burstLoss(p, 2)];
    for (const make of refused) t.match(refusal(make), expected);
  }
  const good = { ...burstLoss(0.1, 2), lossInGood: 0.01 };
  for (const key of ['enterBad', 'leaveBad', 'lossInGood', 'lossInBad'] as const) {
    for (const value of [-0.5, 1.5, NaN]) {
      const message = refusal(() => fates({ ...good, [key]: value }, 1, 's'));
      t.match(message, `${value}: must be from 0 to 1`, key);
    }
  }
  t.end();
});

t.test('a model that would lose everything forever is refused', (t) => {
  for (const change of [{ leaveBad: 0 }, { lossInGood: 1 }]) {
    const message = refusal(() => fates({ ...burstLoss(0.1, 2), ...change }, 1, 's'));
    t.match(message, /would lose every packet/);
  }
  t.end();
});

t.test('impossible bursts are refused, and the advised length is accepted', (t) => {
  for (const burst of [0, 0.99, -1, NaN, Infinity]) {
    t.match(
      refusal(() => burstLoss(0.1, burst)),
      `mean burst ${burst}: must be 1 packet or more`,
    );
  }
  for (const mean of [0.6, 0.7, 0.75, 0.9, 0.97]) {
    const message = refusal(() => burstLoss(mean, 1));
    t.match(message, `too short for a mean loss of ${mean}`);
    const advised = Number(/at least ([\d.]+) packets/.exec(message)?.[1]);
    t.doesNotThrow(() => burstLoss(mean, advised), `${advised} packets for ${mean}`);
  }
  t.end();
});
