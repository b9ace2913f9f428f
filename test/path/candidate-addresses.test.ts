/** A name that resolves to IPv4 and IPv6 addresses. Its host listens on only one of them. */
import t from 'tap';
import type { Address } from '../../src/base/address.js';
import { Endpoint } from '../../src/endpoint/endpoint.js';
import { CandidateAddresses } from '../../src/path/candidate-addresses.js';
import { SessionSender } from '../../src/session/sender.js';
import { createSimulatedCrypto } from '../../src/simulator/session-crypto.js';
import { DrivenSender } from '../support/driven-sender.js';
import { receiverAddress, SessionWire } from '../support/session-wire.js';

const v4: Address = { host: '192.0.2.99', port: 7735 };
const v6: Address = { host: '2001:db8::1', port: 7735 };

t.test('each address gets two attempts in turn until one answers', async (t) => {
  const addresses = new CandidateAddresses(v4, [v6]);
  const tried: string[] = [];
  for (let i = 0; i < 6; i++) {
    addresses.noteAttempt();
    tried.push(addresses.current.host);
  }
  t.same(
    tried,
    [v4, v4, v6, v6, v4, v4].map(({ host }) => host),
  );
  t.equal(addresses.noteAnswer(v6), true, "even when it is the other address's turn");
  for (let i = 0; i < 6; i++) addresses.noteAttempt();
  t.equal(addresses.current, v6);
  t.equal(addresses.noteAnswer(v4), false, 'the address that answered is kept');
  t.equal(addresses.current, v6);
});

t.test('a single address is the only one, wherever the answer comes from', async (t) => {
  const addresses = new CandidateAddresses(v4);
  for (let i = 0; i < 6; i++) addresses.noteAttempt();
  t.equal(addresses.noteAnswer(v6), false);
  t.equal(addresses.current, v4);
});

t.test('a session finds its receiver at the other address within half a second', async (t) => {
  const real = receiverAddress(0);
  const receivers = [{ name: 'r0', address: v4, otherAddresses: [real] }];
  const wire = new SessionWire({ sender: { receivers } }).run();
  t.match(wire.outcomeOf(0), { status: 'complete', address: '192.0.2.10:7735' });
  t.ok(wire.receivers[0]?.isIdentical);
  const found = wire.senderEvents.filter(({ type }) => type === 'other-address');
  t.match(found, [{ receiver: 'r0', address: '192.0.2.10:7735', insteadOf: '192.0.2.99:7735' }]);
  t.equal(found.length, 1);
  t.ok(wire.nowMs < 1500, `${wire.nowMs} ms`);
});

t.test('a session leaves an address that refuses at once', async (t) => {
  const receivers = [{ name: 'r0', address: v4, otherAddresses: [receiverAddress(0)] }];
  const called = (refuses: boolean) => {
    const wire = new SessionWire({ sender: { receivers } }).run(50);
    if (refuses) wire.sender.handleRefusal(0, v4, { code: 'port-closed' });
    wire.run();
    t.same(
      wire.senderEvents.filter(({ type }) => type === 'port-refused'),
      [],
      'the other one may answer',
    );
    t.match(wire.outcomes, [{ status: 'complete' }]);
    return wire.log.find(({ to }) => to === 0)?.atMs ?? Infinity;
  };
  const [afterRefusal, afterSilence] = [called(true), called(false)];
  t.ok(afterRefusal < afterSilence, `after ${afterRefusal} ms, not ${afterSilence} ms`);
});

t.test('a session that reconnects keeps the address that answered', async (t) => {
  const createSender = () =>
    new SessionSender({
      label: 'sent',
      receivers: [{ name: 'r0', address: v4, otherAddresses: [v6] }],
      manifest: new Uint8Array(10),
      contentSizeBytes: 0,
      crypto: createSimulatedCrypto('anew', 'sender'),
    });
  const [sender, next] = [createSender(), createSender()];
  sender.peers[0]?.addresses.noteAnswer(v6);
  new Endpoint({ senders: [sender] }).replaceSender(sender, next);
  t.equal(next.peers[0]?.address, v6);
});

t.test('if none answers, the reason names both', async (t) => {
  const receivers = [{ name: 'r0', address: v4, otherAddresses: [v6] }];
  const wire = new SessionWire({ sender: { receivers, livenessTimeoutMs: 2000 } }).run();
  t.match(wire.outcomeOf(0), {
    status: 'failed',
    reason: /^no answer at 192\.0\.2\.99 or 2001:db8::1 for 2 s; /,
  });
});

t.test('P2MP-FTP falls back to the other address and keeps it', async (t) => {
  const timeout = { mode: 'fixed', timeoutMs: 100 } as const;
  const driven = new DrivenSender({
    ...{ receivers: 'ab', otherHosts: { a: 'z' }, sizeBytes: 6, mssBytes: 2, timeout },
    livenessTimeoutMs: 2000,
  });
  driven.ack('b', 0);
  driven.passTo(350);
  t.same(driven.takeSent(), ['a data 0', 'b data 0', 'a data 0', 'z data 0', 'z data 0']);
  driven.ack('z', 0);
  driven.ack('b', 1);
  driven.passTo(700);
  const later = driven.takeSent().filter((line) => !line.startsWith('b'));
  t.ok(later.length > 2 && later.every((line) => line === 'z data 1'), later.join());
  for (const sequence of [1, 2, 3]) {
    driven.ack('z', sequence);
    driven.ack('b', sequence);
  }
  t.match(driven.outcome('a'), { status: 'complete', address: 'z:7735' });
  t.match(
    driven.events.filter(({ type }) => type === 'other-address'),
    [{ receiver: 'a', address: 'z:7735', insteadOf: 'a:7735' }],
  );
});

t.test('a receiver that cannot be sent to fails, and the others continue', async (t) => {
  const driven = new DrivenSender({ receivers: 'ab', sizeBytes: 2, mssBytes: 2 });
  driven.sender.failReceiver(0, 0, 'no route');
  driven.ack('b', 0);
  driven.ack('b', 1);
  t.match(driven.outcome('a'), { status: 'failed', reason: 'no route' });
  t.match(driven.outcome('b'), { status: 'complete' });
});
