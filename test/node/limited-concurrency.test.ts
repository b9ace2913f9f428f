import t from 'tap';
import { forEachLimited, mapLimited } from '../../src/node/limited-concurrency.js';

/** Work items that each test ends explicitly. */
class Works {
  readonly started: number[] = [];
  private readonly ends = new Map<number, (error?: Error) => void>();

  readonly work = (item: number): Promise<string> => {
    this.started.push(item);
    return new Promise((resolve, reject) => {
      this.ends.set(item, (error) => (error === undefined ? resolve(`of ${item}`) : reject(error)));
    });
  };

  /** Ends one item, and waits for what follows from that. */
  async end(item: number, error?: Error): Promise<void> {
    this.ends.get(item)?.(error);
    await new Promise(setImmediate);
  }
}

t.test('results have the order of the items, whichever ends first', async (t) => {
  const works = new Works();
  const results = mapLimited([1, 2, 3], 2, works.work);
  t.same(works.started, [1, 2], 'two at once');
  await works.end(2);
  t.same(works.started, [1, 2, 3], 'the next begins once one has ended');
  await works.end(3);
  await works.end(1);
  t.same(await results, ['of 1', 'of 2', 'of 3']);
});

t.test(
  'after a failure no more work starts; the first failure in item order is reported once all have ended',
  async (t) => {
    const works = new Works();
    let hasEnded = false;
    const results = mapLimited([1, 2, 3, 4], 3, works.work).finally(() => {
      hasEnded = true;
    });
    results.catch(() => undefined);
    await works.end(3, new Error('third'));
    await works.end(1, new Error('first'));
    t.notOk(hasEnded, 'one is still running');
    await works.end(2);
    await t.rejects(results, { message: 'first' });
    t.same(works.started, [1, 2, 3]);
  },
);

t.test('work that fails synchronously', async (t) => {
  const fail = async () => {
    throw new Error('at once');
  };
  await t.rejects(forEachLimited([1, 2], 2, fail), { message: 'at once' });
});

t.test('nothing to do', async (t) => {
  t.same(await mapLimited([], 4, async () => 1), []);
});
