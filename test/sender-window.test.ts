import t from 'tap';
import { simulateTransfer } from '../src/simulator/transfer.js';

/** The time for 400 segments to three receivers with a round trip of 10 ms. */
function elapsedMs(windowBlocks: number, probability: number): number {
  const { sender } = simulateTransfer({
    seed: 'window',
    receiverCount: 3,
    sizeBytes: 1600,
    mssBytes: 4,
    windowBlocks,
    loss: { model: 'bernoulli', probability },
    forwardLink: { delayMs: 5 },
    backwardLink: { delayMs: 5 },
  });
  const isComplete = sender?.receivers.every(({ status }) => status === 'complete');
  return isComplete ? (sender?.elapsedMs ?? Infinity) : Infinity;
}

t.test('with little loss a window is faster than stop-and-wait', (t) => {
  const stopAndWaitMs = elapsedMs(1, 0.02);
  for (const windowBlocks of [4, 16, 64]) {
    const ms = elapsedMs(windowBlocks, 0.02);
    t.ok(ms < stopAndWaitMs, `window ${windowBlocks}: ${ms} ms, stop-and-wait ${stopAndWaitMs} ms`);
  }
  t.end();
});

t.test('with heavy loss it still completes in reasonable time', (t) => {
  const stopAndWaitMs = elapsedMs(1, 0.1);
  for (const windowBlocks of [4, 16, 64]) {
    // Segments after a loss are dropped and sent again, which may cost some or all of the gain.
    const ms = elapsedMs(windowBlocks, 0.1);
    t.ok(
      ms < 2 * stopAndWaitMs,
      `window ${windowBlocks}: ${ms} ms, stop-and-wait ${stopAndWaitMs} ms`,
    );
  }
  t.end();
});
