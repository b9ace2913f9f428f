import t from 'tap';
import { createModel, roundTripMs } from '../../src/experiment/model.js';
import type { Point } from '../../src/experiment/parameters.js';
import { simulateRun } from '../../src/experiment/simulated/run.js';
import { deviationOfDelayMs, meanDelayMs, meanRounds } from '../../src/experiment/theory.js';

/** Bound for random deviation: fewer than one in 15,000 fair comparisons exceeds it. */
const limit = 4;

function point(change: Partial<Point> = {}): Point {
  return {
    protocol: undefined,
    senders: undefined,
    order: undefined,
    senderRateBytesPerSec: undefined,
    sources: undefined,
    split: undefined,
    rates: undefined,
    deaths: undefined,
    sourceRateBytesPerSec: undefined,
    hops: undefined,
    passing: undefined,
    lossyLink: undefined,
    objects: undefined,
    requests: undefined,
    zipfExponent: undefined,
    cachedObjects: undefined,
    peers: undefined,
    shape: undefined,
    peerDeaths: undefined,
    peerRateBytesPerSec: undefined,
    rateRatio: undefined,
    rttRatio: undefined,
    firstPath: undefined,
    pathCount: undefined,
    shares: undefined,
    enterBad: undefined,
    leaveBad: undefined,
    lossInGood: undefined,
    lossInBad: undefined,
    fileSizeBytes: 100_000,
    rateBytesPerSec: undefined,
    queueBytes: undefined,
    sendTimeMs: 0,
    rttMs: 20,
    window: 1,
    timeoutMs: 100,
    lossModel: 'bernoulli',
    loss: 0.05,
    mssBytes: 500,
    receivers: 3,
    ...change,
  };
}

/** The deviation of a run from the model's prediction for `setting`, in standard deviations. */
function strayOf(delayMs: number, setting: Point): number {
  const model = createModel(setting);
  if (model === undefined) throw new Error('the model does not cover this setting');
  return (delayMs - model.meanDelayMs) / model.deviationMs;
}

t.test('the model of a point is the formula with its segments', (t) => {
  const run = { receivers: 3, loss: 0.05, timeoutMs: 100, rttMs: 20, sendTimeMs: 0.5 };
  const sizes: [number, number, number][] = [
    [100_000, 500, 200],
    [100_001, 500, 201],
    [499, 500, 1],
    [500, 500, 1],
  ];
  for (const [fileSizeBytes, mssBytes, segments] of sizes) {
    t.same(
      createModel(point({ fileSizeBytes, mssBytes, sendTimeMs: 0.5 })),
      {
        meanDelayMs: meanDelayMs({ ...run, segments }),
        deviationMs: deviationOfDelayMs({ ...run, segments }),
        rounds: segments * meanRounds(3, 0.05),
      },
      `${fileSizeBytes} by ${mssBytes} bytes`,
    );
  }
  t.end();
});

t.test('the model covers stop-and-wait with a fixed timeout and independent losses', (t) => {
  const covered: Partial<Point>[] = [
    {},
    { loss: 0 },
    { loss: 0, lossModel: 'burst:4' },
    { sendTimeMs: 1 },
    { rateBytesPerSec: 57_200 },
    { timeoutMs: 20.1 },
    { rttMs: 0 },
  ];
  for (const change of covered) {
    t.ok(createModel(point(change)), JSON.stringify(change));
  }
  t.end();
});

t.test('it does not cover windows, bursts, or timeouts that adapt or are too short', (t) => {
  const others: Partial<Point>[] = [
    { window: 2 },
    { timeoutMs: 'auto' },
    { lossModel: 'burst:4' },
    { lossModel: 'burst:1' },
    { timeoutMs: 20 },
    { timeoutMs: 10 },
    { rateBytesPerSec: 57_200, timeoutMs: 30 },
  ];
  for (const change of others) {
    t.equal(createModel(point(change)), undefined, JSON.stringify(change));
  }
  t.equal(createModel(point(), 100), undefined, 'nor points whose measured round trip is too long');
  t.end();
});

t.test(
  'a limited rate adds the time of a segment and its ACK to the round trip, headers included',
  (t) => {
    t.equal(roundTripMs(point()), 20);
    // 500 + 8 + 28 bytes forward, 8 + 28 back.
    t.equal(roundTripMs(point({ rateBytesPerSec: 57_200 })), 30);
    t.equal(roundTripMs(point({ rateBytesPerSec: 57_200, mssBytes: 1072 })), 40);
    t.end();
  },
);

t.test('a measured round trip replaces that of the path', (t) => {
  const measured = createModel(point({ rateBytesPerSec: 57_200 }), 7);
  t.same(measured, createModel(point({ rttMs: 7 })));
  t.notSame(measured, createModel(point({ rateBytesPerSec: 57_200 })));
  t.end();
});

t.test('without loss a run takes exactly as long as the model predicts', (t) => {
  const changes: Partial<Point>[] = [
    {},
    { receivers: 1 },
    { sendTimeMs: 0.5, receivers: 7 },
    { rateBytesPerSec: 57_200 },
    { rateBytesPerSec: 57_200, sendTimeMs: 2, queueBytes: 536 },
    { rttMs: 0 },
    { lossModel: 'burst:4' },
    { fileSizeBytes: 100_001 },
  ];
  for (const change of changes) {
    const setting = point({ loss: 0, ...change });
    const model = createModel(setting);
    const { delayMs, rounds, timeouts, retransmissions } = simulateRun(setting, 'exact');
    const text = JSON.stringify(change);
    t.ok(Math.abs(delayMs - (model?.meanDelayMs ?? NaN)) < 1e-6, `${delayMs} ms: ${text}`);
    t.equal(rounds, model?.rounds, text);
    t.same([timeouts, retransmissions], [0, 0], text);
  }
  t.end();
});

t.test('a short last segment saves a limited rate its missing bytes, and nothing else', (t) => {
  for (const fileSizeBytes of [100_001, 100_499, 10]) {
    const setting = point({ loss: 0, rateBytesPerSec: 57_200, fileSizeBytes });
    const missingBytes = Math.ceil(fileSizeBytes / 500) * 500 - fileSizeBytes;
    const sparedMs = (missingBytes / 57_200) * 1000;
    const { delayMs } = simulateRun(setting, 'short');
    const modelMs = createModel(setting)?.meanDelayMs ?? NaN;
    t.ok(delayMs <= modelMs + 1e-6, `${delayMs} ms, model ${modelMs} ms`);
    t.ok(delayMs >= modelMs - sparedMs - 1e-6, `${delayMs} ms, model ${modelMs} ms`);
  }
  t.end();
});

const compared: Partial<Point>[] = [
  { receivers: 1 },
  { receivers: 10, loss: 0.1 },
  { receivers: 40, loss: 0.02 },
  { rateBytesPerSec: 57_200 },
  { rateBytesPerSec: 100_000, queueBytes: 1072, loss: 0.1 },
  { sendTimeMs: 0.5, receivers: 10 },
  { sendTimeMs: 2, receivers: 5, rateBytesPerSec: 57_200 },
  { mssBytes: 300, fileSizeBytes: 100_001 },
  { mssBytes: 1000, fileSizeBytes: 300_001, rateBytesPerSec: 107_200 },
  { rttMs: 0, loss: 0.2 },
];

t.test('with loss a run deviates from the model no more than chance explains', (t) => {
  let squares = 0;
  for (const change of compared) {
    const setting = point(change);
    const text = JSON.stringify(change);
    const { delayMs, completeReceivers } = simulateRun(setting, `agreement ${text}`);
    const stray = strayOf(delayMs, setting);
    squares += stray ** 2;
    t.ok(Math.abs(stray) <= limit, `${stray.toFixed(2)} deviations: ${text}`);
    t.equal(completeReceivers, setting.receivers, text);
  }
  // The mean of ten squares deviates from 1 by 0.45 (one standard deviation).
  const meanSquare = squares / compared.length;
  t.ok(
    meanSquare > 0.1 && meanSquare < 2.8,
    `and as much as chance explains: ${meanSquare.toFixed(2)}`,
  );
  t.end();
});

t.test(
  'runs vary as much as the model predicts when sending time and rounds are correlated',
  (t) => {
    const change = { sendTimeMs: 20, timeoutMs: 30, loss: 0.2, fileSizeBytes: 15_000 };
    for (const receivers of [1, 5]) {
      const setting = point({ ...change, receivers });
      const count = 400;
      const strays = Array.from({ length: count }, (_, i) =>
        strayOf(simulateRun(setting, `scatter ${receivers} ${i}`).delayMs, setting),
      );
      const mean = strays.reduce((sum, stray) => sum + stray, 0) / count;
      const variance = strays.reduce((sum, stray) => sum + (stray - mean) ** 2, 0) / (count - 1);
      t.ok(Math.abs(mean) < limit / Math.sqrt(count), `mean ${mean.toFixed(3)}`);
      t.ok(
        Math.abs(variance - 1) < limit * Math.sqrt(2 / count),
        `variance ${variance.toFixed(2)}`,
      );
    }
    t.end();
  },
);

t.test('a model without rate, sending time or segment size would be noticed', (t) => {
  const left: [Partial<Point>, Partial<Point>][] = [
    [{ rateBytesPerSec: 57_200 }, { rateBytesPerSec: undefined }],
    [{ sendTimeMs: 2, receivers: 10 }, { sendTimeMs: 0 }],
    [{ mssBytes: 300 }, { mssBytes: 500 }],
    [{ receivers: 10 }, { receivers: 5 }],
  ];
  for (const [change, without] of left) {
    const setting = point({ fileSizeBytes: 1_000_000, ...change });
    const { delayMs } = simulateRun(setting, 'power');
    const stray = strayOf(delayMs, { ...setting, ...without });
    t.ok(stray > limit, `${stray.toFixed(2)} deviations: ${JSON.stringify(change)}`);
  }
  t.end();
});

t.test('the same seed gives the same run, another seed another one', (t) => {
  const setting = point({ receivers: 5, loss: 0.1 });
  t.same(simulateRun(setting, 'a'), simulateRun(setting, 'a'));
  t.not(simulateRun(setting, 'a').rounds, simulateRun(setting, 'b').rounds);
  t.end();
});

t.test('another round trip changes the time of a run and none of its losses', (t) => {
  const setting = point({ receivers: 5, loss: 0.1 });
  const run = simulateRun(setting, 'twin');
  const twin = simulateRun(setting, 'twin', 5);
  const { delayMs: _, rttMs: __, ...counts } = run;
  t.match(twin, counts);
  t.equal(run.rttMs, 20);
  t.equal(twin.rttMs, 5);
  // 200 segments, each 15 ms sooner.
  t.ok(Math.abs(run.delayMs - twin.delayMs - 200 * 15) < 1e-6, `${run.delayMs}, ${twin.delayMs}`);
  t.end();
});

t.test('bursts lose the requested mean share', (t) => {
  const [mean, burst] = [0.2, 4];
  const lossModel = `burst:${burst}`;
  const setting = point({ receivers: 1, loss: mean, lossModel, fileSizeBytes: 5_000_000 });
  const { retransmissions, completeReceivers } = simulateRun(setting, 'bursts');
  t.equal(completeReceivers, 1);
  // One receiver: every loss is sent again.
  const sent = 10_000 + retransmissions;
  const share = retransmissions / sent;
  const leaveBad = 1 / burst;
  const correlation = 1 - leaveBad - (leaveBad * mean) / (1 - mean);
  const variance = (mean * (1 - mean) * (1 + correlation)) / (1 - correlation) / sent;
  t.ok(Math.abs(share - mean) < limit * Math.sqrt(variance), `${share} for ${mean}`);
  t.end();
});

t.test('receivers lose bursts at different times', (t) => {
  const setting = point({ receivers: 2, loss: 0.1, lossModel: 'burst:8' });
  const both = simulateRun(setting, 'two');
  const one = simulateRun({ ...setting, receivers: 1 }, 'two');
  t.ok(both.rounds > one.rounds, `${both.rounds} rounds for two, ${one.rounds} for one`);
  t.equal(both.completeReceivers, 2);
  t.end();
});

t.test('a window speeds up a long path, though each loss costs a round', (t) => {
  const delays = [1, 4, 16].map((window) => simulateRun(point({ window }), 'window').delayMs);
  const [one = 0, four = 0, sixteen = 0] = delays;
  t.ok(four < 0.5 * one && sixteen < 0.6 * four, `${delays.join(', ')} ms`);
  const lossless = simulateRun(point({ window: 8, loss: 0 }), 'window').delayMs;
  // The first segment is sent alone (PROTOCOL 6.4), the other 199 by eight.
  t.ok(Math.abs(lossless - (1 + Math.ceil(199 / 8)) * 20) < 1e-6, `${lossless} ms`);
  t.end();
});

t.test('an automatic timeout completes, and waits less than a long fixed one', (t) => {
  for (const change of [{}, { window: 8 }, { lossModel: 'burst:4', rateBytesPerSec: 57_200 }]) {
    const setting = point({ loss: 0.1, ...change });
    const auto = simulateRun({ ...setting, timeoutMs: 'auto' }, 'auto');
    const fixed = simulateRun({ ...setting, timeoutMs: 1000 }, 'auto');
    const text = JSON.stringify(change);
    t.equal(auto.completeReceivers, 3, text);
    t.ok(auto.delayMs < fixed.delayMs, `${auto.delayMs} and ${fixed.delayMs} ms: ${text}`);
  }
  t.end();
});

t.test('a window too large for the queue loses packets and still completes', (t) => {
  const setting = point({ window: 8, loss: 0, rateBytesPerSec: 57_200, timeoutMs: 200 });
  const { retransmissions, completeReceivers } = simulateRun({ ...setting, queueBytes: 2000 }, 'q');
  t.ok(retransmissions > 100, `${retransmissions} sent again`);
  t.equal(completeReceivers, 3);
  const roomy = simulateRun({ ...setting, queueBytes: 8 * 536 }, 'q');
  t.equal(roomy.retransmissions, 0);
  t.end();
});

t.test('fetches from several sources take what their rates allow, or hardly more', (t) => {
  const base = {
    ...({ protocol: 'unicast', loss: 0, mssBytes: 1400, fileSizeBytes: 2_000_000 } as const),
    sourceRateBytesPerSec: 250_000,
  };
  // Of each datagram of 1,444 bytes, 1,400 are content.
  const allMs = (2_000_000 / 250_000) * (1444 / 1400) * 1000;
  const cases: readonly (readonly [Partial<Point>, number])[] = [
    [{ sources: 1, split: 'speed', rates: 'equal', deaths: 0 }, allMs],
    [{ sources: 4, split: 'speed', rates: 'equal', deaths: 0 }, allMs / 4],
    [{ sources: 4, split: 'equal', rates: 'equal', deaths: 0 }, allMs / 4],
    [{ sources: 2, split: 'speed', rates: 'unequal', deaths: 0 }, allMs / 1.5],
    // The slower one sends half of it.
    [{ sources: 2, split: 'equal', rates: 'unequal', deaths: 0 }, allMs],
    // One source stays.
    [{ sources: 1, split: 'speed', rates: 'equal', deaths: 1 }, allMs],
    [{ sources: 2, split: 'speed', rates: 'equal', deaths: 1 }, allMs / 4 + allMs / 2],
    [{ sources: 2, split: 'equal', rates: 'equal', deaths: 1 }, allMs / 2 + allMs / 4],
  ];
  for (const [change, expectedMs] of cases) {
    const setting = point({ ...base, ...change });
    const modelMs = createModel(setting)?.meanDelayMs ?? 0;
    t.ok(Math.abs(modelMs - expectedMs) < 0.01, `${modelMs} ms, not ${expectedMs}`);
    const { delayMs, completeReceivers } = simulateRun(setting, 'seed');
    t.equal(completeReceivers, 1);
    // A dead source with an equal part is found after some seconds.
    const foundMs = change.deaths === 1 && change.split === 'equal' ? 8000 : 0;
    // What a dead source had sent still arrives.
    t.ok(delayMs > 0.97 * modelMs, `${delayMs} ms, the model says ${modelMs}`);
    t.ok(delayMs < 1.1 * modelMs + 500 + foundMs, `${delayMs} ms, the model says ${modelMs}`);
  }
  t.end();
});

t.test('the bounds of an exchange are those of the theory', (t) => {
  // Without headers, which take 44 of each 1,444 bytes.
  const share = 1400 / 1444;
  const base = { peers: 4, peerDeaths: 0, mssBytes: 1400, fileSizeBytes: 100e6 } as const;
  const seconds = (change: Partial<Point>) =>
    Math.round(((createModel(point({ ...base, ...change }))?.meanDelayMs ?? 0) * share) / 10) / 100;
  const both = { shape: 'symmetric', peerRateBytesPerSec: 25e6 } as const;
  t.equal(seconds({ ...both, protocol: 'unicast' }), 12, '200 Mbit/s both ways');
  t.equal(seconds({ ...both, protocol: 'multicast' }), 12);
  const slow = { shape: 'slow-uplinks', peerRateBytesPerSec: 62.5e6 } as const;
  t.equal(seconds({ ...slow, protocol: 'unicast' }), 48, '50 Mbit/s up, 500 down');
  t.equal(seconds({ ...slow, protocol: 'multicast' }), 16);
  const medium = { shape: 'medium', peerRateBytesPerSec: 100e6 } as const;
  t.equal(seconds({ ...medium, protocol: 'unicast' }), 12, 'one medium');
  t.equal(seconds({ ...medium, protocol: 'multicast' }), 4);
  t.equal(createModel(point({ ...base, ...both, protocol: 'unicast', peerDeaths: 1 })), undefined);
  t.end();
});

t.test('shares let many senders fill a port with few repetitions', (t) => {
  const link = { rttMs: 10, rateBytesPerSec: 12_500_000, queueBytes: 92_416 };
  const [off, on] = (['off', 'on'] as const).map((shares) => {
    const each = { ...link, senders: 8, pathCount: 2, shares, fileSizeBytes: 500_000 };
    const incast = point({ ...each, protocol: 'unicast', receivers: 1, mssBytes: 1400 });
    return { ...simulateRun(incast, 'incast'), model: createModel(incast)?.meanDelayMs ?? 0 };
  }) as [IncastResult, IncastResult];
  for (const { completeReceivers, delayMs, model } of [off, on]) {
    t.equal(completeReceivers, 1);
    t.ok(delayMs > model, `${delayMs} ms, no less than the model's ${model}`);
  }
  t.ok(
    on.retransmissions < off.retransmissions / 3,
    `${on.retransmissions} repetitions with shares`,
  );
  t.end();
});

type IncastResult = ReturnType<typeof simulateRun> & { readonly model: number };

t.test('a session by two paths is compared with the same by each of them alone', (t) => {
  const setting = point({
    ...({
      loss: 0,
      mssBytes: 1400,
      fileSizeBytes: 3_000_000,
      queueBytes: 30_000,
      receivers: 1,
    } as const),
    ...({ protocol: 'unicast', rateBytesPerSec: 1_250_000, rttMs: 10 } as const),
    ...({ rateRatio: 2, rttRatio: 4 } as const),
  });
  t.equal(createModel(setting), undefined);
  const times = ['fast', 'slow'].map((firstPath) => {
    const { delayMs, fastAloneMs, slowAloneMs, completeReceivers } = simulateRun(
      { ...setting, firstPath: firstPath as 'fast' | 'slow' },
      'seed',
    );
    t.equal(completeReceivers, 1);
    return { delayMs, fastAloneMs, slowAloneMs };
  });
  const [first, second] = times;
  t.equal(first?.delayMs, second?.delayMs, 'the order of the addresses makes no difference');
  for (const { delayMs, fastAloneMs = 0, slowAloneMs = 0 } of times) {
    t.same([fastAloneMs, slowAloneMs], [first?.fastAloneMs, first?.slowAloneMs]);
    const modelMs = (3_000_000 / 1_250_000) * (1444 / 1400) * 1000;
    t.ok(
      fastAloneMs > modelMs && fastAloneMs < 1.2 * modelMs,
      `${fastAloneMs} ms by the fast path`,
    );
    t.ok(
      slowAloneMs > 2 * modelMs && slowAloneMs < 2.4 * modelMs,
      `${slowAloneMs} ms by the other`,
    );
    t.ok(delayMs < 0.9 * fastAloneMs, `${delayMs} ms by both`);
  }
  t.end();
});

t.test('a simulated exchange takes what its links allow, and somewhat more', (t) => {
  const base = {
    ...({ loss: 0, mssBytes: 1400, fileSizeBytes: 1_000_000, queueBytes: 64_000 } as const),
    ...({ peers: 3, peerDeaths: 0, peerRateBytesPerSec: 1_250_000 } as const),
  };
  for (const protocol of ['unicast', 'multicast'] as const) {
    const setting = point({ ...base, protocol, shape: 'slow-uplinks' });
    const modelMs = createModel(setting)?.meanDelayMs ?? 0;
    const { delayMs, completeReceivers } = simulateRun(setting, 'seed');
    t.equal(completeReceivers, 1);
    t.ok(delayMs > 0.97 * modelMs, `${protocol}: ${delayMs} ms, the model says ${modelMs}`);
    t.ok(delayMs < 1.5 * modelMs, `${protocol}: ${delayMs} ms, the model says ${modelMs}`);
  }
  t.end();
});
