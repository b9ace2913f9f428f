/**
 * Attacks on invitations: a secret is guessed, a handshake is replayed, an invitation is used too late or too often, and
 * another host answers. No attempt admits a stranger or uses up an invitation.
 */
import { join } from 'node:path';
import t from 'tap';
import type { Address } from '../../src/base/address.js';
import { KnownReceivers, parseInvitation, trustKnownReceivers } from '../../src/index.js';
import { formatInvitation } from '../../src/node/keys/invitation-code.js';
import { generateKeyPair } from '../../src/node/keys/key-files.js';
import { createNodeCrypto } from '../../src/node/keys/node-crypto.js';
import type { SessionCrypto } from '../../src/security/crypto.js';
import { OutgoingHandshake } from '../../src/security/handshake.js';
import { handshakeLimits } from '../../src/security/handshake-limits.js';
import { createSimulatedCrypto } from '../../src/simulator/session-crypto.js';
import { isEqualBytes } from '../../src/wire/byte-codec.js';
import { type ChannelPacket, decodeSession } from '../../src/wire/header.js';
import { decodeMessage } from '../../src/wire/messages.js';
import { writeRandomFile } from '../support/loopback.js';
import { SessionHost, sendTo } from '../support/session-host.js';
import {
  SessionWire,
  senderAddress,
  strangerAddress,
  type WireOptions,
} from '../support/session-wire.js';

const hourMs = 3_600_000;
const once = { uses: 1, lifetimeMs: hourMs };
const receiverPair = await generateKeyPair();
const receiverCrypto = await createNodeCrypto(receiverPair);
const guests = await Promise.all(
  [1, 2, 3].map(async () => createNodeCrypto(await generateKeyPair())),
);
const [ann, ben, eve] = guests as [SessionCrypto, SessionCrypto, SessionCrypto];
const senderProofBytes = { plain: 80, invited: 112 };

/** Creates a receiver that trusts only the senders that it has invited. */
function createWire(options: WireOptions = {}): SessionWire {
  const wire: SessionWire = new SessionWire({
    sizeBytes: 1000,
    cryptoOf: (name) => (name === 'sender' ? ann : receiverCrypto),
    ...options,
    receiver: {
      refuseSender: (key) =>
        invitedKeys(wire).some((each) => isEqualBytes(each, key)) ? undefined : 'not trusted',
      ...options.receiver,
    },
  });
  wire.passTo(5000);
  return wire;
}

function invitedKeys(wire: SessionWire): Uint8Array[] {
  return eventsAt(wire, 'invited').map(({ senderKey }) => senderKey);
}

function eventsAt<Type extends 'invited' | 'turned-away'>(wire: SessionWire, type: Type) {
  const events = wire.receivers[0]?.events ?? [];
  return events.flatMap((event) =>
    event.type === type ? [event as typeof event & { type: Type }] : [],
  );
}

function inviteAt(wire: SessionWire, terms = once): Uint8Array {
  return wire.receivers[0]?.machine.invite(wire.nowMs, terms) ?? new Uint8Array(0);
}

function decode(bytes: Uint8Array | undefined): ChannelPacket {
  const packet = decodeSession(bytes ?? new Uint8Array(0));
  if (typeof packet === 'string' || !('counter' in packet)) throw new Error(`not a channel packet`);
  return packet;
}

/** A sender, up to the proof. */
class Guest {
  private static count = 0;
  readonly sent: Uint8Array[] = [];
  private readonly handshake: OutgoingHandshake;

  constructor(
    private readonly wire: SessionWire,
    crypto: SessionCrypto,
    readonly from: Address = { host: senderAddress.host, port: 5000 + Guest.count },
  ) {
    this.handshake = new OutgoingHandshake(crypto, 1000 + Guest.count++, 0);
  }

  /** Connects up to the point where the receiver has shown its key. */
  meet(): this {
    for (const step of ['hello', 'open'] as const) {
      const [answer] = this.ask(this.handshake.nextDatagrams()[0]);
      if (this.handshake.handle(decode(answer)) !== 'advanced') throw new Error(step);
    }
    return this;
  }

  /** @returns the receiver's refusal; undefined if the sender is admitted */
  prove(
    secret?: Uint8Array,
    change = (bytes: Uint8Array): Uint8Array => bytes,
  ): string | undefined {
    this.handshake.prove(secret);
    const [answer] = this.ask(change(this.handshake.datagram ?? new Uint8Array(0)));
    if (answer === undefined) return undefined;
    const opened = this.handshake.channel?.open(decode(answer));
    const message = opened instanceof Uint8Array ? decodeMessage(opened) : undefined;
    if (message?.kind !== 'refuse') throw new Error('neither silent nor a refusal');
    return message.reason;
  }

  private ask(bytes: Uint8Array = new Uint8Array(0)): Uint8Array[] {
    // Below the limits of handshakes per second.
    this.wire.passTo(this.wire.nowMs + 20);
    this.sent.push(bytes);
    return this.wire.ask(0, this.from, bytes);
  }
}

t.test('an invited sender is admitted, and needs no invitation from then on', (t) => {
  const wire = createWire();
  const secret = inviteAt(wire);
  t.equal(new Guest(wire, ann).meet().prove(), 'not trusted', 'without the invitation');
  t.equal(new Guest(wire, ann).meet().prove(secret), undefined);
  t.match(eventsAt(wire, 'invited'), [{ usesLeft: 0, from: { host: senderAddress.host } }]);
  t.equal(new Guest(wire, ann).meet().prove(), undefined, 'for example to resume');
  t.equal(new Guest(wire, ann).meet().prove(secret), undefined, 'the same command again');
  t.equal(eventsAt(wire, 'invited').length, 1);
  t.end();
});

t.test('a whole session with an invitation, in which the secret is never on the wire', (t) => {
  let secret = new Uint8Array(0);
  const { publicKey: inviterKey } = receiverPair;
  const wire = createWire({
    senderFor: ([receiver]) => {
      secret = Uint8Array.from(receiver?.machine.invite(0, once) ?? []);
      return { invitations: [{ inviterKey, secret }] };
    },
  });
  wire.run();
  t.equal(wire.receivers[0]?.isIdentical, true);
  t.equal(secret.length, 16);
  const all = Buffer.concat(wire.log.map(({ bytes }) => bytes));
  t.equal(all.indexOf(secret), -1);
  t.equal(all.indexOf(secret.subarray(0, 6)), -1);
  t.end();
});

t.test('a guessed secret is refused, and does not use up the invitation', (t) => {
  const wire = createWire();
  const secret = inviteAt(wire);
  for (let place = 0; place < secret.length; place++) {
    const guess = secret.slice();
    guess[place] = (guess[place] ?? 0) ^ 1;
    t.match(
      new Guest(wire, eve).meet().prove(guess),
      /^the other side does not know this invitation/,
    );
  }
  t.match(new Guest(wire, eve).meet().prove(new Uint8Array(0)), /does not know/);
  t.equal(eventsAt(wire, 'invited').length, 0);
  const log = eventsAt(wire, 'turned-away');
  t.equal(log.length, 1, 'one line of the log for all guesses of a key');
  t.match(log, [{ cause: 'invitation', reason: /does not know this invitation/ }]);
  t.equal(new Guest(wire, ann).meet().prove(secret), undefined, 'the invitation is still good');
  t.end();
});

t.test('a proof from another handshake proves nothing', (t) => {
  const wire = createWire();
  const secret = inviteAt(wire);
  const stolen: Uint8Array[] = [];
  // Ann's own program leaks what it proved, but not the secret.
  const leaking: SessionCrypto = {
    ...ann,
    mac: (key, ...parts) => {
      const proof = ann.mac(key, ...parts);
      stolen.push(proof);
      return proof;
    },
  };
  new Guest(createWire(), leaking).meet().prove(secret);
  t.equal(stolen.length, 1);
  const thief: SessionCrypto = { ...eve, mac: () => stolen[0] ?? new Uint8Array(32) };
  t.match(new Guest(wire, thief).meet().prove(secret), /does not know this invitation/);
  t.end();
});

t.test('a replayed handshake neither uses the invitation up nor uses it again', (t) => {
  const wire = createWire();
  const secret = inviteAt(wire, { uses: 2, lifetimeMs: hourMs });
  const guest = new Guest(wire, ann).meet();
  t.equal(guest.prove(secret), undefined);
  for (const waitMs of [0, handshakeLimits.handshakeMs + 1000, 2 * handshakeLimits.cookieMs]) {
    wire.passTo(wire.nowMs + waitMs);
    for (const from of [guest.from, strangerAddress]) {
      for (const bytes of guest.sent) wire.ask(0, from, bytes);
    }
  }
  t.equal(eventsAt(wire, 'invited').length, 1);
  // A receiver that was restarted has another secret for its cookies, and other keys for its handshakes.
  const restarted = createWire();
  inviteAt(restarted);
  for (const bytes of guest.sent) restarted.ask(0, guest.from, bytes);
  t.equal(eventsAt(restarted, 'invited').length, 0);
  t.equal(new Guest(wire, ben).meet().prove(secret), undefined, 'the second use is left');
  t.match(new Guest(wire, eve).meet().prove(secret), /all of them are used/);
  t.end();
});

t.test('a handshake that fails does not use up the invitation', (t) => {
  const wire = createWire();
  const secret = inviteAt(wire);
  for (const place of [16, 48, 64, 80, 111]) {
    const guest = new Guest(wire, ann).meet();
    const changed = (bytes: Uint8Array) => {
      t.equal(bytes.length, senderProofBytes.invited);
      const copy = bytes.slice();
      copy[place] = (copy[place] ?? 0) ^ 1;
      return copy;
    };
    t.equal(guest.prove(secret, changed), undefined, 'no answer');
  }
  t.equal(wire.receivers[0]?.faults['bad-handshake'], 5);
  t.equal(eventsAt(wire, 'invited').length, 0);
  t.equal(new Guest(wire, ben).meet().prove(secret), undefined);
  t.end();
});

t.test('an invitation ends exactly at its time', (t) => {
  /** Connects so that the proof arrives this long after the invitation was made. */
  const proveAfter = (ms: number) => {
    const wire = createWire();
    const secret = inviteAt(wire, { uses: 3, lifetimeMs: 60_000 });
    const guest = new Guest(wire, ann);
    wire.passTo(wire.nowMs + ms - 60);
    return { wire, secret, refusal: guest.meet().prove(secret) };
  };
  const inTime = proveAfter(59_999);
  t.equal(inTime.refusal, undefined);
  const tooLate = proveAfter(60_000);
  t.match(
    tooLate.refusal,
    /^the invitation has expired; run the command there again with --invite/,
  );
  t.match(eventsAt(tooLate.wire, 'turned-away'), [{ cause: 'invitation', reason: /has expired/ }]);
  t.equal(
    new Guest(inTime.wire, ann).meet().prove(inTime.secret),
    undefined,
    'a sender that was admitted stays admitted',
  );
  t.end();
});

t.test('of two senders that race for one use, exactly one wins', (t) => {
  for (const order of ['first', 'last'] as const) {
    const wire = createWire();
    const secret = inviteAt(wire);
    const [one, other] = [new Guest(wire, ann).meet(), new Guest(wire, ben).meet()];
    const proofs = order === 'first' ? [one, other] : [other, one];
    const refusals = proofs.map((guest) => guest.prove(secret));
    t.same(refusals[0], undefined);
    t.match(
      refusals[1],
      /^the invitation was good once and was used; run the command there again with --invite/,
    );
    t.equal(eventsAt(wire, 'invited').length, 1);
  }
  t.end();
});

t.test('a receiver without room does not use up the invitation', (t) => {
  const wire = createWire({ receiver: { maxSessions: 1 } });
  const secrets = [inviteAt(wire), inviteAt(wire)] as const;
  t.equal(new Guest(wire, ann).meet().prove(secrets[0]), undefined);
  t.match(new Guest(wire, ben).meet().prove(secrets[1]), /^busy with 1 sessions/);
  t.match(
    new Guest(wire, eve).meet().prove(new Uint8Array(16)),
    /does not know/,
    'strangers do not learn that',
  );
  wire.receivers[0]?.machine.abort(wire.nowMs, 'makes room');
  t.equal(eventsAt(wire, 'invited').length, 1);
  t.end();
});

t.test('a receiver keeps a bounded number of invitations', (t) => {
  const wire = createWire();
  const secrets = Array.from({ length: 17 }, () => inviteAt(wire));
  t.match(
    new Guest(wire, ann).meet().prove(secrets[0]),
    /does not know this invitation/,
    'the oldest is forgotten',
  );
  t.equal(new Guest(wire, ann).meet().prove(secrets[1]), undefined);
  t.equal(new Guest(wire, ben).meet().prove(secrets[16]), undefined);
  t.end();
});

t.test('a man in the middle with another key learns nothing, even if the sender trusts it', (t) => {
  const { publicKey: inviterKey } = receiverPair;
  const secret = Uint8Array.from({ length: 16 }, (_, i) => i);
  for (const isTrusted of [false, true]) {
    const wire = createWire({
      cryptoOf: (name) => (name === 'sender' ? ann : eve),
      sender: { invitations: [{ inviterKey, secret }], livenessTimeoutMs: 2000 },
      refuseReceiver: (key) =>
        isTrusted || isEqualBytes(key, inviterKey) ? undefined : 'another key',
    });
    wire.run();
    const proofs = wire.log.filter(({ bytes }) => decodeKind(bytes) === 'proof');
    t.notMatch(wire.outcomeOf(0)?.status, 'complete');
    t.equal(proofs.length > 0, isTrusted);
    // Without the receiver's key, the proof has no room for a secret.
    for (const { bytes } of proofs) t.equal(bytes.length, senderProofBytes.plain);
  }
  t.end();
});

function decodeKind(bytes: Uint8Array): string {
  const packet = decodeSession(bytes);
  return typeof packet === 'string' ? packet : packet.kind;
}

t.test('another host at the address gets nothing from p2mp send', async (t) => {
  const folder = t.testdir();
  const sent = writeRandomFile(folder, 1000);
  const honest = await SessionHost.open(t, join(folder, 'honest'));
  const other = await SessionHost.open(t, join(folder, 'other'));
  const code = honest.receiving.invite(once);
  const known = await KnownReceivers.load(join(folder, 'known'));
  const invitations = [parseInvitation(code)];
  const trustReceiver = trustKnownReceivers(known, undefined, { invitations });
  const result = await sendTo([other], [sent], { trustReceiver, invitations: [code] });
  t.match(result.receivers, [
    {
      status: 'failed',
      reason:
        /^its key SHA256:\S+ is not the key of the invitation, SHA256:\S+: .*another host answers/,
    },
  ]);
  t.equal(result.datagramsSent, 0);
  t.equal(known.check('127.0.0.1:1', receiverPair.publicKey).status, 'unknown');
});

t.test('an invitation for another receiver is refused there', (t) => {
  const [wire, other] = [createWire(), createWire()];
  inviteAt(wire);
  const secret = inviteAt(other);
  t.match(new Guest(wire, ann).meet().prove(secret), /does not know this invitation/);
  t.equal(new Guest(other, ann).meet().prove(secret), undefined);
  t.end();
});

t.test('a cut or mistyped code is reported as such', (t) => {
  const invitation = { inviterKey: receiverPair.publicKey, secret: receiverCrypto.random(16) };
  const code = formatInvitation(invitation);
  t.match(code, /^p2mp_[A-Za-z0-9_-]{70}$/, 'a shell needs no quotes for it');
  t.same(parseInvitation(code), invitation);
  for (let length = 0; length < code.length; length++) {
    const reason =
      length < 5 ? /is not an invitation, which starts with p2mp_/ : /characters instead of 75/;
    t.throws(() => parseInvitation(code.slice(0, length)), {
      code: 'INVALID_ARGUMENT',
      message: reason,
    });
  }
  const rejects = (changed: string) =>
    t.throws(() => parseInvitation(changed), { code: 'INVALID_ARGUMENT', message: /invitation: / });
  for (let place = 5; place < code.length; place++) {
    rejects(code.slice(0, place) + (code[place] === 'A' ? 'B' : 'A') + code.slice(place + 1));
    const [a = '', b = ''] = code.slice(place, place + 2);
    if (a !== b && b !== '') rejects(code.slice(0, place) + b + a + code.slice(place + 2));
    rejects(`${code.slice(0, place)}.${code.slice(place + 1)}`);
  }
  t.throws(() => parseInvitation(`${code}A`), { message: /characters instead of 75/ });
  for (const place of [6, 40]) {
    const message = t.throws(() =>
      parseInvitation(`${code.slice(0, place)}~${code.slice(place + 1)}`),
    );
    t.notMatch(`${message}`, code.slice(10, 30), 'the error does not repeat the secret');
  }
  t.end();
});

// --- Floods

/** Guesses while an invited sender connects. @returns when the sender is invited, and the guesses judged until the end */
function connectAmid(seed: string, host: string): { invitedAtMs: number; judged: number } {
  const guesser = createSimulatedCrypto(seed, 'guesser');
  const inviterKey = keyOf(createSimulatedCrypto(seed, 'r0'));
  const guesses = new Map<number, { handshake: OutgoingHandshake; from: Address }>();
  const wire = createWire({
    seed,
    cryptoOf: (name) => createSimulatedCrypto(seed, name),
    sender: { mssBytes: 1400 },
    senderFor: ([receiver]) => {
      const secret = receiver?.machine.invite(0, once) ?? new Uint8Array(0);
      return { invitations: [{ inviterKey, secret }] };
    },
    attack: ({ to, bytes }, own) => {
      const packet = typeof to === 'number' ? undefined : decode(bytes);
      const guess = guesses.get(packet?.session ?? -1);
      if (guess === undefined || packet === undefined) return [bytes];
      const { handshake, from } = guess;
      if (packet.kind !== 'control' && handshake.handle(packet) === 'advanced') {
        if (handshake.stage === 'trust') handshake.prove(guesser.random(16));
        for (const each of handshake.nextDatagrams()) own.inject(0, from, each);
      }
      return [];
    },
  });
  const startMs = wire.nowMs;
  const untilMs = 3000;
  let invitedAtMs = Infinity;
  // One guess begins each millisecond, with datagrams of 1,432 bytes: more than 10 Mbit/s.
  for (let ms = 0; ms < untilMs; ms++) {
    wire.passTo(startMs + ms);
    const handshake = new OutgoingHandshake(guesser, ms, 0, 1432);
    const from = { host, port: 10_000 + ms };
    guesses.set(ms, { handshake, from });
    for (const each of handshake.nextDatagrams()) wire.inject(0, from, each);
    wire.run(wire.nowMs);
    if (eventsAt(wire, 'invited').length > 0) invitedAtMs = Math.min(invitedAtMs, ms);
  }
  return { invitedAtMs, judged: wire.receivers[0]?.faults.untrusted ?? 0 };
}

function keyOf(crypto: SessionCrypto): Uint8Array {
  const other = createSimulatedCrypto('any', 'any');
  const [initiator, responder] = [
    other.startHandshake('initiator', new Uint8Array(0)),
    crypto.startHandshake('responder', new Uint8Array(0)),
  ];
  responder.read(initiator.write());
  initiator.read(responder.write());
  return initiator.remoteKey ?? new Uint8Array(0);
}

t.test(
  'a flood of guesses counts as handshakes, and an invited sender connects within 3 s',
  (t) => {
    for (const [host, mostMs] of [
      ['198.51.100.1', 300],
      [senderAddress.host, 3000],
    ] as const) {
      for (let seed = 0; seed < 3; seed++) {
        const { invitedAtMs, judged } = connectAmid(`${host} ${seed}`, host);
        t.ok(invitedAtMs < mostMs, `invited after ${invitedAtMs} ms`);
        const { handshakesPerSec, handshakeBurst } = handshakeLimits;
        t.ok(judged > 100, `${judged} guesses in 3 s`);
        t.ok(judged <= 3 * handshakesPerSec + handshakeBurst, `${judged} guesses in 3 s`);
      }
    }
    t.end();
  },
);
