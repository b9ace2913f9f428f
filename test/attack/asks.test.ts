/** Attacks on a host that serves objects, and on one that asks for them (SESSIONS 9). */
import t from 'tap';
import { Endpoint, type EndpointEvent } from '../../src/endpoint/endpoint.js';
import { createManifest, encodeManifest } from '../../src/object/manifest.js';
import { helloSizeBytes } from '../../src/security/handshake.js';
import { handshakeLimits } from '../../src/security/handshake-limits.js';
import type { SecureChannel } from '../../src/security/secure-channel.js';
import {
  AskListener,
  type AskListenerOptions,
  askListenerLimits,
} from '../../src/session/asks/ask-listener.js';
import { Asker } from '../../src/session/asks/asker.js';
import type { AskListenerEvent } from '../../src/session/asks/listener-events.js';
import { SessionReceiver } from '../../src/session/receiver.js';
import { createSimulatedCrypto } from '../../src/simulator/session-crypto.js';
import { fillPage } from '../../src/wire/asks.js';
import type { EnvelopeRequest } from '../../src/wire/envelope-request.js';
import {
  askerNumber,
  type ChannelPacket,
  decodeSession,
  encodeChannelPacket,
  sessionField,
} from '../../src/wire/header.js';
import { decodeMessage, encodeMessage, type Message } from '../../src/wire/messages.js';
import type { Offer } from '../../src/wire/offer.js';
import { AskCaller, ask } from '../support/ask-caller.js';
import { holds, runAsking, served } from '../support/asking-hosts.js';

const cryptoOf = (name: string) => createSimulatedCrypto('asks', name);
const keyOf = (name: string) => {
  const handshakes = [
    cryptoOf(name).startHandshake('initiator', new Uint8Array(0)),
    cryptoOf('x').startHandshake('responder', new Uint8Array(0)),
  ] as const;
  handshakes[1].read(handshakes[0].write());
  handshakes[0].read(handshakes[1].write());
  handshakes[1].read(handshakes[0].write());
  return handshakes[1].remoteKey as Uint8Array;
};

function createListener(options: Partial<AskListenerOptions> = {}) {
  const listener = new AskListener({
    crypto: cryptoOf('server'),
    refuseAsker: () => undefined,
    ...options,
  });
  const events = (): AskListenerEvent[] => {
    const all: AskListenerEvent[] = [];
    for (let next = listener.pollEvent(); next !== undefined; next = listener.pollEvent())
      if (next.type !== 'fault') all.push(next);
    return all;
  };
  return { listener, events };
}

const stranger = { host: '198.51.100.1', port: 9 };

t.test(
  'an address that is not proven gets no more bytes than it sends, and leaves no state',
  (t) => {
    const { listener, events } = createListener();
    const endpoint = new Endpoint({ listener });
    let [sent, got] = [0, 0];
    const caller = new AskCaller(endpoint, cryptoOf('a'), 0, 1);
    for (const kind of ['hello', 'open', 'proof', 'control', 'cookie', 'reply'] as const) {
      for (const size of [0, 16, 48, 64, 200, 1200]) {
        const body = new Uint8Array(size);
        const bytes = encodeChannelPacket(kind, 7, askerNumber, 9, body);
        sent += bytes.length;
        for (const answer of caller.deliver(bytes, stranger)) {
          t.equal(kind, 'hello');
          t.ok(answer.length <= bytes.length && bytes.length >= helloSizeBytes);
          got += answer.length;
        }
      }
    }
    t.ok(got > 0 && got < sent);
    t.equal(listener.channelCount, 1, 'that of the proven address');
    t.equal(listener['handshakes'].count, 1);
    t.same(events(), []);
    t.end();
  },
);

t.test('a key that may not ask learns nothing, whatever is served', (t) => {
  const answers = ['served', 'not served'].map((name) => {
    const heard: Uint8Array[] = [];
    const { listener, events } = createListener({
      refuseAsker: (key) => {
        heard.push(key);
        return 'may not ask here';
      },
    });
    const caller = new AskCaller(listener, cryptoOf('a'), 0, 1);
    const refusal = { kind: 'refuse', reason: 'may not ask here', isTemporary: false };
    t.same(caller.greeting, [refusal]);
    t.same(caller.say(ask(name)), [], 'the ask is not even read');
    t.same(caller.say({ kind: 'list-request', after: '' }), []);
    t.same(heard, [keyOf('a')]);
    t.match(events(), [{ type: 'asker-turned-away', cause: 'untrusted' }]);
    t.equal(listener.channelCount, 0);
    return caller.sizes;
  });
  t.equal(answers[0]?.got, answers[1]?.got);
  t.end();
});

t.test('repeated asks reach the shell once, and draw one small answer each', (t) => {
  const { listener, events } = createListener();
  const caller = new AskCaller(listener, cryptoOf('a'), 0, 1);
  t.same(caller.say(ask('photos')), []);
  for (let i = 0; i < 100; i++)
    t.same(caller.say(ask(`other ${i}`)), [{ kind: 'preparing', reason: '' }]);
  t.match(events(), [{ type: 'ask', what: { name: 'photos' }, askerKey: keyOf('a') }]);
  listener.refuse(0, 1, 'not for you');
  caller.drain();
  const refusal = [{ kind: 'refuse', reason: 'not for you', isTemporary: false }];
  for (const name of ['photos', 'other']) t.same(caller.say(ask(name)), refusal);
  t.same(caller.say({ kind: 'list-request', after: '' }), refusal);
  t.same(events(), []);
  t.equal(listener.accept(0, 1, undefined as never), undefined, 'it is too late to accept');
  t.end();
});

t.test(
  'a flood of list requests draws one page of one datagram for each answer of the shell',
  (t) => {
    const { listener, events } = createListener();
    const caller = new AskCaller(listener, cryptoOf('a'), 0, 1);
    for (let i = 0; i < 100; i++) caller.say({ kind: 'list-request', after: `${i}` });
    t.match(events(), [{ type: 'list-request', after: '0' }]);
    listener.answerList(1, fillPage('1', []));
    t.equal(caller.drain().length, 0, 'a page that nobody asked for');
    listener.answerList(1, fillPage('0', []));
    listener.answerList(1, fillPage('0', []));
    t.equal(caller.drain().length, 1);
    t.end();
  },
);

const question: EnvelopeRequest = {
  ...{ kind: 'envelope-request', name: 'photos', originKey: new Uint8Array(32) },
  ...{ receiverKey: new Uint8Array(32), challenge: new Uint8Array(16), hops: [] },
};

t.test(
  'repeated questions for an origin reach the shell once, and one answer serves them all',
  (t) => {
    const { listener, events } = createListener();
    const caller = new AskCaller(listener, cryptoOf('a'), 0, 1);
    t.same(caller.say(question), []);
    for (let i = 0; i < 100; i++) {
      const another = { ...question, name: `other ${i}` };
      t.same(caller.say(another), [{ kind: 'preparing', reason: '' }]);
    }
    t.match(events(), [{ type: 'envelope-request', question: { name: 'photos' } }]);
    const answer = { kind: 'envelope', envelope: new Uint8Array(200) };
    listener.answerEnvelope(0, 1, answer.envelope);
    listener.answerEnvelope(0, 1, answer.envelope);
    t.equal(caller.drain().length, 1);
    const before = { ...caller.sizes };
    t.same(caller.say(question), [answer]);
    const { sent, got } = caller.sizes;
    const [sentBytes, gotBytes] = [sent - before.sent, got - before.got];
    t.ok(gotBytes < 3 * sentBytes, `${gotBytes} bytes for ${sentBytes}, to a proven address`);
    t.same(caller.say(ask('photos')), [answer], 'the channel serves nothing else');
    t.same(events(), []);
    t.end();
  },
);

t.test('answers go only to the address that the handshake has proven', (t) => {
  const { listener, events } = createListener();
  const caller = new AskCaller(listener, cryptoOf('a'), 0, 1);
  for (const message of [ask('photos'), question, { kind: 'list-request', after: '' } as const])
    t.same(caller.deliver(caller.seal(message), stranger), []);
  t.same(events(), []);
  t.match(listener.faultCounts, { stranger: 3 });
  caller.say(ask('photos'));
  t.match(events(), [{ type: 'ask', from: caller.address }]);
  t.end();
});

t.test('a key that loses its right gets no more answers on a channel that is open', (t) => {
  for (const message of [ask('photos'), question, { kind: 'list-request', after: 'b' } as const]) {
    let refusal: string | undefined;
    const { listener, events } = createListener({ refuseAsker: () => refusal });
    const caller = new AskCaller(listener, cryptoOf('a'), 0, 1);
    caller.say({ kind: 'list-request', after: '' });
    listener.answerList(1, fillPage('', []));
    t.equal(caller.drain().length, 1);
    events();
    refusal = 'not any more';
    t.match(caller.say(message), [{ kind: 'refuse', reason: 'not any more' }]);
    refusal = undefined;
    t.match(caller.say(message), [{ kind: 'refuse' }], 'the channel remains refused');
    t.same(events(), []);
  }
  t.end();
});

t.test('replayed and forged datagrams of a channel do nothing, from any address', (t) => {
  const { listener, events } = createListener();
  const caller = new AskCaller(listener, cryptoOf('a'), 0, 1);
  caller.say(ask('photos'));
  const recorded = [...caller.sent];
  events();
  for (const from of [caller.address, stranger]) {
    for (let turn = 0; turn < 3; turn++) {
      // The handshake is kept for a while, so that a lost reply can be repeated.
      for (const bytes of turn === 1 ? recorded.toReversed() : recorded) {
        for (const answer of caller.deliver(bytes, from)) t.ok(answer.length <= bytes.length + 64);
      }
    }
  }
  const forged = caller.seal(ask('forged'));
  forged[20] = (forged[20] ?? 0) ^ 1;
  caller.deliver(forged);
  t.same(events(), []);
  t.equal(listener.channelCount, 1);
  t.match(listener.faultCounts, { forged: 1 });
  t.end();
});

t.test('a channel number that somebody else copies stays with its owner', (t) => {
  const { listener, events } = createListener();
  const owner = new AskCaller(listener, cryptoOf('a'), 0, 1);
  for (const name of ['a', 'b']) {
    const thief = new AskCaller(listener, cryptoOf(name), 0, 1, stranger);
    t.same(thief.say(ask('photos')), []);
  }
  t.same(events(), []);
  owner.say(ask('photos'));
  t.match(events(), [{ type: 'ask', askerKey: keyOf('a'), from: owner.address }]);
  t.match(listener.faultCounts, { 'bad-handshake': 2, forged: 2 });
  t.end();
});

t.test('a flood of channels is bounded, and an honest receiver gets in', (t) => {
  const { listener, events } = createListener();
  const endpoint = new Endpoint({ listener });
  let atMs = 0;
  const open = (name: string) => {
    // As fast as the server lets it.
    atMs += (2 * 1000) / handshakeLimits.handshakesPerSec;
    endpoint.handleTimeout(atMs);
    return new AskCaller(endpoint, cryptoOf(name), atMs, atMs);
  };
  const first = open('honest');
  first.say(ask('photos'));
  for (let i = 0; i < 3000; i++) {
    open('flooder');
    t.ok(listener.channelCount <= askListenerLimits.channels);
  }
  t.equal(listener.channelCount, askListenerLimits.channels);
  const last = open('late');
  last.say(ask('photos'));
  t.match(events(), [
    { type: 'ask', askerKey: keyOf('honest') },
    { type: 'ask', askerKey: keyOf('late') },
  ]);
  endpoint.handleTimeout(atMs + 2 * askListenerLimits.silentMs);
  t.equal(listener.channelCount, 0, 'all are forgotten');
  t.end();
});

t.test('a full server refuses for the time being', (t) => {
  const { listener } = createListener({ maxChannels: 2 });
  for (const channel of [1, 2]) {
    const caller = new AskCaller(listener, cryptoOf('a'), 0, channel);
    caller.say(ask('photos'));
  }
  const third = new AskCaller(listener, cryptoOf('a'), 0, 3);
  t.match(third.greeting, [{ kind: 'refuse', reason: /busy with 2/, isTemporary: true }]);
  t.end();
});

t.test(
  'who asks where nothing is served, and who sends where nothing is received, is refused',
  (t) => {
    const receiver = new SessionReceiver({
      ...{ crypto: cryptoOf('receiver'), name: 'receiver', platform: 'posix' },
      refuseSender: () => undefined,
    });
    const toReceiver = new AskCaller(new Endpoint({ receiver }), cryptoOf('a'), 0, 1);
    t.match(toReceiver.greeting, [
      { kind: 'refuse', reason: 'serves nothing', isTemporary: false },
    ]);
    t.equal(receiver.activeCount, 0, 'an ask begins no session');
    const { listener } = createListener();
    const endpoint = new Endpoint({ listener });
    const toServer = new AskCaller(endpoint, cryptoOf('a'), 0, 1, stranger, 0);
    t.match(toServer.greeting, [
      { kind: 'refuse', reason: 'receives nothing', isTemporary: false },
    ]);
    t.equal(listener.channelCount, 0);
    t.end();
  },
);

const object = served('object', 60_000);

t.test('a replayed pull starts nothing', async (t) => {
  const recorded: Uint8Array[] = [];
  const run = runAsking({
    seed: '1',
    hosts: { server: { serves: [object] }, a: { asks: [{ of: 'server', name: 'object' }] } },
    intercept: ({ to, bytes }) => {
      if (to === 'server') recorded.push(bytes.slice());
      return [bytes];
    },
    prepare: ({ simulation }) => {
      for (const atMs of [20_000, 100_000]) {
        simulation.at(atMs, () => {
          for (const bytes of [...recorded]) simulation.send('a', 'server', bytes);
        });
      }
    },
  });
  const [server, a] = [run.host('server'), run.host('a')];
  t.ok(holds(a, object) && run.isAtRest);
  t.equal(server.role.serving?.asked.length, 1);
  t.equal(server.role.sent.length, 1);
  t.equal(a.role.received.length, 1);
});

t.test('a modified handshake or ask only costs time', async (t) => {
  for (let kind = 1; kind <= 6; kind++) {
    for (const place of [0, 4, 5, 8, 9, 10, 12, 16, 40]) {
      let isDone = false;
      const run = runAsking({
        seed: `${kind} ${place}`,
        hosts: { server: { serves: [object] }, a: { asks: [{ of: 'server', name: 'object' }] } },
        intercept: ({ bytes }) => {
          if (isDone || bytes[sessionField.kind] !== kind) return [bytes];
          isDone = true;
          const changed = bytes.slice();
          changed[place] = (changed[place] ?? 0) ^ 0x55;
          return [changed];
        },
      });
      t.ok(isDone && run.isAtRest && holds(run.host('a'), object), `kind ${kind}, byte ${place}`);
    }
  }
});

/** An asker that trusts every server, and a server of which each message is the test's. */
class BadServer {
  readonly receiver = new SessionReceiver({
    ...{ crypto: cryptoOf('receiver'), name: 'receiver', platform: 'posix' },
    ...{ refuseSender: () => undefined, mayDelete: () => true },
  });
  readonly asker = new Asker({ crypto: cryptoOf('asker'), receiver: this.receiver });
  readonly endpoint = new Endpoint({ receiver: this.receiver, asker: this.asker });
  private readonly server = createListener();
  private readonly channels: number[] = [];

  /** Asks and connects. @returns the number of the ask, and of its channel */
  ask(what?: { name: string }) {
    const server = { name: 's', address: stranger };
    const id = this.asker.ask(0, { server, ...(what === undefined ? {} : { what }) });
    const { listener } = this.server;
    for (let i = 0; i < 4; i++) {
      for (const bytes of this.drain()) listener.handleDatagram(0, stranger, bytes);
      for (let next = listener.pollTransmit(); next !== undefined; next = listener.pollTransmit())
        this.endpoint.handleDatagram(0, stranger, next.bytes);
      if (i === 1) this.asker.trust(0, id);
    }
    for (const event of this.server.events())
      if ('channel' in event) this.channels.push(event.channel);
    return { id, channel: this.channels.at(-1) as number };
  }

  /** Sends any message. @returns what the asker answers on that channel */
  say(channel: number, message: Message): (Message | undefined)[] {
    const own = this.server.listener['channels'].get(channel)?.proven.channel as SecureChannel;
    this.endpoint.handleDatagram(0, stranger, own.seal(encodeMessage(message)));
    return this.drain().map((bytes) => {
      const opened = own.open(decodeSession(bytes) as ChannelPacket);
      return typeof opened === 'string' ? undefined : decodeMessage(opened);
    });
  }

  events() {
    const all: EndpointEvent<never>['event'][] = [];
    for (let next = this.endpoint.pollEvent(); next !== undefined; next = this.endpoint.pollEvent())
      if (next.event.type !== 'fault') all.push(next.event);
    return all;
  }

  private drain(): Uint8Array[] {
    const all: Uint8Array[] = [];
    for (let next = this.endpoint.pollTransmit(0); next !== undefined; ) {
      all.push(next.bytes);
      next = this.endpoint.pollTransmit(0);
    }
    return all;
  }
}

const manifest = encodeManifest(
  createManifest([{ kind: 'file', name: 'f', mode: 0o644, modifiedMs: 0, sizeBytes: 9 }]),
);
const offer: Offer = {
  ...{ kind: 'offer', session: 77, label: 'x', mssBytes: 1000, contentSizeBytes: 9 },
  ...{ manifestSizeBytes: manifest.length, manifestDigest: cryptoOf('').hash(manifest), manifest },
  ...{ groupKey: new Uint8Array(32), reportIntervalMs: 1 },
  ...{ existing: 'overwrite', deletion: 'delete', listedAtMs: 0 },
};

t.test('a server decides neither what is deleted nor what is overwritten', (t) => {
  const bad = new BadServer();
  const { channel } = bad.ask({ name: 'x' });
  t.match(bad.say(channel, offer), [{ kind: 'accept' }]);
  t.match(bad.events(), [
    { type: 'identify' },
    { type: 'answered', session: 77 },
    { type: 'offer', info: { isListing: false } },
    { type: 'prepare', existing: 'update', deletion: 'none' },
  ]);
  bad.say(channel, { ...offer, session: 78 });
  t.same(bad.events(), [], 'a second offer on the channel begins nothing');
  t.match(bad.asker.faultCounts, { 'bad-message': 1 });
  t.end();
});

t.test('a server that says more than once that a session is over does nothing wrong', (t) => {
  const bad = new BadServer();
  const { channel } = bad.ask({ name: 'x' });
  const bye: Message = { kind: 'bye', reason: '', isFinal: false };
  t.match(bad.say(channel, offer), [{ kind: 'accept' }]);
  t.match(bad.say(channel, bye), [{ kind: 'done' }]);
  t.equal(bad.receiver.activeCount, 0);
  for (let i = 0; i < 2; i++) t.same(bad.say(channel, bye), []);
  t.same(bad.asker.faultCounts, {});
  t.end();
});

t.test('an ask whose session ends before its offer has arrived is repeated', (t) => {
  const bad = new BadServer();
  const { channel } = bad.ask({ name: 'x' });
  bad.say(channel, { kind: 'bye', reason: 'has changed', isFinal: false });
  t.match(bad.events(), [{ type: 'identify' }, { type: 'deferred', reason: 'has changed' }]);
  t.same(bad.asker.faultCounts, {});
  const dueAtMs = bad.asker.pollTimeout() ?? Infinity;
  bad.asker.handleTimeout(dueAtMs);
  t.match(decodeSession(bad.asker.pollTransmit()?.bytes ?? new Uint8Array()), { kind: 'hello' });
  t.end();
});

t.test('a server cannot enter a session of another one', (t) => {
  const bad = new BadServer();
  bad.say(bad.ask({ name: 'x' }).channel, offer);
  bad.events();
  const other = bad.ask({ name: 'y' });
  t.match(bad.say(other.channel, offer), [{ kind: 'refuse' }]);
  t.match(bad.events(), [
    { type: 'identify' },
    { type: 'shared', ask: other.id, reason: 'takes part in this session already' },
  ]);
  t.equal(bad.receiver.activeCount, 1);
  t.equal(bad.asker.askCount, 1, 'the first goes on');
  t.end();
});

t.test('a server that sends unexpected messages ends at most its own ask', (t) => {
  const bad = new BadServer();
  const first = bad.ask({ name: 'x' });
  const unexpected: Message[] = [
    { kind: 'root', digest: new Uint8Array(32) },
    { kind: 'accept', name: '' },
    ask('z'),
    { kind: 'list', after: '', isLast: true, objects: [] },
  ];
  for (const message of unexpected) t.same(bad.say(first.channel, message), []);
  t.match(bad.asker.faultCounts, { 'bad-message': unexpected.length });
  const list = bad.ask();
  bad.say(list.channel, offer);
  t.match(bad.asker.faultCounts, { 'bad-message': unexpected.length + 1 });
  bad.say(list.channel, { kind: 'refuse', reason: 'no', isTemporary: false });
  t.match(bad.events(), [{ type: 'identify' }, { type: 'identify' }, { type: 'refused', ask: 1 }]);
  t.equal(bad.asker.askCount, 1);
  t.end();
});

t.test('a port that refuses is reported once, and is the reason if nothing else answers', (t) => {
  const asker = new BadServer().asker;
  const server = { name: 's', address: stranger };
  const id = asker.ask(0, { server, what: { name: 'x' } });
  t.match([...asker.awaited()], [{ index: id, addresses: [stranger], answerCount: 0 }]);
  for (let i = 0; i < 3; i++) asker.handleRefusal(id, stranger, { code: 'port-closed' });
  asker.handleRefusal(id + 1, stranger, { code: 'port-closed' });
  t.match(asker.pollEvent(), { type: 'port-refused', receiver: 's', livenessTimeoutMs: 30_000 });
  t.equal(asker.pollEvent(), undefined);
  for (let nowMs = 0; nowMs <= 31_000; nowMs += 500) asker.handleTimeout(nowMs);
  t.match(asker.pollEvent(), { type: 'failed', ask: id, reason: /p2mp serve/ });
  t.same([...asker.awaited()], []);
  t.end();
});

t.test('a list that does not lead further is not followed', (t) => {
  const bad = new BadServer();
  const { channel } = bad.ask();
  const named = (name: string) => ({
    ...{ name, contentSizeBytes: 1, manifestDigest: new Uint8Array(32), root: undefined },
  });
  const page = (after: string, ...names: string[]): Message => ({
    ...{ kind: 'list', after, isLast: false, objects: names.map(named) },
  });
  t.same(bad.say(channel, page('')), [], 'empty, but not the last');
  t.same(bad.say(channel, page('', 'b', 'a')), [], 'descending');
  t.same(bad.say(channel, page('', 'x'.repeat(501))), [], 'a name that is too long');
  t.same(bad.say(channel, page('', 'b')), [{ kind: 'list-request', after: 'b' }]);
  t.same(bad.say(channel, page('', 'b')), [], 'repeated');
  t.same(bad.say(channel, page('b', 'a')), [], 'backwards');
  t.equal(bad.events().filter(({ type }) => type === 'page').length, 1);
  t.end();
});

t.test('who knows a channel number but not its keys can do nothing with it', (t) => {
  const bad = new BadServer();
  const { channel } = bad.ask({ name: 'x' });
  bad.events();
  for (const kind of ['cookie', 'reply', 'control', 'hello', 'open', 'proof'] as const) {
    const bytes = encodeChannelPacket(kind, channel, askerNumber, 0, new Uint8Array(96));
    bad.endpoint.handleDatagram(0, { host: '203.0.113.9', port: 1 }, bytes);
  }
  t.same(bad.events(), []);
  t.match(bad.asker.faultCounts, { forged: 1 });
  const [cookie, ...answers] = bad.say(channel, offer);
  t.equal(cookie, undefined, 'the hello has its cookie');
  t.match(answers, [{ kind: 'accept' }]);
  t.throws(() => bad.asker.ask(0, { server: { name: 's', address: stranger }, what: {} }), {
    code: 'INVALID_ARGUMENT',
  });
  t.end();
});
