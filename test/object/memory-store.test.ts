/** Sources and stores in memory: what is held, time, crashes, and reading while a store fills. */
import t from 'tap';
import type { FoundContent, StoreRequest } from '../../src/object/content-store.js';
import { hashLeaf } from '../../src/object/hash-tree.js';
import { createManifest } from '../../src/object/manifest.js';
import { MemorySource } from '../../src/object/memory-source.js';
import type { MemoryStoresOptions } from '../../src/object/memory-store.js';
import { MemoryStores } from '../../src/object/memory-store.js';
import { EventQueue } from '../../src/simulator/event-queue.js';
import { createSimulatedCrypto } from '../../src/simulator/session-crypto.js';

const { hash } = createSimulatedCrypto('', '');

/** A clock that a test advances. */
class TestClock {
  nowMs = 0;
  private readonly queue = new EventQueue();

  at(atMs: number, action: () => void): void {
    this.queue.push(atMs, action);
  }

  passTo(atMs: number): void {
    while ((this.queue.nextAtMs ?? Infinity) <= atMs) {
      this.nowMs = this.queue.nextAtMs as number;
      this.queue.pop()?.();
    }
    this.nowMs = atMs;
  }
}

const request: StoreRequest = {
  session: 1,
  manifestDigest: '00',
  label: 'a',
  senderKey: new Uint8Array(32),
  manifest: createManifest([
    { kind: 'file', name: 'a', mode: 0o644, modifiedMs: 0, sizeBytes: 10 },
  ]),
  blockSizeBytes: 4,
  existing: 'update',
  deletion: 'none',
  listedAtMs: 0,
};

/** The three blocks of the content. */
const blocks = [Uint8Array.of(1, 2, 3, 4), Uint8Array.of(5, 6, 7, 8), Uint8Array.of(9, 10)];
const block = (index: number) => blocks[index] as Uint8Array;

function setUp(options: Partial<MemoryStoresOptions> = {}) {
  const stores = new MemoryStores({ hash, ...options });
  const open = (own = request) => {
    const store = stores.create(own);
    let found: FoundContent | undefined;
    store.open((all) => {
      found = all;
    });
    const held = [...(found?.held ?? [])].map(({ index }) => index);
    return { store, found, held };
  };
  return { stores, open };
}

t.test(
  'what was written is held, readable while the store fills, and forgotten on request',
  (t) => {
    const { open } = setUp();
    const { store, held } = open();
    t.same(held, []);
    const read = (offsetBytes: number, sizeBytes: number) => {
      let got: Uint8Array | undefined;
      store.read(offsetBytes, sizeBytes, (bytes) => {
        got = bytes;
      });
      return got && [...got];
    };
    let writtenCount = 0;
    const write = (index: number) => store.write(4 * index, block(index), () => writtenCount++);
    write(2);
    write(1);
    t.equal(writtenCount, 2);
    t.same(read(6, 4), [7, 8, 9, 10], 'any part of what is there');
    t.equal(read(2, 4), undefined, 'not what is missing');
    t.equal(read(8, 4), undefined, 'nothing beyond the end');
    store.forget(1);
    t.equal(read(4, 4), undefined);
    write(1);
    write(0);
    store.end(false);
    const again = open();
    t.same(again.held.sort(), [0, 1, 2]);
    for (const { index, leaf } of again.found?.held ?? []) {
      t.same(leaf, hashLeaf(hash, block(index)));
    }
    t.end();
  },
);

t.test('operations take time, one after another; a crash loses what is not durable', (t) => {
  const clock = new TestClock();
  const timing = { clock, writeTimeMs: 10, checkpointMs: 100, storeTimeMs: 5 };
  const { stores, open } = setUp({ timing });
  const { store } = open();
  const log: string[] = [];
  const write = (index: number) =>
    store.write(4 * index, block(index), () => log.push(`${index} at ${clock.nowMs}`));
  write(0);
  write(1);
  clock.passTo(111);
  t.same(log, ['0 at 10', '1 at 20']);
  write(2);
  clock.passTo(130);
  t.same(log.at(-1), '2 at 121');
  store.complete([], () => log.push('complete'));
  stores.crash();
  clock.passTo(1000);
  t.notOk(log.includes('complete'), 'nothing that was begun before the crash ends after it');
  t.same(open().held, [0, 1], 'only what a checkpoint made durable');
  const last = open().store;
  last.write(8, block(2), () => {});
  last.complete([], ({ deletion }) => log.push(`complete at ${clock.nowMs}, ${deletion}`));
  clock.passTo(2000);
  t.equal(log.at(-1), 'complete at 1015, undefined');
  stores.crash(() => true);
  t.same([...(stores.blocksOf('00')?.get(2) ?? [])], [8, 10], 'a crash can damage blocks');
  t.end();
});

t.test('a store that verifies finds what differs from the digests', (t) => {
  const { stores, open } = setUp({ verifies: true });
  const { store } = open();
  for (const index of [0, 1, 2]) store.write(4 * index, block(index), () => {});
  stores.crash(() => true);
  const damaged: number[] = [];
  store.verify(
    (index) => hashLeaf(hash, index === 1 ? Uint8Array.of(4, 6, 7, 8) : block(index)),
    (found) => damaged.push(...found),
  );
  t.same(damaged, [0, 2]);
  t.end();
});

t.test('what is there at first, what is kept, and what is deleted', (t) => {
  const extras = [
    { name: 'b', isFolder: false },
    { name: 'c', isFolder: false },
  ];
  const initialContent = () => ({
    blocks: [0, 1].map((index) => [index, block(index)] as const),
    kept: [{ start: 1, end: 2 }],
    extras,
  });
  const { stores, open } = setUp({ initialContent });
  const plain = open();
  t.same(plain.held, [0]);
  t.same(plain.found?.kept, [{ start: 1, end: 2 }]);
  t.same([...(plain.found?.extras ?? [])], []);
  const listing = open({ ...request, deletion: 'list' });
  t.same(listing.held, []);
  t.same([...(listing.found?.extras ?? [])], extras);
  const deleting = open({ ...request, deletion: 'delete' });
  const [, doomed] = [...(deleting.found?.extras ?? [])];
  let deletedEntries = 0;
  deleting.store.complete(doomed === undefined ? [] : [doomed], ({ deletion }) => {
    deletedEntries = deletion?.deletedEntries ?? 0;
  });
  t.equal(deletedEntries, 1);
  t.same(stores.deletedNames, ['c']);
  t.same([...(open({ ...request, deletion: 'delete' }).found?.extras ?? [])], [extras[0]]);
  stores.drop(request);
  t.same([...(stores.blocksOf('00')?.keys() ?? [])], [1], 'only what is kept');
  t.end();
});

t.test('a source in memory reads any part, in any order', (t) => {
  const clock = new TestClock();
  const content = Uint8Array.from({ length: 10 }, (_, i) => i);
  const got: string[] = [];
  const take = (bytes: Uint8Array) => got.push(`${[...bytes]} at ${clock.nowMs}`);
  MemorySource.of(content).read(8, 2, take);
  const slow = MemorySource.of(content, { clock, readTimeMs: 5 });
  slow.read(4, 2, take);
  slow.read(0, 1, take);
  clock.passTo(5);
  t.same(got, ['8,9 at 0', '4,5 at 5', '0 at 5']);
  let isUnchanged = false;
  slow.check(() => {
    isUnchanged = true;
  });
  t.ok(isUnchanged);
  t.end();
});
