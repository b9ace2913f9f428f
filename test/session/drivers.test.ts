/** Drivers connect senders and receivers to sources and stores. */
import t from 'tap';
import { P2mpError } from '../../src/base/errors.js';
import type { ContentSource } from '../../src/object/content-source.js';
import type { ContentStore, ContentStores } from '../../src/object/content-store.js';
import { createManifest, encodeManifest } from '../../src/object/manifest.js';
import { MemorySource } from '../../src/object/memory-source.js';
import { MemoryStores } from '../../src/object/memory-store.js';
import { SourceDriver } from '../../src/session/drivers/source-driver.js';
import { StoreDriver } from '../../src/session/drivers/store-driver.js';
import { SessionReceiver } from '../../src/session/receiver.js';
import type { IncomingResult } from '../../src/session/receiver-events.js';
import { SessionSender } from '../../src/session/sender.js';
import type { SimulatedHost } from '../../src/simulator/host.js';
import { createSimulatedCrypto } from '../../src/simulator/session-crypto.js';
import { Simulation } from '../../src/simulator/simulation.js';
import { createContent } from '../../src/simulator/transfer.js';

const content = createContent('drivers', 40_000);
const { hash } = createSimulatedCrypto('', '');

interface Made {
  readonly simulation: Simulation;
  readonly source: ContentSource;
  readonly stores: ContentStores;
}

/** Sends the content to one receiver in virtual time. */
function run(make: (simulation: Simulation) => Omit<Made, 'simulation'>) {
  const simulation = new Simulation({ seed: 'drivers' });
  const { source, stores } = make(simulation);
  const file = { name: 'a', mode: 0o644, modifiedMs: 0, sizeBytes: content.length };
  const sender = new SessionSender({
    receivers: [{ name: 'r', address: Simulation.address('r') }],
    label: 'a',
    manifest: encodeManifest(createManifest([{ kind: 'file', ...file }])),
    contentSizeBytes: content.length,
    crypto: createSimulatedCrypto('drivers', 's'),
    blockSizeBytes: 4000,
    livenessTimeoutMs: 2000,
  });
  const receiver = new SessionReceiver({
    crypto: createSimulatedCrypto('drivers', 'r'),
    name: 'r',
    platform: 'posix',
    refuseSender: () => undefined,
    blockSizeBytes: 4000,
  });
  const results: IncomingResult[] = [];
  const hostOf = (host: () => SimulatedHost) => ({
    get nowMs() {
      return simulation.nowMs;
    },
    drain: () => host().drain(),
  });
  const sourceDriver = new SourceDriver(
    source,
    hostOf(() => senderHost),
  );
  const storeDriver = new StoreDriver(
    receiver,
    stores,
    hostOf(() => receiverHost),
  );
  const senderHost: SimulatedHost = simulation.addHost('s', sender, (event) => {
    sourceDriver.handleEvent(sender, event);
    if (event.type === 'identify') sender.trust(simulation.nowMs, event.index);
  });
  const receiverHost: SimulatedHost = simulation.addHost('r', receiver, (event) => {
    storeDriver.handleEvent(event);
    if (event.type === 'end') results.push(event.result);
  });
  simulation.connect('s', 'r', [simulation.createLink('there', { delayMs: 3 })]);
  simulation.connect('r', 's', [simulation.createLink('back', { delayMs: 3 })]);
  simulation.at(0, () => senderHost.drain());
  simulation.run({ untilMs: 60_000 });
  const [result] = results;
  return { sender, receiver, result, storeDriver, outcome: sender.result(simulation.nowMs) };
}

function wrap(stores: MemoryStores, change: (store: ContentStore) => Partial<ContentStore>) {
  return {
    create: (...args: Parameters<ContentStores['create']>) => {
      const store = stores.create(args[0]);
      const bound: ContentStore = {
        open: (found) => store.open(found),
        read: (offsetBytes, sizeBytes, take) => store.read(offsetBytes, sizeBytes, take),
        check: (done) => store.check(done),
        write: (offsetBytes, bytes, done) => store.write(offsetBytes, bytes, done),
        forget: (block) => store.forget(block),
        withdraw: (entries, blocks) => store.withdraw(entries, blocks),
        verify: (leafOf, done) => store.verify(leafOf, done),
        complete: (doomed, done) => store.complete(doomed, done),
        end: (isComplete) => store.end(isComplete),
      };
      return { ...bound, ...change(bound) };
    },
    drop: (object: Parameters<ContentStores['drop']>[0]) => stores.drop(object),
  };
}

/** @returns what the stores hold of the only object */
function contentOf(stores: MemoryStores, manifestDigest = ''): Buffer {
  const blocks = [...(stores.blocksOf(manifestDigest) ?? [])].sort(([a], [b]) => a - b);
  return Buffer.concat(blocks.map(([, bytes]) => bytes));
}

t.test(
  'a session between a source and a store, at once and with operations that take time',
  (t) => {
    for (const isSlow of [false, true]) {
      const stores: MemoryStores[] = [];
      const { result } = run((clock) => {
        const timing = { clock, writeTimeMs: 7, storeTimeMs: 50 };
        stores.push(new MemoryStores(isSlow ? { hash, timing } : { hash }));
        const source = MemorySource.of(content, { clock, readTimeMs: isSlow ? 11 : 0 });
        return { source, stores: stores[0] as MemoryStores };
      });
      t.equal(result?.status, 'complete');
      t.ok(contentOf(stores[0] as MemoryStores, result?.manifestDigest).equals(content));
    }
    t.end();
  },
);

t.test('damage that the store finds is received again', (t) => {
  let damages = 0;
  const { result } = run(() => ({
    source: MemorySource.of(content),
    stores: wrap(new MemoryStores({ hash }), (store) => ({
      verify: (leafOf, done) => (damages++ === 0 ? done([2, 5]) : store.verify(leafOf, done)),
    })),
  }));
  t.equal(result?.status, 'complete');
  t.equal(result?.badBlocks, 2);
  t.end();
});

t.test(
  'a store that fails refuses the object before it is open, and ends the session after',
  (t) => {
    const error = new P2mpError('TARGET_FAILED', 'the disk is full');
    for (const [operation, status] of [
      ['open', 'refused'],
      ['write', 'failed'],
      ['complete', 'failed'],
    ] as const) {
      const stores = new MemoryStores({ hash });
      const { result, outcome } = run(() => ({
        source: MemorySource.of(content),
        stores: {
          create: (request, handleFailure) => {
            const failing = { [operation]: () => handleFailure(error) };
            return wrap(stores, () => failing).create(request, handleFailure);
          },
          drop: () => {},
        },
      }));
      t.equal(result?.status, status);
      t.equal(result?.reason, 'the disk is full');
      t.equal(outcome.receivers[0]?.reason, 'the disk is full');
    }
    t.end();
  },
);

t.test('a bug in a store ends its session as an internal error', (t) => {
  const stores = new MemoryStores({ hash });
  const { result, receiver } = run(() => ({
    source: MemorySource.of(content),
    stores: {
      create: (request, handleFailure) =>
        wrap(stores, () => ({ write: () => handleFailure(new Error('a bug')) })).create(
          request,
          handleFailure,
        ),
      drop: () => {},
    },
  }));
  t.match(result?.reason, /^internal error/);
  t.equal(receiver.result().internalErrors, 1);
  t.end();
});

t.test('whatever ends after a session or its machine is ignored', (t) => {
  let handleFailure: (error: unknown) => void = () => {};
  let handleWritten: () => void = () => {};
  const { result, storeDriver, receiver } = run(() => ({
    source: MemorySource.of(content),
    stores: {
      create: (request, handle) => {
        handleFailure = handle;
        return wrap(new MemoryStores({ hash }), (store) => ({
          write: (offsetBytes, bytes, done) => {
            store.write(offsetBytes, bytes, done);
            handleWritten = done;
          },
        })).create(request, handle);
      },
      drop: () => {},
    },
  }));
  t.equal(result?.status, 'complete');
  handleFailure(new P2mpError('TARGET_FAILED', 'too late'));
  t.equal(receiver.result().failed, 0);
  const { bufferedBytes } = receiver;
  storeDriver.stop();
  handleWritten();
  t.equal(receiver.bufferedBytes, bufferedBytes);
  t.end();
});
