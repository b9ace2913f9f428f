import t from 'tap';
import { simulateTransfer } from '../src/simulator/transfer.js';

/** 400 segments to three receivers over 10 ms there and back. */
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

t.test('a window pays: with little loss it is faster than stop-and-wait', (t) => {
  const stopAndWaitMs = elapsedMs(1, 0.02);
  for (const windowBlocks of [4, 16, 64]) {
    const ms = elapsedMs(windowBlocks, 0.02);
    t.ok(ms < stopAndWaitMs, `window ${windowBlocks}: ${ms} ms, stop-and-wait ${stopAndWaitMs} ms`);
  }
  t.end();
});

t.test('and with heavy loss it still gets there in reasonable time', (t) => {
  const stopAndWaitMs = elapsedMs(1, 0.1);
  for (const windowBlocks of [4, 16, 64]) {
    // What follows a loss is thrown away and sent again; that may cost some of the gain or all of it.
    const ms = elapsedMs(windowBlocks, 0.1);
    t.ok(
      ms < 2 * stopAndWaitMs,
      `window ${windowBlocks}: ${ms} ms, stop-and-wait ${stopAndWaitMs} ms`,
    );
  }
  t.end();
});
