/** A receiver that is shutting down, and its replacement (SESSIONS 3.12), in virtual time. */
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

/** A receiver whose disk completes everything at once. */
function createReceiver(name: string): SessionReceiver {
  return new SessionReceiver({
    crypto: createSimulatedCrypto('put off', name),
    name,
    platform: 'posix',
    refuseSender: () => undefined,
  });
}

function createSender(livenessTimeoutMs: number): SessionSender {
  const file = { kind: 'file', name: 'file', mode: 0o644, modifiedMs: 0 } as const;
  return new SessionSender({
    receivers: [{ name: 'receiver', address: receiverAddress }],
    label: 'object',
    manifest: encodeManifest(createManifest([{ ...file, sizeBytes: content.length }])),
    contentSizeBytes: content.length,
    crypto: createSimulatedCrypto('put off', 'sender'),
    livenessTimeoutMs,
  });
}

interface Seen {
  readonly deferrals: string[];
  readonly connects: number[];
  /** When a hello reached a receiver that was shutting down. */
  readonly hellosAtMs: number[];
  outcome: SessionReceiverOutcome | undefined;
  endedAtMs: number;
}

/**
 * @param receiverAt the receiver that runs at that time; undefined if none. Every datagram takes a
 * millisecond.
 */
function run(
  sender: SessionSender,
  receiverAt: (nowMs: number) => SessionReceiver | undefined,
): Seen {
  const seen: Seen = {
    deferrals: [],
    connects: [],
    hellosAtMs: [],
    outcome: undefined,
    endedAtMs: 0,
  };
  let nowMs = 0;
  for (let turn = 0; turn < 20_000 && seen.outcome === undefined; turn++) {
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
      if (event.type === 'deferred') seen.deferrals.push(event.reason);
      if (event.type === 'connect') seen.connects.push(nowMs);
      if (event.type === 'receiver') seen.outcome = event.outcome;
    }
    for (const bytes of sent) {
      const packet = decodeSession(bytes);
      const isHello = typeof packet !== 'string' && packet.kind === 'hello';
      if (isHello && receiver?.refusal !== undefined) seen.hellosAtMs.push(nowMs);
      receiver?.handleDatagram(nowMs, senderAddress, bytes);
    }
    receiver?.handleTimeout(nowMs);
    if (receiver !== undefined) serve(nowMs, receiver, sender);
    nowMs++;
    sender.handleTimeout(nowMs);
  }
  seen.endedAtMs = nowMs;
  return seen;
}

/** Does what the receiver asks for, and delivers its answers. */
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

t.test('the sender tries the replacement once a second and delivers to it', (t) => {
  const old = createReceiver('old');
  old.drain();
  const next = createReceiver('next');
  // The old receiver runs for ten seconds, then none runs for two.
  const seen = run(createSender(30_000), (nowMs) =>
    nowMs < 10_000 ? old : nowMs < 12_000 ? undefined : next,
  );
  t.match(seen.outcome, { status: 'complete', selfName: 'next' });
  t.same(seen.deferrals, [reason], 'reported once');
  t.ok(seen.hellosAtMs.length >= 8 && seen.hellosAtMs.length <= 12, seen.hellosAtMs.join());
  const [connectedAtMs = 0] = seen.connects;
  t.ok(connectedAtMs >= 12_000 && connectedAtMs < 13_500, `connected at ${connectedAtMs} ms`);
  t.end();
});

t.test('the liveness timeout counts from the first deferral', (t) => {
  for (const isGoneAfterMs of [Infinity, 5000]) {
    const old = createReceiver('old');
    old.drain();
    const seen = run(createSender(10_000), (nowMs) => (nowMs < isGoneAfterMs ? old : undefined));
    t.match(seen.outcome, { status: 'failed', reason }, "with the receiver's own reason");
    t.ok(seen.endedAtMs >= 10_000 && seen.endedAtMs < 11_500, `ended at ${seen.endedAtMs} ms`);
  }
  t.end();
});

t.test('the replacement continues a session that the old receiver left silently', (t) => {
  const old = createReceiver('old');
  const next = createReceiver('next');
  let hasLeft = false;
  const sender = createSender(30_000);
  const seen = run(sender, (nowMs) => {
    // As soon as the session is active.
    if (!hasLeft && old.activeCount > 0) {
      old.leave(nowMs, 'put aside');
      t.equal(old.pollTransmit(), undefined, 'nothing is sent');
      t.equal(old.activeCount, 0);
      hasLeft = true;
    }
    return hasLeft ? next : old;
  });
  t.match(seen.outcome, { status: 'complete', selfName: 'next' });
  t.same(seen.deferrals, []);
  t.end();
});

t.test('a receiver that is shutting down completes its sessions', (t) => {
  const receiver = createReceiver('old');
  const seen = run(createSender(30_000), () => {
    if (receiver.activeCount > 0) receiver.drain();
    return receiver;
  });
  t.match(seen.outcome, { status: 'complete', selfName: 'old' });
  t.same(seen.deferrals, []);
  t.end();
});
