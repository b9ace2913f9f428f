/** One port in several roles: which role gets each datagram, and that none delays another. */
import t from 'tap';
import type { Address } from '../../src/base/address.js';
import type { Machine, TimeMs, Transmit } from '../../src/base/machine.js';
import { Queue } from '../../src/base/queue.js';
import { Endpoint, type EndpointEvent } from '../../src/endpoint/endpoint.js';
import { encodeData } from '../../src/index.js';
import type { SessionReceiver } from '../../src/session/receiver.js';
import type { SessionSender } from '../../src/session/sender.js';
import {
  encodeChannelHeader,
  encodeChannelPacket,
  writeBlockHeader,
} from '../../src/wire/header.js';

const peer = { host: '192.0.2.7', port: 7735 };

/** Answers each datagram with its name, reports it, and has a timeout that the test sets. */
class Named implements Machine<string> {
  wakeAtMs: TimeMs | undefined;
  readonly wokenAtMs: TimeMs[] = [];
  private readonly answers = new Queue<Transmit>();
  private readonly events = new Queue<string>();

  isRetired = false;

  constructor(
    private readonly name: string,
    readonly session = 0,
  ) {}

  /** Takes everything that is left as one run of data. */
  handleBlocks(nowMs: TimeMs, from: Address, bytes: Uint8Array, offset: number): number {
    this.handleDatagram(nowMs, from, bytes.subarray(offset));
    return bytes.length;
  }

  retire(): void {
    this.isRetired = true;
  }

  get peers() {
    return [];
  }

  handleDatagram(nowMs: TimeMs, from: Address, bytes: Uint8Array): void {
    this.answers.push({ to: from, bytes: Buffer.from(this.name) });
    this.events.push(`${bytes.length} bytes at ${nowMs}`);
  }

  handleTimeout(nowMs: TimeMs): void {
    this.wokenAtMs.push(nowMs);
  }

  pollTransmit(): Transmit | undefined {
    return this.answers.shift();
  }

  pollTimeout(): TimeMs | undefined {
    return this.wakeAtMs;
  }

  pollEvent(): string | undefined {
    return this.events.shift();
  }
}

const asReceiver = (machine: Named) => machine as unknown as SessionReceiver;
const asSender = (machine: Named) => machine as unknown as SessionSender;

function createEndpoint() {
  const [classic, session] = [new Named('classic'), new Named('receiver')];
  const both = new Endpoint<string>({ classic, receiver: asReceiver(session) });
  return { classic, session, both };
}

function answers(both: Endpoint<string>): string[] {
  const names: string[] = [];
  for (;;) {
    const transmit = both.pollTransmit(0);
    if (transmit === undefined) return names;
    t.same(transmit.to, peer);
    names.push(Buffer.from(transmit.bytes).toString());
  }
}

function events(endpoint: Endpoint<string>): { role: string; event: unknown }[] {
  const all: EndpointEvent<string>[] = [];
  for (let next = endpoint.pollEvent(); next !== undefined; next = endpoint.pollEvent()) {
    all.push(next);
  }
  return all.map(({ role, event }) => ({ role, event }));
}

const hello = encodeChannelHeader('hello', 0x55555555, 0, 0, 0);

/** A datagram of eight bytes with this type field. */
function withType(type: number): Uint8Array {
  return Uint8Array.of(0, 0, 0, 0, 0, 0, type >>> 8, type & 255);
}

for (const [what, bytes, name] of [
  ['data', encodeData(0, Uint8Array.of(1, 2, 3)), 'classic'],
  ['an empty segment', encodeData(1, new Uint8Array()), 'classic'],
  ['data whose payload resembles a session', encodeData(2, hello), 'classic'],
  ['an empty datagram', new Uint8Array(), 'classic'],
  ['one without a type', hello.subarray(0, 7), 'classic'],
  ['an unknown type', withType(0x5033), 'classic'],
  ['a byte-swapped type', withType(0x3250), 'classic'],
  ['a hello', hello, 'receiver'],
  ['a truncated session datagram', hello.subarray(0, 8), 'receiver'],
] as const) {
  t.test(`${what}: ${name}`, async (t) => {
    const { both } = createEndpoint();
    both.handleDatagram(5, peer, bytes);
    t.same(events(both), [{ role: name, event: `${bytes.length} bytes at 5` }]);
    t.same(answers(both), [name]);
  });
}

t.test('a view into a larger buffer is classified by its own bytes', async (t) => {
  const { both } = createEndpoint();
  const around = Buffer.concat([withType(0x5032), encodeData(0, Uint8Array.of(9)), hello]);
  both.handleDatagram(0, peer, around.subarray(8, 17));
  t.same(answers(both), ['classic']);
});

t.test('all events and datagrams of both roles come out', async (t) => {
  const { both } = createEndpoint();
  for (let i = 0; i < 3; i++) {
    both.handleDatagram(i, peer, encodeData(i, new Uint8Array(i)));
    both.handleDatagram(i, peer, hello);
  }
  t.same(answers(both).sort(), [...Array(3).fill('classic'), ...Array(3).fill('receiver')]);
  const received: Record<string, unknown[]> = { classic: [], receiver: [] };
  for (const { role, event } of events(both)) received[role]?.push(event);
  t.same(received, {
    classic: ['8 bytes at 0', '9 bytes at 1', '10 bytes at 2'],
    receiver: ['16 bytes at 0', '16 bytes at 1', '16 bytes at 2'],
  });
});

t.test('the earlier of two timeouts is waited for, and both machines get it', async (t) => {
  const { both, classic, session } = createEndpoint();
  t.equal(both.pollTimeout(), undefined);
  for (const [first, second, due] of [
    [10, undefined, 10],
    [undefined, 10, 10],
    [10, 20, 10],
    [20, 10, 10],
    [0, undefined, 0],
    [0, 5, 0],
    [5, 0, 0],
  ] as const) {
    classic.wakeAtMs = first;
    session.wakeAtMs = second;
    t.equal(both.pollTimeout(), due, `${first} and ${second}`);
  }
  classic.wakeAtMs = 20;
  session.wakeAtMs = undefined;
  both.handleTimeout(10);
  both.handleTimeout(20);
  session.wakeAtMs = 25;
  both.handleTimeout(30);
  t.same([classic.wokenAtMs, session.wokenAtMs], [[20, 30], [30]], 'only if it is due');
});

const header = (session: number) => ({
  ...{ session, generation: 0, block: 0, segment: 0, flags: 0, burst: 0 },
});

function data(session: number): Uint8Array {
  const bytes = new Uint8Array(100);
  writeBlockHeader(bytes, 0, false, header(session));
  return bytes;
}

const packet = (kind: 'hello' | 'cookie' | 'open' | 'reply' | 'proof' | 'control', to: number) =>
  encodeChannelPacket(kind, to, 0, 0, new Uint8Array(84));

function createSenders() {
  const [first, second, receiver] = [new Named('1', 1), new Named('2', 2), new Named('receiver')];
  const senders = [asSender(first), asSender(second)];
  return { first, second, receiver, senders };
}

t.test('what receivers send goes to the sender of that session', async (t) => {
  const { senders, receiver } = createSenders();
  const endpoint = new Endpoint<string>({ senders, receiver: asReceiver(receiver) });
  for (const kind of ['cookie', 'reply', 'control'] as const) {
    for (const [to, name] of [
      [1, '1'],
      [2, '2'],
      [3, 'receiver'],
    ] as const) {
      endpoint.handleDatagram(0, peer, packet(kind, to));
      t.same(answers(endpoint), [name], `${kind} of session ${to}`);
    }
  }
  for (const bytes of [packet('hello', 1), packet('open', 1), packet('proof', 1), data(1)]) {
    endpoint.handleDatagram(0, peer, bytes);
    t.same(answers(endpoint), ['receiver'], 'the rest goes to the receiver');
  }
});

t.test('datagrams that arrived together are split, each for its role', async (t) => {
  const { senders, receiver } = createSenders();
  const endpoint = new Endpoint<string>({ senders, receiver: asReceiver(receiver) });
  const piece = Buffer.concat([packet('control', 2), packet('control', 7), packet('control', 1)]);
  endpoint.handleDatagram(0, peer, piece);
  t.same(events(endpoint), [
    { role: 'receiver', event: '100 bytes at 0' },
    { role: 'sender', event: '100 bytes at 0' },
    { role: 'sender', event: '100 bytes at 0' },
  ]);
  endpoint.handleDatagram(0, peer, Buffer.concat([packet('control', 1), data(5), data(5)]));
  t.match(events(endpoint), [{ event: '200 bytes at 0' }, { event: '100 bytes at 0' }]);
});

t.test('without a receiver, the newest sender gets what no sender knows', async (t) => {
  const { senders } = createSenders();
  const endpoint = new Endpoint<string>({ senders });
  for (const bytes of [packet('control', 3), packet('hello', 9), Uint8Array.of(1), data(9)]) {
    endpoint.handleDatagram(0, peer, bytes);
    t.same(answers(endpoint), ['2']);
  }
  t.equal(new Endpoint({}).handleDatagram(0, peer, packet('hello', 1)), undefined, 'or nobody');
});

t.test('senders take turns', async (t) => {
  const { senders, first, second } = createSenders();
  const endpoint = new Endpoint<string>({ senders });
  for (let i = 0; i < 3; i++) for (const one of [first, second]) one.handleDatagram(0, peer, hello);
  t.same(answers(endpoint), ['1', '2', '1', '2', '1', '2']);
});

t.test('a replaced sender answers its receivers, but reports nothing', async (t) => {
  const { senders, first } = createSenders();
  const endpoint = new Endpoint<string>({ senders });
  const [next, again] = [new Named('next', 3), new Named('again', 3)];
  endpoint.replaceSender(asSender(first), asSender(next));
  t.ok(first.isRetired);
  first.wakeAtMs = 1;
  t.equal(endpoint.pollTimeout(), undefined);
  endpoint.handleDatagram(0, peer, packet('control', 1));
  t.same([answers(endpoint), events(endpoint)], [['1'], []]);
  endpoint.replaceSender(asSender(next), asSender(again));
  endpoint.handleDatagram(0, peer, packet('control', 3));
  t.same(answers(endpoint), ['again'], 'even with the same number');
  endpoint.removeSender(asSender(next));
  endpoint.handleDatagram(0, peer, packet('control', 3));
  t.same(answers(endpoint), ['again']);
});
