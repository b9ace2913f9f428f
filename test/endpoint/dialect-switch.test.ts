/**
 * One port for both protocols: which machine gets each datagram, and that neither delays the other.
 */
import t from 'tap';
import type { Address } from '../../src/base/address.js';
import type { Machine, TimeMs, Transmit } from '../../src/base/machine.js';
import { Queue } from '../../src/base/queue.js';
import { DialectSwitch } from '../../src/endpoint/dialect-switch.js';
import { encodeData } from '../../src/index.js';
import { encodeChannelHeader } from '../../src/wire/header.js';

const peer = { host: '192.0.2.7', port: 7735 };

/** Answers each datagram with its name, reports it, and has a timeout that the test sets. */
class Named implements Machine<string> {
  wakeAtMs: TimeMs | undefined;
  readonly wokenAtMs: TimeMs[] = [];
  private readonly answers = new Queue<Transmit>();
  private readonly events = new Queue<string>();

  constructor(private readonly name: string) {}

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

function createSwitch() {
  const [classic, session] = [new Named('classic'), new Named('session')];
  return { classic, session, both: new DialectSwitch<string, string>(classic, session) };
}

function answers(both: DialectSwitch<string, string>): string[] {
  const names: string[] = [];
  for (;;) {
    const transmit = both.pollTransmit(0);
    if (transmit === undefined) return names;
    t.same(transmit.to, peer);
    names.push(Buffer.from(transmit.bytes).toString());
  }
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
  ['a hello', hello, 'session'],
  ['a truncated session datagram', hello.subarray(0, 8), 'session'],
] as const) {
  t.test(`${what}: ${name}`, async (t) => {
    const { both } = createSwitch();
    both.handleDatagram(5, peer, bytes);
    t.same(both.pollEvent(), { dialect: name, event: `${bytes.length} bytes at 5` });
    t.equal(both.pollEvent(), undefined);
    t.same(answers(both), [name]);
  });
}

t.test('a view into a larger buffer is classified by its own bytes', async (t) => {
  const { both } = createSwitch();
  const around = Buffer.concat([withType(0x5032), encodeData(0, Uint8Array.of(9)), hello]);
  both.handleDatagram(0, peer, around.subarray(8, 17));
  t.same(answers(both), ['classic']);
});

t.test('all events and datagrams of both machines come out', async (t) => {
  const { both } = createSwitch();
  for (let i = 0; i < 3; i++) {
    both.handleDatagram(i, peer, encodeData(i, new Uint8Array(i)));
    both.handleDatagram(i, peer, hello);
  }
  t.same(answers(both).sort(), [...Array(3).fill('classic'), ...Array(3).fill('session')]);
  const received: Record<string, string[]> = { classic: [], session: [] };
  for (let event = both.pollEvent(); event !== undefined; event = both.pollEvent()) {
    received[event.dialect]?.push(event.event);
  }
  t.same(received, {
    classic: ['8 bytes at 0', '9 bytes at 1', '10 bytes at 2'],
    session: ['16 bytes at 0', '16 bytes at 1', '16 bytes at 2'],
  });
});

t.test('the earlier of two timeouts is waited for, and both machines get it', async (t) => {
  const { both, classic, session } = createSwitch();
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
  both.handleTimeout(30);
  t.same([classic.wokenAtMs, session.wokenAtMs], [[30], [30]]);
});
