/**
 * Attacks on the handshake, with real cryptography: modified packets prevent the session or change
 * nothing, but never downgrade it, and a stranger gets no more bytes than it sends.
 */
import * as fc from 'fast-check';
import t from 'tap';
import { generateKeyPair } from '../../src/node/keys/key-files.js';
import { createNodeCrypto } from '../../src/node/keys/node-crypto.js';
import { cookieSizeBytes, helloSizeBytes } from '../../src/security/handshake.js';
import { handshakeLimits } from '../../src/security/handshake-limits.js';
import {
  encodeChannelPacket,
  protocolVersion,
  sessionField,
  sessionHeaderSizeBytes,
  sessionKind,
} from '../../src/wire/header.js';
import {
  type Passing,
  SessionWire,
  senderAddress,
  strangerAddress,
  type WireOptions,
} from '../support/session-wire.js';

const senderPair = await generateKeyPair();
const receiverPair = await generateKeyPair();
const cryptos = {
  sender: await createNodeCrypto(senderPair),
  receiver: await createNodeCrypto(receiverPair),
};

function createWire(options: WireOptions): SessionWire {
  const cryptoOf = (name: string) => (name === 'sender' ? cryptos.sender : cryptos.receiver);
  return new SessionWire({ sizeBytes: 1000, cryptoOf, ...options });
}

const kindOf = (bytes: Uint8Array) => bytes[sessionField.kind];
const handshakeKinds = ['hello', 'cookie', 'open', 'reply', 'proof'] as const;

function changed(bytes: Uint8Array, place: number): Uint8Array {
  const copy = bytes.slice();
  copy[place] = (copy[place] ?? 0) ^ 0x55;
  return copy;
}

/** The keys that each side saw as the other's. */
function keysSeen({ receivers, senderEvents }: SessionWire) {
  const shown = senderEvents.flatMap((event) =>
    event.type === 'identify' ? [Buffer.from(event.receiverKey).toString('hex')] : [],
  );
  const known = receivers.flatMap(({ events }) =>
    events.flatMap((event) =>
      event.type === 'offer' ? [Buffer.from(event.info.senderKey).toString('hex')] : [],
    ),
  );
  return { shown: [...new Set(shown)], known: [...new Set(known)] };
}

t.test('one modified byte in the handshake only costs time', (t) => {
  const sizes = { hello: 64, cookie: 48, open: 80, reply: 112, proof: 80 };
  let runs = 0;
  for (const kind of handshakeKinds) {
    // Every byte of the header, and a sample of the rest.
    for (let place = 0; place < sizes[kind]; place += place < sessionHeaderSizeBytes ? 1 : 5) {
      let isDone = false;
      const wire = createWire({
        attack: ({ bytes }) => {
          if (isDone || kindOf(bytes) !== sessionKind[kind]) return [bytes];
          isDone = true;
          return [changed(bytes, place)];
        },
      }).run();
      runs++;
      const { shown, known } = keysSeen(wire);
      const isRight =
        isDone &&
        wire.receivers[0]?.isIdentical === true &&
        `${shown}` === Buffer.from(receiverPair.publicKey).toString('hex') &&
        `${known}` === Buffer.from(senderPair.publicKey).toString('hex');
      if (!isRight) t.fail(`${kind}, byte ${place}`);
    }
  }
  t.ok(runs > 100, `${runs} runs`);
  t.end();
});

t.test('permanent modification prevents a session and is reported', (t) => {
  for (const kind of handshakeKinds.slice(1)) {
    for (const place of [sessionHeaderSizeBytes, sessionHeaderSizeBytes + 31]) {
      const wire = createWire({
        attack: ({ bytes }) =>
          kindOf(bytes) === sessionKind[kind] ? [changed(bytes, place)] : [bytes],
      }).run();
      t.same(
        wire.receivers[0]?.events.filter(({ type }) => type !== 'fault'),
        [],
        `${kind}: no offer`,
      );
      t.match(wire.outcomeOf(0), { status: 'failed', reason: /no answer|has not responded/ });
      t.ok(wire.nowMs < 60_000, 'within the liveness timeout');
    }
  }
  t.end();
});

t.test(
  'a modified version is never downgraded: the handshake waits for a valid packet, or fails',
  (t) => {
    for (const [kind, isOver] of [
      ['hello', true],
      ['open', true],
      ['proof', true],
      ['cookie', false],
      ['reply', false],
    ] as const) {
      const wire = createWire({
        attack: ({ bytes }) =>
          kindOf(bytes) === sessionKind[kind] ? [changed(bytes, sessionField.detail)] : [bytes],
      }).run();
      // The responder ignores the version in the header; the handshake authenticates it.
      if (isOver) t.equal(wire.receivers[0]?.isIdentical, true, kind);
      else t.match(wire.outcomeOf(0), { status: 'failed', reason: /version/ }, kind);
      for (const { bytes } of wire.log) {
        if (kindOf(bytes) !== sessionKind.hello) continue;
        t.equal(bytes[sessionField.detail], protocolVersion);
      }
    }
    t.end();
  },
);

t.test('handshakes with different versions, sessions or numbers do not match', (t) => {
  for (const other of ['p2mp 2 77 0', 'p2mp 1 78 0', 'p2mp 1 77 1']) {
    const initiator = cryptos.sender.startHandshake('initiator', Buffer.from('p2mp 1 77 0'));
    const responder = cryptos.receiver.startHandshake('responder', Buffer.from(other));
    t.equal(responder.read(initiator.write()), true, 'the first message is a plain key');
    t.equal(initiator.read(responder.write()), false, other);
  }
  t.end();
});

/** Corrupts the first block, so that the receiver requests tags, and then strips the tags. */
function runWithoutTags(stripsUntilMs: number): SessionWire {
  let corrupted = 0;
  return createWire({
    sizeBytes: 8000,
    attack: ({ to, bytes, atMs }) => {
      if (to === 'sender') return [bytes];
      if (kindOf(bytes) === sessionKind.data && corrupted < 1) {
        corrupted++;
        return [changed(bytes, bytes.length - 1)];
      }
      if (kindOf(bytes) !== sessionKind.taggedData || atMs >= stripsUntilMs) return [bytes];
      const bare = bytes.slice(0, -16);
      bare[sessionField.kind] = sessionKind.data;
      return [bare];
    },
  }).run();
}

t.test('once tags are requested, data with stripped tags is rejected', (t) => {
  const stripped = runWithoutTags(Infinity);
  t.match(stripped.outcomeOf(0), { status: 'failed' });
  t.equal(stripped.receivers[0]?.isIdentical, false);
  t.ok((stripped.receivers[0]?.faults['forged-data'] ?? 0) > 5);
  const later = runWithoutTags(5000);
  t.equal(later.receivers[0]?.isIdentical, true, 'the session completes once tags arrive again');
  t.end();
});

/** Creates a receiver with its clock at 5 s, and gets a cookie from it. */
function meet(from = senderAddress) {
  const wire = createWire({});
  wire.passTo(5000);
  const padding = new Uint8Array(helloSizeBytes - sessionHeaderSizeBytes);
  const [answer = new Uint8Array(0)] = wire.ask(
    0,
    from,
    encodeChannelPacket('hello', 7, 0, 99, padding),
  );
  const cookie = answer.subarray(sessionHeaderSizeBytes);
  const first = cryptos.sender.startHandshake('initiator', Buffer.from('p2mp 1 7 0')).write();
  const openWith = (number: number, session = 7) =>
    encodeChannelPacket('open', session, 0, number, Uint8Array.from([...cookie, ...first]));
  return { wire, answer, open: openWith(99), openWith };
}

t.test(
  'a cookie is valid only for the address that requested it, and only for a limited time',
  (t) => {
    const { wire, answer, open, openWith } = meet();
    t.equal(answer.length, sessionHeaderSizeBytes + cookieSizeBytes);
    const [receiver] = wire.receivers;
    for (const [what, from, bytes] of [
      ['another host', strangerAddress, open],
      ['another port', { ...senderAddress, port: 4001 }, open],
      ['another call', senderAddress, openWith(98)],
      ['another session', senderAddress, openWith(99, 8)],
    ] as const) {
      t.same(wire.ask(0, from, bytes), [], `${what}: no answer`);
      t.equal(receiver?.kept, 0, 'no state is kept');
    }
    t.equal(receiver?.faults['bad-cookie'], 4);
    t.equal(
      wire.ask(0, senderAddress, open).length,
      1,
      'the address that requested it gets a reply',
    );
    t.equal(receiver?.kept, 1);
    const late = meet();
    late.wire.passTo(late.wire.nowMs + 2 * handshakeLimits.cookieMs);
    t.same(late.wire.ask(0, senderAddress, late.open), [], 'too old');
    t.equal(late.wire.receivers[0]?.kept, 0);
    const restarted = meet();
    restarted.wire.addReceiver(0);
    t.same(restarted.wire.ask(0, senderAddress, restarted.open), [], 'from before the restart');
    t.end();
  },
);

t.test('an unvalidated sender gets no more bytes than it sends, and leaves no state', (t) => {
  const { wire } = meet();
  const [receiver] = wire.receivers;
  const kinds = fc.constantFrom(...Object.values(sessionKind), 0, 10, 255);
  const datagram = fc
    .record({
      kind: kinds,
      version: fc.nat(255),
      body: fc.uint8Array({ maxLength: 300, size: 'max' }),
    })
    .chain(({ kind, version, body }) =>
      fc.tuple(fc.nat(), fc.nat(65_535), fc.boolean()).map(([number, size, isHonest]) => {
        const bytes = encodeChannelPacket('hello', number, 0, number, body);
        bytes[sessionField.kind] = kind;
        bytes[sessionField.detail] = version;
        if (!isHonest) {
          bytes[sessionField.bodySize] = size >>> 8;
          bytes[sessionField.bodySize + 1] = size;
        }
        return bytes;
      }),
    );
  const address = fc.tuple(fc.nat(255), fc.integer({ min: 1, max: 65_535 }));
  let asked = 0;
  let answered = 0;
  fc.assert(
    fc.property(
      fc.array(datagram, { minLength: 1, maxLength: 4 }),
      address,
      (all, [last, port]) => {
        const piece = Buffer.concat(all);
        const answers = wire.ask(0, { host: `198.51.100.${last}`, port }, piece);
        const answerBytes = answers.reduce((sum, { length }) => sum + length, 0);
        asked += piece.length;
        answered += answerBytes;
        return answerBytes <= piece.length && receiver?.kept === 0;
      },
    ),
    { seed: 1, numRuns: 5000 },
  );
  t.ok(answered > 0 && answered <= asked, `${answered} bytes for ${asked}`);
  t.equal(wire.receivers[0]?.machine.bufferedBytes, 0);
  const reported = receiver?.events.map((event) =>
    event.type === 'fault' ? event.kind : event.type,
  );
  t.equal(
    new Set(reported).size,
    reported?.length,
    'strangers cause at most one event of each kind',
  );
  t.end();
});

/** Records what arrives at a receiver in a successful session. */
function record(): { readonly wire: SessionWire; readonly tape: readonly Passing[] } {
  const wire = createWire({ sizeBytes: 3000 }).run();
  return { wire, tape: wire.log.filter(({ to }) => to === 0) };
}

/** Replays the tape. @returns the events of the receiver other than faults */
function play(wire: SessionWire, tape: readonly Passing[], index = 0): string[] {
  const receiver = wire.receivers[index];
  const before = receiver?.events.length ?? 0;
  for (const { bytes } of tape) wire.ask(index, senderAddress, bytes);
  const reported = receiver?.events.slice(before).map(({ type }) => type) ?? [];
  return reported.filter((type) => type !== 'fault');
}

t.test('a replayed session starts nothing, at any receiver and in any order', (t) => {
  const { wire, tape } = record();
  t.equal(wire.receivers[0]?.isIdentical, true);
  const parts = {
    whole: tape,
    backwards: tape.toReversed(),
    'without its hellos': tape.filter(({ bytes }) => kindOf(bytes) !== sessionKind.hello),
    'its proof alone': tape.filter(({ bytes }) => kindOf(bytes) === sessionKind.proof),
    'its data alone': tape.filter(({ bytes }) => kindOf(bytes) === sessionKind.data),
  };
  for (const [what, part] of Object.entries(parts)) {
    t.ok(part.length > 0);
    t.same(play(wire, part), [], `${what}, to the same receiver`);
    wire.passTo(wire.nowMs + handshakeLimits.handshakeMs);
    wire.receivers[0]?.machine.handleTimeout(wire.nowMs);
    t.equal(wire.receivers[0]?.kept, 0, 'no state remains');
    const restarted = createWire({});
    t.same(play(restarted, part), [], `${what}, to the receiver after a restart`);
    t.equal(restarted.receivers[0]?.kept, 0);
    const other = new SessionWire({ cryptoOf: () => cryptos.sender });
    t.same(play(other, part), [], `${what}, to another receiver`);
    t.equal(other.receivers[0]?.kept, 0);
  }
  t.end();
});

t.test('a handshake replayed while its cookie is valid has no effect', (t) => {
  const { wire, tape } = record();
  const ofKind = (kind: number) =>
    tape.find(({ bytes }) => kindOf(bytes) === kind)?.bytes ?? new Uint8Array(0);
  const [receiver] = wire.receivers;
  const [before] = wire.log.filter(({ bytes }) => kindOf(bytes) === sessionKind.reply);
  wire.passTo(wire.nowMs + handshakeLimits.repeatMs);
  const again = wire.ask(0, senderAddress, ofKind(sessionKind.open));
  t.same(again, [before?.bytes], 'the same reply again');
  t.same(
    wire.ask(0, senderAddress, ofKind(sessionKind.proof)),
    [],
    'no confirmation is processed twice',
  );
  t.equal(receiver?.kept, 1, 'until the handshake timeout');
  wire.passTo(wire.nowMs + handshakeLimits.handshakeMs);
  receiver?.machine.handleTimeout(wire.nowMs);
  t.equal(receiver?.kept, 0);
  const replies = wire.ask(0, senderAddress, ofKind(sessionKind.open));
  t.equal(
    kindOf(replies[0] ?? new Uint8Array(0)),
    sessionKind.reply,
    'then a reply with a new key',
  );
  t.same(wire.ask(0, senderAddress, ofKind(sessionKind.proof)), []);
  t.equal(receiver?.faults['bad-handshake'], 1);
  t.end();
});

t.test('duplicated and replayed packets do not change a session', (t) => {
  for (const seed of [1, 2, 3]) {
    const wire: SessionWire = createWire({
      seed: `again ${seed}`,
      sizeBytes: 8000,
      attack: ({ to, bytes }, { log }) => {
        // Replays an earlier packet of the same direction, and duplicates the current one.
        const old = log[(log.length * 7 * seed) % log.length];
        return old?.to === to ? [bytes, old.bytes, bytes] : [bytes, bytes];
      },
    }).run();
    t.equal(wire.receivers[0]?.isIdentical, true);
    t.equal(wire.receivers[0]?.results.length, 1, 'one session');
    t.ok((wire.receivers[0]?.faults.replayed ?? 0) > 0);
    t.ok((wire.result?.faults.replayed ?? 0) > 0, 'also at the sender');
    t.equal(wire.result?.faults.forged, undefined);
  }
  t.end();
});

t.test('packets of a receiver from one session are rejected in the next', (t) => {
  const { wire: before } = record();
  const said = before.log.filter(({ to }) => to === 'sender');
  let played = 0;
  const wire = createWire({
    sizeBytes: 8000,
    attack: ({ to, bytes }, { sender }) => {
      if (to !== 'sender') return [bytes];
      const old = said.map((each) => {
        // With the number of the current session.
        const copy = each.bytes.slice();
        new DataView(copy.buffer).setUint32(0, sender.session);
        return copy;
      });
      played += old.length;
      return [...old, bytes];
    },
  }).run();
  t.ok(played > 50);
  t.equal(wire.receivers[0]?.isIdentical, true);
  t.equal(wire.outcomeOf(0)?.status, 'complete');
  t.ok((wire.result?.faults.forged ?? 0) > 0);
  t.end();
});

t.test('an untrusted peer learns only that it is not trusted', (t) => {
  const refused = createWire({ receiver: { refuseSender: () => 'not among friends' } }).run();
  t.match(refused.outcomeOf(0), { status: 'refused', reason: 'not among friends' });
  t.same(
    refused.receivers[0]?.events.filter(({ type }) => type !== 'fault' && type !== 'turned-away'),
    [],
  );
  const unmet = createWire({ refuseReceiver: () => 'its key has changed' }).run();
  t.match(unmet.outcomeOf(0), { status: 'failed', reason: 'its key has changed' });
  const kinds = new Set(unmet.log.filter(({ to }) => to === 0).map(({ bytes }) => kindOf(bytes)));
  t.same([...kinds], [sessionKind.hello, sessionKind.open], 'neither key nor offer was sent to it');
  t.end();
});
