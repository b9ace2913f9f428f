/**
 * Forged source addresses in P2MP-FTP: no forged datagram may start traffic that does not die out,
 * whether between two hosts or from a host to itself, and no reply may be larger than a header.
 */
import t from 'tap';
import type { Machine } from '../../src/base/machine.js';
import type { ReceiverEvent } from '../../src/classic/receiver-events.js';
import type { SenderEvent } from '../../src/classic/sender-events.js';
import {
  encodeAbort,
  encodeAbortAck,
  encodeAck,
  encodeData,
  encodeIdentify,
  encodeIdentifyAck,
} from '../../src/packet.js';
import { Receiver } from '../../src/receiver.js';
import { Sender } from '../../src/sender.js';
import { Simulation } from '../../src/simulator/simulation.js';
import { formatTraceLine } from '../../src/simulator/trace.js';
import { DrivenReceiver } from '../support/driven-receiver.js';

const mss = 100;
const payload = new Uint8Array(mss).fill(7);

function endPacket(sizeBytes: number): Uint8Array {
  const bytes = new Uint8Array(sizeBytes);
  bytes.fill(0xff, 6, 8);
  return bytes;
}

function ofType(bytes: Uint8Array, type: number): Uint8Array {
  const copy = bytes.slice();
  copy[6] = type >>> 8;
  copy[7] = type;
  return copy;
}

const kinds: Readonly<Record<string, Uint8Array>> = {
  'data 0': encodeData(0, payload),
  'data 1': encodeData(1, payload),
  'short data 1': encodeData(1, payload.subarray(0, 9)),
  'last data 0': ofType(encodeData(0, payload), 0x5557),
  'end marker 0': encodeData(0, new Uint8Array(0)),
  'end marker 1': encodeData(1, new Uint8Array(0)),
  end: endPacket(8),
  'large end': endPacket(30_000),
  'ACK 0': encodeAck(0),
  'ACK 1': encodeAck(1),
  abort: encodeAbort(0),
  'abort ACK': encodeAbortAck(0),
  question: encodeIdentify(1),
  answer: encodeIdentifyAck(1),
  'unknown type': ofType(encodeAck(0), 0x1234),
  'too short': new Uint8Array(7),
};

class Host {
  /** Adds a receiver, or a sender that sends to `to`. */
  constructor(
    private readonly simulation: Simulation,
    private readonly name: string,
    role: 'receiver' | 'sender',
    to: string,
  ) {
    this.host = role === 'receiver' ? this.addReceiver() : this.addSender(to);
  }

  private readonly host;

  /** Delivers a datagram with a forged source address. */
  forge(from: string, bytes: Uint8Array): void {
    this.host.receive(Simulation.address(from), bytes);
  }

  private addReceiver() {
    const { simulation, name } = this;
    const receiver = new Receiver({
      isOwnAddress: ({ host }) => host === name,
    });
    let writtenBytes = 0;
    return this.add(receiver, (event: ReceiverEvent) => {
      if (event.type === 'open') writtenBytes = 0;
      if (event.type === 'write') {
        writtenBytes += event.bytes.length;
        receiver.handleWritten(writtenBytes);
      }
      if (event.type === 'finish') receiver.handleStored(simulation.nowMs);
    });
  }

  private addSender(to: string) {
    const { simulation } = this;
    const sender = new Sender({
      receivers: [{ name: to, address: Simulation.address(to) }],
      sizeBytes: 2 * mss,
      mssBytes: mss,
    });
    return this.add(sender, (event: SenderEvent) => {
      if (event.type === 'need') {
        sender.provideBlock(simulation.nowMs, event.blockIndex, new Uint8Array(event.sizeBytes));
      }
      if (event.type === 'check-source') sender.confirmSource(simulation.nowMs);
    });
  }

  private add<Event extends object>(machine: Machine<Event>, handle: (event: Event) => void) {
    return this.simulation.addHost(this.name, machine, handle);
  }
}

type Role = 'receiver' | 'sender';

/** Forges these kinds of datagrams in both directions. @returns what the hosts sent in response */
function attack(roles: readonly Role[], sequence: readonly string[]) {
  const sizes: number[] = [];
  const trace: string[] = [];
  const simulation = new Simulation({
    seed: 'attack',
    trace: (record) => {
      if (record.what === 'sent') sizes.push(record.sizeBytes);
      trace.push(formatTraceLine(record));
    },
  });
  const names = roles.map((_, i) => `h${i}`);
  const other = (i: number) => names.at(i - 1) ?? '';
  const hosts = roles.map((role, i) => new Host(simulation, names[i] ?? '', role, other(i)));
  for (const from of names) {
    for (const to of names)
      simulation.connect(from, to, [simulation.createLink(`${from} ${to}`, { delayMs: 1 })]);
  }
  sequence.forEach((kind, step) => {
    const bytes = kinds[kind] ?? new Uint8Array(0);
    simulation.at(10 * step, () => {
      for (const [i, host] of hosts.entries()) host.forge(other(i), bytes);
    });
  });
  const isAtRest = simulation.run({ untilMs: 600_000, isOver: () => sizes.length > 2000 });
  return { isAtRest: isAtRest && sizes.length <= 2000, sizes, trace };
}

const setups = {
  'two receivers': ['receiver', 'receiver'],
  'a receiver and itself': ['receiver'],
  'two senders': ['sender', 'sender'],
  'a sender and itself': ['sender'],
  'a receiver and a sender': ['receiver', 'sender'],
} as const satisfies Record<string, readonly Role[]>;

/** Yields every sequence of `length` kinds. */
function* sequences(length: number): Iterable<string[]> {
  if (length === 0) {
    yield [];
    return;
  }
  for (const start of sequences(length - 1))
    for (const kind of Object.keys(kinds)) yield [...start, kind];
}

for (const [name, roles] of Object.entries(setups)) {
  const hasSender = roles.some((role) => role === 'sender');
  // A sender retransmits until its liveness timeout; a receiver only replies.
  const limit = hasSender ? 400 : 60;
  const length = hasSender ? 2 : 3;
  t.test(`${name}: traffic after forged datagrams of any kind dies out`, (t) => {
    let count = 0;
    for (const sequence of sequences(length)) {
      const { isAtRest, sizes, trace } = attack(roles, sequence);
      const isSmall = hasSender || sizes.every((size) => size <= 8);
      count++;
      if (isAtRest && sizes.length <= limit && isSmall) continue;
      t.fail(`${sequence.join(', ')}: ${sizes.length} datagrams`, { trace: trace.slice(0, 40) });
      break;
    }
    t.equal(count, Object.keys(kinds).length ** length);
    t.end();
  });
}

t.test('a receiver never replies to itself', (t) => {
  for (const sequence of sequences(2)) {
    const { sizes } = attack(['receiver'], sequence);
    if (sizes.length > 0) t.fail(`${sequence.join(', ')}: ${sizes.length} datagrams`);
  }
  t.end();
});

const end = '00000000 0000 ffff';

t.test('the reply to an end packet is its header, a limited number of times', (t) => {
  const driven = new DrivenReceiver();
  driven.data('s', 0, 'ab');
  driven.takeSent();
  const large = `${end} ${'ee'.repeat(30_000)}`;
  for (let i = 0; i < 100; i++) driven.receiveHex('s', large);
  t.same(driven.takeSentHex(), Array(16).fill(end.replaceAll(' ', '')));
  driven.receiveHex('x', large);
  t.same(driven.takeSent(), [], 'no reply without a transfer');
  t.end();
});

t.test('the next transfer from the same address can end normally', (t) => {
  const driven = new DrivenReceiver();
  for (const text of ['ab', 'cd']) {
    driven.data('s', 0, text);
    driven.takeSent();
    for (let i = 0; i < 100; i++) driven.receiveHex('s', end);
    t.equal(driven.takeSent().length, 16);
  }
  t.end();
});

t.test(
  'data from an address that sent ACKs is dropped and counted, until the address expires',
  (t) => {
    const driven = new DrivenReceiver();
    driven.receive('r', encodeAck(0));
    driven.data('r', 0, 'ab');
    driven.receiveHex('r', end);
    t.same(driven.takeSent(), []);
    driven.data('s', 0, 'ab');
    driven.end('s', 1);
    t.match(driven.results, [
      { from: 's:5000', status: 'complete', faults: { 'wrong-direction': 1, 'from-receiver': 2 } },
    ]);
    driven.takeSent();
    driven.passTo(60_000);
    driven.data('r', 0, 'ab');
    t.same(driven.takeSent(), ['r ack 0'], 'another program may use the port by then');
    t.end();
  },
);

t.test('an ACK from the sender of a transfer fails the transfer', (t) => {
  const driven = new DrivenReceiver();
  driven.data('r', 0, 'ab');
  driven.takeSent();
  driven.receive('r', encodeAck(0));
  driven.data('r', 1, 'cd');
  t.same(driven.takeSent(), []);
  t.match(driven.results, [{ status: 'failed', reason: /another host forges it/ }]);
  t.same(driven.takeEventTypes(), ['open', 'write', 'discard', 'done']);
  t.end();
});

t.test('ACKs from a thousand addresses use bounded memory', (t) => {
  const driven = new DrivenReceiver();
  for (let i = 0; i < 1000; i++) driven.receive(`r${i}`, encodeAck(0));
  driven.data('r999', 0, 'ab');
  t.same(driven.takeSent(), [], 'recent addresses are remembered');
  driven.data('r0', 0, 'ab');
  t.same(driven.takeSent(), ['r0 ack 0'], 'the oldest addresses are forgotten');
  t.end();
});
