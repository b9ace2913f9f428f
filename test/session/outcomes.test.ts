/** How sessions end and what both sides report: outcomes, figures and faults, in virtual time. */
import t from 'tap';
import { formatAddress } from '../../src/base/address.js';
import { decodeSession, sessionField } from '../../src/wire/header.js';
import {
  receiverAddress,
  SessionWire,
  senderAddress,
  strangerAddress,
} from '../support/session-wire.js';

/** The block of a datagram; -1 if it is not data. */
function blockOf(bytes: Uint8Array): number {
  const packet = decodeSession(bytes);
  return typeof packet !== 'string' && packet.kind === 'data' ? packet.block : -1;
}

t.test('a successful session: what the sender reports', (t) => {
  const wire = new SessionWire({ receiverCount: 2, sizeBytes: 4000 }).run();
  const { sender, result } = wire;
  t.ok(sender.isDone);
  t.same(
    wire.senderEvents.filter(({ type }) => type !== 'need').map(({ type }) => type),
    ['identify', 'identify', 'connect', 'connect', 'check-source', 'receiver', 'receiver', 'done'],
  );
  t.match(result, { contentSizeBytes: 4000, groupDatagramsSent: 0, repairs: 0, faults: {} });
  t.match(result?.contentRoot, /^[0-9a-f]{64}$/);
  t.equal(result?.reportsReceived, sender.reportCount);
  t.ok((result?.reportsReceived ?? 0) >= 4, 'at least two per receiver');
  t.ok((result?.elapsedMs ?? 0) > 0 && (result?.elapsedMs ?? 0) <= wire.nowMs);
  // Content, its tags, and the manifest if it does not fit the offer.
  t.ok((result?.bytesSent ?? 0) >= 2 * 4000);
  t.equal(result?.receivers.length, 2);
  for (const [index, outcome] of result?.receivers.entries() ?? []) {
    t.match(outcome, {
      receiver: `r${index}`,
      selfName: `r${index}`,
      status: 'complete',
      activity: 'complete',
      heldBytes: 4000,
      receivedBytes: 4000,
      repairs: 0,
      lossRatio: 0,
      usesGroup: false,
    });
    t.equal(outcome.reason, undefined);
    t.ok(outcome.elapsedMs > 0 && outcome.elapsedMs <= (result?.elapsedMs ?? 0));
  }
  t.equal(sender.pollTimeout(), undefined);
  t.equal(sender.pollTransmit(wire.nowMs), undefined);
  t.end();
});

t.test('a successful session: what a receiver reports', (t) => {
  const wire = new SessionWire({ sizeBytes: 4000 }).run();
  const [receiver] = wire.receivers;
  t.match(receiver?.results, [
    {
      status: 'complete',
      activity: 'complete',
      label: 'wired',
      contentSizeBytes: 4000,
      heldBytes: 4000,
      receivedBytes: 4000,
      duplicates: 0,
      lossRatio: 0,
      badBlocks: 0,
      usesGroup: false,
      rttMs: 2,
    },
  ]);
  t.same(receiver?.machine.result(), {
    complete: 1,
    failed: 0,
    refused: 0,
    listed: 0,
    internalErrors: 0,
    faults: {},
  });
  t.ok(receiver?.machine.isIdle);
  t.same(receiver?.machine.statuses(wire.nowMs), [], 'an ended session has no status');
  t.end();
});

t.test('midway, both sides report their progress', (t) => {
  // Half of the data is dropped: the datagrams of later blocks.
  const wire = new SessionWire({
    sizeBytes: 8000,
    untilMs: 50,
    attack: ({ to, bytes }) => (to === 0 && blockOf(bytes) >= 6 ? [] : [bytes]),
  }).run();
  const [receiver] = wire.receivers;
  const [status] = receiver?.machine.statuses(wire.nowMs) ?? [];
  t.match(status, { activity: 'receiving', contentSizeBytes: 8000, badBlocks: 0 });
  t.ok((status?.heldBytes ?? 0) > 0 && (status?.heldBytes ?? 0) < 8000);
  t.equal(status?.receivedBytes, status?.heldBytes);
  const [peer] = wire.sender.peers;
  const seen = peer && wire.sender.status(wire.nowMs, peer);
  t.match(seen, { status: 'active', activity: 'receiving' });
  t.ok((seen?.heldBytes ?? 0) <= (status?.heldBytes ?? 0));
  t.notOk(receiver?.machine.isIdle);
  t.end();
});

t.test('a sender that stops notifies every receiver three times, with the reason', (t) => {
  const wire = new SessionWire({ receiverCount: 2, sizeBytes: 400_000, untilMs: 20 }).run();
  const before = wire.log.length;
  wire.sender.abort(wire.nowMs, 'no more time');
  wire.sender.abort(wire.nowMs, 'again');
  wire.run(Infinity);
  t.ok(wire.sender.isDone);
  t.match(wire.result?.receivers, [
    { status: 'aborted', reason: 'no more time' },
    { status: 'aborted', reason: 'no more time' },
  ]);
  t.equal(wire.result?.contentRoot, undefined, 'the source was not read completely');
  for (const { results } of wire.receivers) {
    t.match(results, [{ status: 'failed', reason: 'no more time' }]);
  }
  const said = wire.log.slice(before).filter(({ from }) => from === senderAddress);
  const atOnce = said.filter(({ atMs }) => atMs === said[0]?.atMs);
  t.equal(atOnce.length, 2 * 3);
  t.end();
});

t.test('a receiver that fails is notified; the other one completes', (t) => {
  const wire = new SessionWire({ receiverCount: 2, sizeBytes: 400_000, untilMs: 20 }).run();
  wire.sender.failReceiver(wire.nowMs, 0, 'it is too slow');
  wire.sender.failReceiver(wire.nowMs, 0, 'said twice');
  wire.run(Infinity);
  t.match(wire.outcomes, [
    { receiver: 'r0', status: 'failed', reason: 'it is too slow' },
    { receiver: 'r1', status: 'complete' },
  ]);
  t.match(wire.receivers[0]?.results, [{ status: 'failed', reason: 'it is too slow' }]);
  t.ok(wire.receivers[1]?.isIdentical);
  t.end();
});

t.test('a sender that is replaced by another sends nothing more', (t) => {
  const wire = new SessionWire({ receiverCount: 2, sizeBytes: 400_000, untilMs: 20 }).run();
  const before = wire.log.length;
  wire.sender.retire();
  t.ok(wire.sender.isDone);
  t.same(
    wire.sender.peers.map(({ status }) => status),
    ['aborted', 'aborted'],
  );
  t.equal(wire.sender.pollTransmit(wire.nowMs), undefined);
  t.equal(wire.sender.pollTimeout(), undefined);
  wire.sender.handleTimeout(wire.nowMs + 1000);
  wire.sender.abort(wire.nowMs, 'too late');
  t.equal(wire.sender.pollEvent(), undefined);
  t.equal(wire.log.length, before);
  t.end();
});

t.test('a receiver that stops gives its sender the reason', (t) => {
  const wire = new SessionWire({ receiverCount: 2, sizeBytes: 400_000, untilMs: 20 }).run();
  wire.receivers[0]?.machine.abort(wire.nowMs, 'its disk is taken out');
  wire.run(Infinity);
  t.match(wire.outcomeOf(0), { status: 'failed', reason: 'its disk is taken out' });
  t.match(wire.outcomeOf(1), { status: 'complete' });
  t.match(wire.receivers[0]?.machine.result(), { complete: 0, failed: 1, refused: 0 });
  t.end();
});

t.test('a receiver accepts an object of its limit in whole blocks, and not one byte more', (t) => {
  const exact = new SessionWire({ sizeBytes: 4096, receiver: { maxObjectBytes: 4000 } }).run();
  t.match(exact.outcomeOf(0), { status: 'complete' });
  const more = new SessionWire({ sizeBytes: 4097, receiver: { maxObjectBytes: 4000 } }).run();
  const reason = '4097 bytes are more than the limit of 4000 bytes';
  t.match(more.outcomeOf(0), { status: 'refused', reason });
  t.match(more.receivers[0]?.results, [{ status: 'refused', reason, heldBytes: 0 }]);
  t.same(more.receivers[0]?.machine.result().refused, 1);
  t.end();
});

t.test('an untrusted peer gets nothing, whichever side refuses', (t) => {
  const untrusted = new SessionWire({ refuseReceiver: () => 'a key that nobody knows' }).run();
  t.match(untrusted.outcomeOf(0), { status: 'failed', reason: 'a key that nobody knows' });
  t.same(untrusted.receivers[0]?.results, []);
  const refused = new SessionWire({
    receiver: { refuseSender: () => 'this sender is not listed' },
  }).run();
  t.match(refused.outcomeOf(0), { status: 'refused', reason: 'this sender is not listed' });
  t.match(refused.receivers[0]?.faults, { untrusted: 1 });
  t.end();
});

t.test('a receiver repeats its outcome until confirmed, but not forever', (t) => {
  const dones: number[] = [];
  const wire = new SessionWire({
    untilMs: 60_000,
    attack: ({ to, bytes, atMs }, { sender }) => {
      const isOver = sender.peers.some(({ isSettled }) => isSettled);
      if (to === 'sender' && isOver) dones.push(atMs);
      return to === 0 && isOver ? [] : [bytes];
    },
  }).run();
  t.match(wire.outcomeOf(0), { status: 'complete' });
  t.equal(dones.length, 8, 'eight repetitions');
  const waits = dones.slice(1).map((atMs, i) => atMs - (dones[i] as number));
  t.ok(
    waits.every((waitMs, i) => i === 0 || waitMs >= (waits[i - 1] as number)),
    `${waits}`,
  );
  t.ok(
    waits.every((waitMs) => waitMs >= 100 && waitMs <= 1000),
    `${waits}`,
  );
  t.ok(wire.receivers[0]?.machine.isIdle);
  t.end();
});

t.test('an outcome is not repeated once it is confirmed: the first confirmation was lost', (t) => {
  let saidAfter = 0;
  let lost = 0;
  const wire = new SessionWire({
    attack: ({ to, bytes }, { sender }) => {
      if (!sender.peers.some(({ isSettled }) => isSettled)) return [bytes];
      if (to === 'sender') saidAfter++;
      if (to !== 0 || lost > 0) return [bytes];
      lost++;
      return [];
    },
  }).run();
  t.match(wire.outcomeOf(0), { status: 'complete' });
  t.equal(lost, 1);
  t.equal(saidAfter, 1, 'one repetition');
  t.ok(wire.receivers[0]?.machine.isIdle);
  t.end();
});

t.test('unexpected datagrams at a sender are counted by kind', (t) => {
  const wire = new SessionWire({ sizeBytes: 400_000, untilMs: 20 }).run();
  const { sender } = wire;
  const arrived = wire.log.filter(({ to, atMs }) => to === 'sender' && atMs < wire.nowMs - 1);
  const own = arrived.at(-1)?.bytes ?? Buffer.alloc(0);
  const changed = (offset: number, value: number) => {
    const bytes = Buffer.from(own);
    bytes[offset] = value;
    return bytes;
  };
  const toReceiver = wire.log.find(({ to }) => to === 0)?.bytes ?? Buffer.alloc(0);
  for (const bytes of [
    Buffer.from('what is this'),
    toReceiver,
    // An unused counter, so that the replay check lets it pass.
    changed(sessionField.counter, 1),
    own,
  ]) {
    sender.handleDatagram(wire.nowMs, strangerAddress, bytes);
  }
  const faults: unknown[] = [];
  for (let event = sender.pollEvent(); event !== undefined; event = sender.pollEvent()) {
    if (event.type === 'fault') faults.push([event.kind, event.from]);
  }
  const from = formatAddress(strangerAddress);
  t.same(faults, [
    ['too-short', from],
    ['wrong-direction', from],
    ['forged', from],
    ['replayed', from],
  ]);
  t.match(sender.result(wire.nowMs).faults, { forged: 1, replayed: 1, 'wrong-direction': 1 });
  wire.run(Infinity);
  t.match(wire.outcomeOf(0), { status: 'complete', address: `${receiverAddress(0).host}:7735` });
  t.end();
});

t.test('a sender that was suspended for long fails no receiver', (t) => {
  const wire = new SessionWire({ sizeBytes: 400_000, untilMs: 20 }).run();
  // Suspended for much longer than its liveness timeout; it handles what arrived meanwhile only
  // now.
  wire.passTo(wire.nowMs + 40_000);
  wire.sender.handleTimeout(wire.nowMs);
  wire.run(Infinity);
  t.match(wire.outcomeOf(0), { status: 'complete' });
  t.end();
});
