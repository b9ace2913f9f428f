/**
 * Datagrams that a system delivers coalesced: a receiver treats them as it treats each one alone.
 */
import { createHash } from 'node:crypto';
import * as fc from 'fast-check';
import t, { type Test } from 'tap';
import { datagramsOf } from '../../src/base/machine.js';
import { readUint32 } from '../../src/base/network-order.js';
import { createRandom } from '../../src/base/random.js';
import { Endpoint } from '../../src/endpoint/endpoint.js';
import { createManifest, encodeManifest } from '../../src/object/manifest.js';
import { SessionOutput } from '../../src/session/incoming/session-output.js';
import { ObjectStage } from '../../src/session/incoming/stages/object-stage.js';
import { SessionReceiver } from '../../src/session/receiver.js';
import { SessionSender } from '../../src/session/sender.js';
import type { SessionSenderOptions } from '../../src/session/sender-options.js';
import { createSimulatedCrypto } from '../../src/simulator/session-crypto.js';
import { createContent } from '../../src/simulator/transfer.js';
import {
  encodeChannelPacket,
  isBlockDatagram,
  sessionKind,
  writeBlockHeader,
} from '../../src/wire/header.js';
import type { Message } from '../../src/wire/messages.js';
import { objectOf } from '../support/incoming-stages.js';

/** All senders share an address, as behind NAT; a system coalesces datagrams from one address. */
const senderAddress = { host: '192.0.2.1', port: 4000 };
const receiverAddress = { host: '192.0.2.2', port: 7735 };
/** Nothing that is sent there arrives. */
const silentAddress = { host: '192.0.2.3', port: 7735 };
const groupAddress = { host: '239.128.0.1', port: 7735 };

/** Pieces that reached a receiver, or a timeout. */
interface Input {
  readonly atMs: number;
  readonly pieces?: readonly Uint8Array[];
}

/**
 * Figures that may differ: if damage makes a datagram look like the last one of its burst, a report between the
 * datagrams of a piece counts those as lost that follow.
 */
const uncounted = { datagramsLost: undefined, lossRatio: undefined };

/** Six segments of 64 bytes. */
const smallBlockSizeBytes = 6 * 64 - 16;

/** A receiver whose disk completes everything at once. */
class Target {
  readonly machine: SessionReceiver;
  private readonly endpoint: Endpoint;
  /** The events of each session, one line each. */
  readonly events = new Map<number, string[]>();
  /** The blocks of each session, by their offset. */
  readonly stored = new Map<number, Map<number, Uint8Array>>();
  nowMs = 0;

  constructor({ blockSizeBytes = smallBlockSizeBytes }: Pick<Setup, 'blockSizeBytes'> = {}) {
    this.machine = new SessionReceiver({
      crypto: createSimulatedCrypto('joined', 'receiver'),
      name: 'receiver',
      platform: 'posix',
      refuseSender: () => undefined,
      blockSizeBytes,
    });
    this.endpoint = new Endpoint({ receiver: this.machine });
  }

  /** @returns the datagrams that it answers with */
  take({ atMs, pieces }: Input): Uint8Array[] {
    const answers: Uint8Array[] = [];
    this.nowMs = atMs;
    if (pieces === undefined) this.machine.handleTimeout(atMs);
    for (const piece of pieces ?? []) {
      this.endpoint.handleDatagram(atMs, senderAddress, piece);
      answers.push(...this.drain());
    }
    answers.push(...this.drain());
    return answers;
  }

  contentOf(session: number): Buffer {
    const blocks = [...(this.stored.get(session) ?? [])].sort(([a], [b]) => a - b);
    return Buffer.concat(blocks.map(([, bytes]) => bytes));
  }

  private drain(): Uint8Array[] {
    const { machine } = this;
    for (let event = machine.pollEvent(); event !== undefined; event = machine.pollEvent()) {
      switch (event.type) {
        case 'prepare':
          this.note('prepare', event.info.session);
          machine.find(event.info.session)?.prepared(this.nowMs, [], []);
          break;
        case 'write': {
          const { session, offsetBytes, bytes } = event;
          const digest = createHash('sha256').update(bytes).digest('hex');
          this.note('write', session, `${bytes.length} at ${offsetBytes}: ${digest}`);
          const blocks = this.stored.get(session) ?? new Map<number, Uint8Array>();
          this.stored.set(session, blocks.set(offsetBytes, bytes));
          machine.handleWritten(this.nowMs, session, bytes.length);
          break;
        }
        case 'finish':
          this.note('finish', event.session);
          machine.find(event.session)?.handleStored(this.nowMs);
          break;
        case 'end':
          this.note('end', event.result.session, JSON.stringify(event.result));
          break;
        case 'join':
          this.note('join', event.session, event.group.host);
          break;
        case 'offer':
          this.note('offer', event.info.session);
      }
    }
    const answers: Uint8Array[] = [];
    for (let next = machine.pollTransmit(); next !== undefined; next = machine.pollTransmit()) {
      answers.push(...datagramsOf(next));
    }
    return answers;
  }

  private note(what: string, session: number, more = ''): void {
    const lines = this.events.get(session) ?? [];
    this.events.set(session, lines);
    lines.push(`${what} ${more}`);
  }
}

interface Setup extends Omit<Partial<SessionSenderOptions>, 'senderCount'> {
  readonly seed?: string;
  readonly senderCount?: number;
  readonly sizeBytes?: number;
  /** Turns datagrams that were sent together into the pieces that arrive. */
  readonly join?: (datagrams: readonly Uint8Array[]) => readonly Uint8Array[];
}

/** A run that takes more turns is stuck. */
const maxTurns = 20_000;

/** Runs complete sessions, all to one receiver. */
function runSessions(setup: Setup) {
  const { seed = 'a', senderCount = 1, sizeBytes = 3000, join = (all) => all, ...options } = setup;
  const target = new Target(options);
  const inputs: Input[] = [];
  const senders = Array.from({ length: senderCount }, (_, i) => {
    const content = createContent(`${seed} ${i}`, sizeBytes + 100 * i);
    const file = { kind: 'file', name: `file ${i}`, mode: 0o644, modifiedMs: 0 } as const;
    const machine = new SessionSender({
      mssBytes: 64,
      blockSizeBytes: smallBlockSizeBytes,
      ...options,
      // A group is probed only if it has more than one receiver.
      receivers: [
        { name: 'receiver', address: receiverAddress },
        ...(setup.group === undefined ? [] : [{ name: 'silent', address: silentAddress }]),
      ],
      label: `object ${i}`,
      manifest: encodeManifest(createManifest([{ ...file, sizeBytes: content.length }])),
      contentSizeBytes: content.length,
      crypto: createSimulatedCrypto(seed, `sender ${i}`),
    });
    return { machine, content, outcome: undefined as string | undefined };
  });
  let nowMs = 1;
  const give = (input: Input) => {
    inputs.push(input);
    for (const answer of target.take(input)) {
      const session = readUint32(answer, 0);
      const sender = senders.find(({ machine }) => machine.session === session);
      sender?.machine.handleDatagram(nowMs, receiverAddress, answer);
    }
  };
  for (let turn = 0; turn < maxTurns; turn++) {
    const sent = senders.map((sender) => takeFrom(sender, nowMs));
    const mixed = Array.from({ length: Math.max(...sent.map(({ length }) => length)) }, (_, i) =>
      sent.flatMap((datagrams) => datagrams.slice(i, i + 1)),
    ).flat();
    if (mixed.length > 0) {
      nowMs++;
      give({ atMs: nowMs, pieces: join(mixed) });
      continue;
    }
    const dueAtMs = Math.min(
      ...senders.map(({ machine }) => machine.pollTimeout() ?? Infinity),
      target.machine.pollTimeout() ?? Infinity,
    );
    if (dueAtMs === Infinity) break;
    nowMs = Math.max(nowMs, dueAtMs);
    for (const { machine } of senders) machine.handleTimeout(nowMs);
    give({ atMs: nowMs });
  }
  const isOver = senders.every(({ machine }) => machine.isDone) && target.machine.isIdle;
  return { target, inputs, senders, isOver };
}

/** Does what the sender asks for. @returns the datagrams that it sends */
function takeFrom(
  sender: { machine: SessionSender; content: Uint8Array; outcome: string | undefined },
  nowMs: number,
): Uint8Array[] {
  const { machine, content } = sender;
  const datagrams: Uint8Array[] = [];
  for (let isQuiet = false; !isQuiet; ) {
    isQuiet = true;
    for (let next = machine.pollTransmit(nowMs); next; next = machine.pollTransmit(nowMs)) {
      isQuiet = false;
      if (next.to.host === silentAddress.host) continue;
      for (const bytes of datagramsOf(next)) datagrams.push(bytes.slice());
    }
    for (let event = machine.pollEvent(); event !== undefined; event = machine.pollEvent()) {
      isQuiet = false;
      if (event.type === 'need') {
        const { block, offsetBytes, sizeBytes } = event;
        machine.provideBlock(nowMs, block, content.subarray(offsetBytes, offsetBytes + sizeBytes));
      }
      if (event.type === 'identify') machine.trust(nowMs, event.index);
      if (event.type === 'check-source') machine.confirmSource(nowMs);
      if (event.type === 'receiver' && event.outcome.receiver === 'receiver') {
        sender.outcome = event.outcome.status;
      }
    }
  }
  return datagrams;
}

/** Whether all content is stored in its place. */
function isWhole({ target, senders, isOver }: ReturnType<typeof runSessions>): boolean {
  return (
    isOver &&
    senders.every(
      ({ machine, content, outcome }) =>
        outcome === 'complete' && target.contentOf(machine.session).equals(content),
    )
  );
}

/** Cuts a list into runs of these lengths, used in turn. */
function groupsOf<T>(items: readonly T[], lengths: readonly number[]): T[][] {
  const groups: T[][] = [];
  for (let from = 0, i = 0; from < items.length; i++) {
    const length = lengths[i % lengths.length] ?? 1;
    groups.push(items.slice(from, from + length));
    from += length;
  }
  return groups;
}

function concat(...parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}

const joinBy =
  (lengths: readonly number[]) =>
  (datagrams: readonly Uint8Array[]): Uint8Array[] =>
    groupsOf(datagrams, lengths).map((group) => concat(...group));

const lengths = fc.array(fc.integer({ min: 1, max: 12 }), { minLength: 1, maxLength: 8 });

/** Drops some of the datagrams that are sent, and changes a byte of others. */
function harmBy(numbers: readonly number[]) {
  let count = 0;
  return (datagrams: readonly Uint8Array[]) =>
    datagrams.flatMap((bytes) => {
      const number = numbers[count++ % numbers.length] as number;
      if (number === 0) return [];
      if (number !== 1) return [bytes];
      const changed = bytes.slice();
      changed[changed.length - 1] = (changed[changed.length - 1] as number) ^ 0x40;
      return [changed];
    });
}

const setups: Readonly<Record<string, Setup>> = {
  'one session': {},
  'a session with a group': { group: groupAddress },
  'two concurrent sessions': { senderCount: 2 },
  'a session with a manifest in blocks': { mssBytes: 65, blockSizeBytes: 65 - 16 },
  'a session in large blocks': { mssBytes: 64, blockSizeBytes: 64 * 64 - 16, sizeBytes: 20_000 },
  'a session without content': { sizeBytes: 0 },
};

// --- Coalesced or not, the result is the same

/** What the receiver reports about all its sessions at the end. */
function describeTarget(t: Test, target: Target): string[] {
  const messages: string[] = [];
  const sendMessage = t.intercept(SessionOutput.prototype, 'send', {
    value: (message: Message) => {
      messages.push(JSON.stringify(message));
    },
  });
  for (const { session } of target.machine.statuses(target.nowMs)) {
    const stage = target.machine.find(session)?.['stage'];
    if (stage instanceof ObjectStage) stage.report(target.nowMs);
  }
  sendMessage.restore();
  const { faults, ...counts } = target.machine.result();
  return [
    JSON.stringify(
      target.machine.statuses(target.nowMs).map((each) => ({ ...each, ...uncounted })),
    ),
    JSON.stringify([Object.entries(faults).sort(), counts]),
    `${target.machine.bufferedBytes} bytes buffered`,
    ...messages,
  ];
}

for (const [what, setup] of Object.entries(setups)) {
  for (const isHarmed of [false, true]) {
    t.test(`${what}${isHarmed ? ', with damage' : ''}: the same coalesced as one by one`, (t) => {
      const numbers = Array.from({ length: 37 }, (_, i) => (i === 11 ? 1 : i % 9 === 4 ? 0 : 2));
      const join = isHarmed ? harmBy(numbers) : (all: readonly Uint8Array[]) => all;
      const run = runSessions({ ...setup, join });
      t.ok(isWhole(run), 'the recorded session completes');
      const { inputs } = run;
      const count = inputs.reduce((sum, { pieces }) => sum + (pieces?.length ?? 0), 0);
      t.ok(count > 5, `${count} datagrams`);
      const property = fc.property(fc.nat(inputs.length), lengths, (end, lengths) => {
        const [single, joined] = [new Target(setup), new Target(setup)];
        for (const input of inputs.slice(0, end)) {
          single.take(input);
          const { pieces } = input;
          joined.take(pieces === undefined ? input : { ...input, pieces: joinBy(lengths)(pieces) });
        }
        const [one, other] = [single, joined].map((target) => {
          return [...target.events, ...describeTarget(t, target)].flat().join('\n');
        });
        if (one !== other) throw new Error(`joined:\n${other}\none by one:\n${one}`);
      });
      fc.assert(property, { seed: 1, numRuns: 40 });
      t.end();
    });
  }
}

// --- Whole sessions

t.test('sessions complete however their datagrams are coalesced', (t) => {
  const numbers = fc.array(fc.nat(15), { minLength: 20, maxLength: 60 });
  const property = fc.property(
    fc.constantFrom(...Object.values(setups)),
    fc.nat(1000),
    lengths,
    fc.option(numbers),
    (setup, seed, lengths, numbers) => {
      const harm = numbers === null ? (all: readonly Uint8Array[]) => all : harmBy(numbers);
      const join = (all: readonly Uint8Array[]) => joinBy(lengths)(harm(all));
      const run = runSessions({ ...setup, seed: `${seed}`, join });
      const { faults } = run.target.machine.result();
      return isWhole(run) && (numbers !== null || Object.keys(faults).length === 0);
    },
  );
  fc.assert(property, { seed: 1, numRuns: 150 });
  t.end();
});

t.test('truncated, padded or corrupted pieces cost no more than repairs', (t) => {
  for (let number = 0; number < 200; number++) {
    const random = createRandom('harmed pieces', `${number}`);
    const below = (limit: number) => Math.floor(random() * limit);
    const share = random() * 0.3;
    const harm = (piece: Uint8Array): Uint8Array => {
      if (random() >= share) return piece;
      const garbage = new Uint8Array(1 + below(100)).map(() => below(256));
      if (garbage.length >= 8 && random() < 0.7) garbage.set([below(10), 1, 0x50, 0x32], 4);
      const from = below(piece.length);
      const [head, tail] = [piece.subarray(0, from), piece.subarray(from)];
      switch (below(4)) {
        case 0:
          return head;
        case 1:
          return concat(piece, garbage);
        case 2:
          return concat(garbage, piece);
        default:
          return concat(head, garbage, tail);
      }
    };
    const lengths = Array.from({ length: 1 + below(8) }, () => 1 + below(12));
    const join = (all: readonly Uint8Array[]) => joinBy(lengths)(all).map(harm);
    const all = Object.values(setups);
    const run = runSessions({ ...all[number % all.length], seed: `${number}`, join });
    if (!isWhole(run))
      t.fail(`run ${number}`, {
        events: [...run.target.events].map(([, lines]) => lines.slice(-3)),
      });
  }
  t.end();
});

// --- One piece

/** Runs a session up to its first data. Returns that data as it was sent together. */
function openSession(setup: Setup = {}) {
  const { inputs, senders } = runSessions(setup);
  const { manifestBlockCount = 0 } = senders[0]?.machine.geometry ?? {};
  const isContent = (bytes: Uint8Array) =>
    isData(bytes) && readUint32(bytes, 8) >= manifestBlockCount;
  const first = inputs.findIndex(({ pieces }) => pieces?.some(isContent));
  const target = new Target(setup);
  for (const input of inputs.slice(0, first)) target.take(input);
  // A report may follow at once.
  const atMs = (inputs[first] as Input).atMs + 10;
  // The first bursts are small, and none may be received twice.
  const sent = inputs
    .slice(first, first + 20)
    .flatMap(({ pieces = [] }) => pieces.filter(isContent));
  const placeOf = (bytes: Uint8Array) => bytes.subarray(8, 13).join();
  const data = [...new Map(sent.map((bytes) => [placeOf(bytes), bytes])).values()];
  const countsOf = () =>
    target.machine.statuses(atMs).map(({ datagramsReceived }) => datagramsReceived);
  const before = countsOf();
  const receivedIn = () => countsOf().map((count, i) => count - (before[i] ?? 0));
  const take = (...parts: Uint8Array[]) => {
    const faultsBefore = target.machine.result().faults;
    const answers = target.take({ atMs, pieces: [concat(...parts)] });
    const { faults } = target.machine.result();
    const grown = Object.entries(faults).map(([kind, count]) => {
      return [kind, count - (faultsBefore[kind as keyof typeof faultsBefore] ?? 0)] as const;
    });
    return { answers, faults: Object.fromEntries(grown.filter(([, count]) => count > 0)) };
  };
  return { data, take, receivedIn, senders, target };
}

const isData = (bytes: Uint8Array) => isBlockDatagram(bytes, 0);

t.test('a truncated datagram after good ones spoils none of them', (t) => {
  for (let count = 0; count < 4; count++) {
    const last = openSession().data[count] as Uint8Array;
    for (let size = 1; size < last.length; size++) {
      const { data, take, receivedIn } = openSession();
      const { faults } = take(...data.slice(0, count), last.subarray(0, size));
      const kind = size <= 16 ? 'too-short' : 'forged-data';
      t.same([receivedIn(), faults], [[count], { [kind]: 1 }], `${count} and ${size} bytes`);
    }
  }
  t.end();
});

t.test('garbage after good data is counted, and the data is accepted', (t) => {
  const typed = new Uint8Array(40);
  typed.set([0x50, 0x32, 0, 0, 0, 24], 6);
  for (const [garbage, kind] of [
    [new Uint8Array(1), 'too-short'],
    [new Uint8Array(15), 'too-short'],
    [new Uint8Array(100), 'unknown-type'],
    [typed, 'unknown-kind'],
    [encodeChannelPacket('reply', 5, 0, 0, new Uint8Array(96)), 'wrong-direction'],
    [encodeChannelPacket('control', 5, 0, 0, new Uint8Array(30)), 'no-session'],
  ] as const) {
    const { data, take, receivedIn } = openSession();
    const { faults } = take(...data.slice(0, 3), garbage);
    t.same([receivedIn(), faults], [[3], { [kind]: 1 }]);
  }
  t.end();
});

t.test('data of another session in the middle makes the rest of the piece unreadable', (t) => {
  const { data, take, receivedIn } = openSession();
  const stranger = (data[0] as Uint8Array).slice();
  stranger[0] = (stranger[0] as number) ^ 1;
  const [one, two, three] = data as [Uint8Array, Uint8Array, Uint8Array];
  t.same(take(one, stranger, two, three).faults, { 'no-session': 1 });
  t.same(receivedIn(), [1], 'its end is unknown');
  t.same(take(two, three).faults, {});
  t.same(receivedIn(), [3], 'the rest counts as lost');
  t.same(take(stranger, stranger).faults, { 'no-session': 1 });
  t.end();
});

t.test('an out-of-range segment makes the rest of the piece unreadable', (t) => {
  const { data, take, receivedIn, senders } = openSession();
  const parity = new Uint8Array(80);
  const session = senders[0]?.machine.session as number;
  const fields = { session, generation: 1, block: 1, segment: 64, flags: 0, burst: 0 };
  writeBlockHeader(parity, 0, false, fields);
  const [one, two] = data as [Uint8Array, Uint8Array];
  t.same(take(one, parity, two).faults, { 'forged-data': 1 });
  t.same(receivedIn(), [1]);
  t.end();
});

t.test('a probe is handled at any place in a piece', (t) => {
  const setup = { group: groupAddress };
  const { inputs } = runSessions(setup);
  const isProbe = (bytes: Uint8Array) => bytes[4] === sessionKind.probe;
  const probe = inputs.flatMap(({ pieces = [] }) => pieces).find(isProbe) as Uint8Array;
  const bad = probe.map((byte, i) => (i === 31 ? byte ^ 1 : byte));
  const count = (parts: readonly Uint8Array[]) => parts.filter(isData).length;
  const { data } = openSession(setup);
  const [one, two] = data as [Uint8Array, Uint8Array];
  for (const parts of [
    [probe, one, two],
    [one, probe, two],
    [one, two, probe],
    [probe, probe, one],
  ]) {
    // As if no probe had arrived before.
    const { take, receivedIn, target, senders } = openSession(setup);
    const session = target.machine.find(senders[0]?.machine.session as number);
    const blocks = objectOf(session)?.blocks;
    if (blocks !== undefined) blocks['isMulticastReachable'] = false;
    t.same(take(...parts).faults, {});
    t.equal(blocks?.['isMulticastReachable'], true);
    t.same(receivedIn(), [count(parts)]);
  }
  const { take, receivedIn } = openSession(setup);
  t.same(take(one, bad, two).faults, { forged: 1 });
  t.same(receivedIn(), [2]);
  t.end();
});

t.test('each of several coalesced hellos is answered, without amplification', (t) => {
  const hello = encodeChannelPacket('hello', 7, 0, 9, new Uint8Array(48));
  const short = encodeChannelPacket('hello', 7, 0, 9, new Uint8Array(20));
  for (const [parts, count] of [
    [[hello], 1],
    [[hello, hello, hello], 3],
    [[short, hello, short], 1],
    [[hello, new Uint8Array(500)], 1],
    [[new Uint8Array(16), hello], 0],
  ] as const) {
    const answers = new Target().take({ atMs: 1, pieces: [concat(...parts)] });
    t.equal(answers.length, count);
    t.ok(concat(...answers).length <= concat(...parts).length);
  }
  t.end();
});

t.test('an empty piece is too short', (t) => {
  const { take } = openSession();
  t.same(take(new Uint8Array(0)), { answers: [], faults: { 'too-short': 1 } });
  t.end();
});

t.test('bursts that arrive in one piece are reported once', (t) => {
  const { data, take } = openSession({ mssBytes: 200, blockSizeBytes: 200 - 16 });
  t.ok(data.length > 3, `${data.length} bursts`);
  t.equal(take(...data).answers.length, 1);
  t.end();
});
