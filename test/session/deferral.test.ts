/** A receiver that is about to end, and what takes its place (SESSIONS 3.12), in virtual time. */
import t from 'tap';
import { datagramsOf } from '../../src/base/machine.js';
import { createManifest, encodeManifest } from '../../src/object/manifest.js';
import { SessionReceiver } from '../../src/session/receiver.js';
import { SessionSender } from '../../src/session/sender.js';
import type { SessionReceiverOutcome } from '../../src/session/sender-events.js';
import { createSimulatedCrypto } from '../../src/simulator/session-crypto.js';
import { createContent } from '../../src/simulator/transfer.js';
import { decodeSession } from '../../src/wire/header.js';

const senderAddress = { host: '192.0.2.1', port: 4000 };
const receiverAddress = { host: '192.0.2.2', port: 7735 };
const content = createContent('put off', 3000);

/** One that takes sessions, with a disk that does everything at once. */
function createReceiver(name: string): SessionReceiver {
  return new SessionReceiver({
    crypto: createSimulatedCrypto('put off', name),
    name,
    platform: 'posix',
    refuseSender: () => undefined,
  });
}

function createSender(giveUpAfterMs: number): SessionSender {
  const file = { kind: 'file', name: 'file', mode: 0o644, modifiedMs: 0 } as const;
  return new SessionSender({
    receivers: [{ name: 'receiver', address: receiverAddress }],
    label: 'object',
    manifest: encodeManifest(createManifest([{ ...file, sizeBytes: content.length }])),
    contentSizeBytes: content.length,
    crypto: createSimulatedCrypto('put off', 'sender'),
    giveUpAfterMs,
  });
}

interface Told {
  readonly deferrals: string[];
  readonly connects: number[];
  /** When a hello came to a receiver that was about to end. */
  readonly hellosAtMs: number[];
  outcome: SessionReceiverOutcome | undefined;
  endedAtMs: number;
}

/**
 * @param receiverAt who is there at that time; nobody where it is undefined. Every datagram takes a millisecond.
 */
function run(
  sender: SessionSender,
  receiverAt: (nowMs: number) => SessionReceiver | undefined,
): Told {
  const told: Told = {
    deferrals: [],
    connects: [],
    hellosAtMs: [],
    outcome: undefined,
    endedAtMs: 0,
  };
  let nowMs = 0;
  for (let turn = 0; turn < 20_000 && told.outcome === undefined; turn++) {
    const receiver = receiverAt(nowMs);
    const sent = [];
    for (let next = sender.pollTransmit(nowMs); next; next = sender.pollTransmit(nowMs)) {
      for (const bytes of datagramsOf(next)) sent.push(bytes.slice());
    }
    for (let event = sender.pollEvent(); event !== undefined; event = sender.pollEvent()) {
      if (event.type === 'need') {
        const { block, offsetBytes, sizeBytes } = event;
        sender.provideBlock(nowMs, block, content.subarray(offsetBytes, offsetBytes + sizeBytes));
      }
      if (event.type === 'identify') sender.trust(nowMs, event.index);
      if (event.type === 'check-source') sender.confirmSource(nowMs);
      if (event.type === 'deferred') told.deferrals.push(event.reason);
      if (event.type === 'connect') told.connects.push(nowMs);
      if (event.type === 'receiver') told.outcome = event.outcome;
    }
    for (const bytes of sent) {
      const packet = decodeSession(bytes);
      const isHello = typeof packet !== 'string' && packet.kind === 'hello';
      if (isHello && receiver?.refusal !== undefined) told.hellosAtMs.push(nowMs);
      receiver?.handleDatagram(nowMs, senderAddress, bytes);
    }
    receiver?.handleTimeout(nowMs);
    if (receiver !== undefined) serve(nowMs, receiver, sender);
    nowMs++;
    sender.handleTimeout(nowMs);
  }
  told.endedAtMs = nowMs;
  return told;
}

/** Does what a receiver asks for, and brings its answers. */
function serve(nowMs: number, receiver: SessionReceiver, sender: SessionSender): void {
  for (let event = receiver.pollEvent(); event !== undefined; event = receiver.pollEvent()) {
    if (event.type === 'prepare') receiver.find(event.info.session)?.prepared(nowMs, [], []);
    if (event.type === 'write') receiver.handleWritten(nowMs, event.session, event.bytes.length);
    if (event.type === 'finish') receiver.find(event.session)?.handleStored(nowMs);
  }
  for (let next = receiver.pollTransmit(); next !== undefined; next = receiver.pollTransmit()) {
    for (const bytes of datagramsOf(next)) sender.handleDatagram(nowMs, receiverAddress, bytes);
  }
}

const reason = 'this receiver is shutting down and accepts no new sessions';

t.test('what takes its place is called once a second, and gets the object', (t) => {
  const old = createReceiver('old');
  old.drain();
  const next = createReceiver('next');
  // For ten seconds there is the old one, for two nobody.
  const told = run(createSender(30_000), (nowMs) =>
    nowMs < 10_000 ? old : nowMs < 12_000 ? undefined : next,
  );
  t.match(told.outcome, { status: 'complete', selfName: 'next' });
  t.same(told.deferrals, [reason], 'told once');
  t.ok(told.hellosAtMs.length >= 8 && told.hellosAtMs.length <= 12, told.hellosAtMs.join());
  const [connectedAtMs = 0] = told.connects;
  t.ok(connectedAtMs >= 12_000 && connectedAtMs < 13_500, `taken in at ${connectedAtMs} ms`);
  t.end();
});

t.test('the liveness timeout counts from the first deferral', (t) => {
  for (const isGoneAfterMs of [Infinity, 5000]) {
    const old = createReceiver('old');
    old.drain();
    const told = run(createSender(10_000), (nowMs) => (nowMs < isGoneAfterMs ? old : undefined));
    t.match(told.outcome, { status: 'failed', reason }, 'in its own words');
    t.ok(told.endedAtMs >= 10_000 && told.endedAtMs < 11_500, `ended at ${told.endedAtMs} ms`);
  }
  t.end();
});

t.test('what is left without a word goes on with what takes its place', (t) => {
  const old = createReceiver('old');
  const next = createReceiver('next');
  let hasLeft = false;
  const sender = createSender(30_000);
  const told = run(sender, (nowMs) => {
    // As soon as it takes part.
    if (!hasLeft && old.activeCount > 0) {
      old.leave(nowMs, 'put aside');
      t.equal(old.pollTransmit(), undefined, 'not a word');
      t.equal(old.activeCount, 0);
      hasLeft = true;
    }
    return hasLeft ? next : old;
  });
  t.match(told.outcome, { status: 'complete', selfName: 'next' });
  t.same(told.deferrals, []);
  t.end();
});

t.test('while it ends, its sessions go on', (t) => {
  const receiver = createReceiver('old');
  const told = run(createSender(30_000), () => {
    if (receiver.activeCount > 0) receiver.drain();
    return receiver;
  });
  t.match(told.outcome, { status: 'complete', selfName: 'old' });
  t.same(told.deferrals, []);
  t.end();
});
