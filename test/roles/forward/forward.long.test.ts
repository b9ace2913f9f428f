/** Objects that relays send on, in virtual time. */
import t from 'tap';
import type { ContentStores } from '../../../src/object/content-store.js';
import type { SessionCrypto } from '../../../src/security/crypto.js';
import { SessionSender } from '../../../src/session/sender.js';
import { createContent } from '../../../src/simulator/transfer.js';
import { blockSizeBytes, hasReceived, type Peer, RelayNet } from '../../support/relay-net.js';

const content = createContent('object', 200 * blockSizeBytes - 100);
const send = (...to: readonly string[]) => ({ objects: [{ label: 'object', content, to }] });
const group = '239.1.2.3';

/** The rows of the result at the origin, as text. */
function rowsOf({ role }: Peer): string[] {
  const [{ result } = { result: undefined }] = role.sent;
  return (result?.receivers ?? []).map(
    ({ receiver, via = [], status }) => `${[...via, receiver].join('/')} ${status}`,
  );
}

/** For each receiver that is not complete, the reason. */
function reasonsOf({ role }: Peer): string[] {
  const [{ result } = { result: undefined }] = role.sent;
  return (result?.receivers ?? [])
    .filter(({ status }) => status !== 'complete')
    .map(({ reason }) => reason ?? '');
}

const elapsedMs = ({ role }: Peer) => role.sent[0]?.result.elapsedMs ?? Infinity;

t.test('an object goes through a relay to three receivers', (t) => {
  const net = new RelayNet('1');
  const finals = ['a', 'b', 'c'].map((name) => net.peer(name));
  const relay = net.forwarder('relay', ['a', 'b', 'c']);
  const origin = net.peer('origin', send('relay'));
  net.simulation.run({ untilMs: 60_000 });
  for (const final of finals) t.ok(hasReceived(final, content));
  t.strictSame(rowsOf(origin), [
    'relay complete',
    'relay/a complete',
    'relay/b complete',
    'relay/c complete',
  ]);
  t.match(relay.role.received, [{ status: 'complete' }]);
  t.end();
});

t.test('a receiver behind a relay is receiving until it has everything', (t) => {
  const isSlow = (from: string, to: string) => from === 'relay' && to === 'a';
  const net = new RelayNet('1', (...ends) => (isSlow(...ends) ? { rateBytesPerSec: 50_000 } : {}));
  net.peer('a');
  const relay = net.forwarder('relay', ['a']);
  const { role } = net.peer('origin', send('relay'));
  const seen = new Set<string>();
  for (let atMs = 500; atMs < 40_000; atMs += 500)
    net.simulation.at(atMs, () => {
      for (const sender of role['sendings'].keys())
        for (const status of sender.statuses(net.simulation.nowMs)) {
          if (status.receiver !== 'a' || status.status !== 'active') continue;
          const isWhole = status.heldBytes === content.length;
          t.equal(status.activity, isWhole ? 'verifying' : 'receiving', `${atMs} ms`);
          if (relay.role.received.length === 0 || !isWhole) seen.add(status.activity);
        }
    });
  net.simulation.run({ untilMs: 60_000 });
  t.ok(seen.has('receiving'));
  t.end();
});

for (const [count, mostShare] of [
  [1, 1.1],
  [3, 1.15],
] as const) {
  t.test(`through ${count} relays, blocks go on as they arrive`, (t) => {
    const large = createContent('object', 800 * blockSizeBytes);
    const objects = (to: string) => [{ label: 'object', content: large, to: [to] }];
    const direct = new RelayNet('1');
    direct.peer('a');
    const alone = direct.peer('origin', { objects: objects('a') });
    direct.simulation.run({ untilMs: 60_000 });
    const net = new RelayNet('1');
    const final = net.peer('a');
    let to = 'a';
    for (let i = 0; i < count; i++) {
      net.forwarder(`r${i}`, [to]);
      to = `r${i}`;
    }
    const origin = net.peer('origin', { objects: objects(to) });
    net.simulation.run({ untilMs: 60_000 });
    t.ok(hasReceived(final, large));
    t.equal(rowsOf(origin).length, count + 1);
    t.ok(rowsOf(origin).every((row) => row.endsWith('complete')));
    const share = elapsedMs(origin) / elapsedMs(alone);
    t.ok(share < mostShare, `${elapsedMs(origin)} ms, direct ${elapsedMs(alone)} ms`);
    t.end();
  });
}

t.test('repairs behind the relay do not cross the link before it', (t) => {
  const names = Array.from({ length: 8 }, (_, i) => `c${i}`);
  const counts = [0, 0.05].map((probability) => {
    const net = new RelayNet('1', (from, to) =>
      from === 'origin' || to === 'origin' ? {} : { loss: { model: 'bernoulli', probability } },
    );
    const finals = names.map((name) => net.peer(name));
    net.forwarder('relay', names, { group });
    const origin = net.peer('origin', send('relay'));
    net.simulation.run({ untilMs: 120_000 });
    for (const final of finals) t.ok(hasReceived(final, content));
    const { result } = origin.role.sent[0] ?? {};
    t.equal(result?.repairs, 0);
    t.equal(result?.receivers.length, 9);
    return result?.datagramsSent;
  });
  t.equal(counts[1], counts[0]);
  t.end();
});

t.test('a relay that is killed continues with what it had', (t) => {
  for (const atMs of [50, 700, 1700]) {
    const net = new RelayNet('1');
    const finals = ['a', 'b'].map((name) => net.peer(name));
    const { host } = net.forwarder('relay', ['a', 'b']);
    const origin = net.peer('origin', send('relay'));
    net.simulation.at(atMs, () => host.inject('kill'));
    net.simulation.at(atMs + 3000, () => host.inject('start'));
    net.simulation.run({ untilMs: 200_000 });
    for (const final of finals) t.ok(hasReceived(final, content), `killed after ${atMs} ms`);
    t.strictSame(rowsOf(origin), ['relay complete', 'relay/a complete', 'relay/b complete']);
    const sentBytes = net.sentBy('origin', 'relay');
    t.ok(sentBytes < 1.35 * content.length, `the origin sent ${sentBytes}`);
  }
  t.end();
});

t.test('an origin that loses the relay for a while continues', (t) => {
  const net = new RelayNet('1');
  const final = net.peer('a');
  net.forwarder('relay', ['a']);
  const origin = net.peer('origin', send('relay'));
  net.simulation.at(700, () => origin.host.inject('disconnect'));
  net.simulation.at(12_000, () => origin.host.inject('reconnect'));
  net.simulation.run({ untilMs: 200_000 });
  t.ok(hasReceived(final, content));
  t.strictSame(rowsOf(origin), ['relay complete', 'relay/a complete']);
  t.end();
});

t.test('a receiver that fails is a failed row, and not the relay', (t) => {
  const net = new RelayNet('1');
  const final = net.peer('a');
  net.peer('b', { refuseSender: () => 'wants nothing from this sender' });
  net.peer('c', { refuseRelay: () => 'wants nothing through this relay' });
  net.forwarder('relay', ['a', 'b', 'c', 'away'], { livenessTimeoutMs: 4000 });
  const origin = net.peer('origin', send('relay'));
  net.simulation.run({ untilMs: 60_000 });
  t.ok(hasReceived(final, content));
  t.strictSame(rowsOf(origin).toSorted(), [
    'relay complete',
    'relay/a complete',
    'relay/away failed',
    'relay/b refused',
    'relay/c refused',
  ]);
  t.end();
});

t.test('the origin decides about the keys of receivers behind a relay', (t) => {
  const net = new RelayNet('1');
  const [a, b] = ['a', 'b'].map((name) => net.peer(name)) as [Peer, Peer];
  net.forwarder('relay', ['a', 'b']);
  const refuseBehind = (receiver: string) =>
    receiver === 'b' ? 'its key is not trusted' : undefined;
  const origin = net.peer('origin', { ...send('relay'), refuseBehind });
  net.simulation.run({ untilMs: 60_000 });
  t.ok(hasReceived(a, content));
  t.strictSame(b.role.received, []);
  t.strictSame(rowsOf(origin), ['relay complete', 'relay/a complete', 'relay/b failed']);
  t.strictSame(reasonsOf(origin), ['its key is not trusted']);
  t.end();
});

t.test('a loop of relays is refused, and everybody else receives', (t) => {
  const net = new RelayNet('1');
  const finals = ['a', 'b'].map((name) => net.peer(name));
  net.forwarder('r1', ['r2', 'a']);
  net.forwarder('r2', ['b', 'r1']);
  const origin = net.peer('origin', send('r1'));
  net.simulation.run({ untilMs: 120_000 });
  for (const final of finals) t.ok(hasReceived(final, content));
  t.strictSame(rowsOf(origin).toSorted(), [
    'r1 complete',
    'r1/a complete',
    'r1/r2 complete',
    'r1/r2/b complete',
    'r1/r2/r1 refused',
  ]);
  t.match(reasonsOf(origin), [/loop/]);
  t.end();
});

/** Stores that change one bit of every so many blocks, before they are sent on. */
const flipping = (stores: ContentStores): ContentStores => ({
  drop: (object) => stores.drop(object),
  create: (request, handleFailure) => {
    const store = stores.create(request, handleFailure);
    let count = 0;
    const write = store.write.bind(store);
    store.write = (offsetBytes, bytes, handleWritten) => {
      if (++count % 50 === 0) bytes[0] = (bytes[0] as number) ^ 1;
      write(offsetBytes, bytes, handleWritten);
    };
    return store;
  },
});

/** Seals other bytes than those of which the relay shows the digests. */
const lying = (crypto: SessionCrypto): SessionCrypto => ({
  ...crypto,
  seal: (key, nonce, plaintext, associated) => {
    if (plaintext.length !== blockSizeBytes || nonce[11] !== 7)
      return crypto.seal(key, nonce, plaintext, associated);
    const other = plaintext.slice();
    other[0] = (other[0] as number) ^ 1;
    return crypto.seal(key, nonce, other, associated);
  },
});

for (const [name, options] of [
  ['nothing is stored of a relay that changes what it passes on', { wrapStores: flipping }],
  [
    'nothing is stored of a relay that changes blocks, and shows the right digests',
    { wrapCrypto: lying },
  ],
] as const) {
  t.test(name, (t) => {
    const net = new RelayNet('1');
    const finals = ['a', 'b'].map((each) => net.peer(each));
    net.forwarder('relay', ['a', 'b'], options);
    const origin = net.peer('origin', send('relay'));
    net.simulation.run({ untilMs: 120_000 });
    for (const { role } of finals) {
      t.match(role.received, [
        { status: 'failed', reason: /do not trust this relay/, from: /relay/ },
      ]);
    }
    t.strictSame(rowsOf(origin), ['relay failed', 'relay/a failed', 'relay/b failed']);
    for (const reason of reasonsOf(origin).slice(1)) t.match(reason, /do not trust this relay/);
    t.end();
  });
}

t.test('a relay cannot say that a receiver is complete', (t) => {
  for (const receipt of [undefined, new Uint8Array(80)]) {
    const net = new RelayNet('1');
    const relay = net.peer('relay');
    const origin = net.peer('origin', send('relay'));
    const path = ['a'];
    const figures = { heldBytes: 0, receivedBytes: 0, segmentsReceived: 0, segmentsLost: 0 };
    net.simulation.at(600, () => {
      relay.role.tell({
        ...{ kind: 'behind', number: 0, state: 'complete', path, ...figures, reason: '' },
        ...{ receiverKey: new Uint8Array(32), ...(receipt === undefined ? {} : { receipt }) },
      });
    });
    net.simulation.run({ untilMs: 30_000 });
    t.strictSame(rowsOf(origin), ['relay complete', 'relay/a failed']);
    t.match(reasonsOf(origin), [/no receipt/]);
  }
  t.end();
});

t.test('an envelope is of no use in another session', (t) => {
  const give = SessionSender.prototype.giveEnvelope;
  t.teardown(() => {
    SessionSender.prototype.giveEnvelope = give;
  });
  let first: Uint8Array | undefined;
  SessionSender.prototype.giveEnvelope = function (nowMs, index, envelope) {
    first ??= envelope;
    give.call(this, nowMs, index, first);
  };
  const net = new RelayNet('1');
  const final = net.peer('a');
  net.forwarder('relay', ['a']);
  const origin = net.peer('origin', send('relay'));
  // The receiver begins another session just before the root comes.
  net.simulation.run({ untilMs: 120_000, isOver: () => first !== undefined });
  final.host.inject('kill');
  net.simulation.at(net.simulation.nowMs + 1000, () => final.host.inject('start'));
  net.simulation.run({ untilMs: 120_000 });
  t.match(final.role.received, [{ status: 'failed', reason: /do not trust this relay/ }]);
  t.strictSame(rowsOf(origin), ['relay failed', 'relay/a failed']);
  t.end();
});

t.test('a sender that withdraws a file before the relay has spoken for a receiver', (t) => {
  let withdrawnCount = 0;
  for (let atMs = 5; atMs < 120; atMs += 5) {
    const net = new RelayNet('1');
    const final = net.peer('a');
    net.forwarder('relay', ['a']);
    const objects = [{ label: 'object', content, to: ['relay'], fileCount: 4 }];
    const origin = net.peer('origin', { objects });
    const sizeBytes = content.length / 4;
    const entry = { index: 3, reason: 'removed', offsetBytes: 3 * sizeBytes, sizeBytes } as const;
    net.simulation.at(atMs, () => {
      if (origin.role.withdraw([entry])) withdrawnCount++;
    });
    net.simulation.run({ untilMs: 60_000 });
    const isWithdrawn = !rowsOf(origin).includes('relay/a complete');
    // What the relay sends on, it sends whole or not at all.
    t.equal(hasReceived(final, content), !isWithdrawn, `at ${atMs} ms`);
    if (isWithdrawn) t.match(reasonsOf(origin)[0], /the sender withdrew a part/);
  }
  t.ok(withdrawnCount > 3, `${withdrawnCount} withdrawals in time`);
  t.end();
});
