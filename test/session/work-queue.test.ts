/** Long work of sessions at a receiver: done in steps, while everything else continues. */
import t from 'tap';
import type { Entry } from '../../src/object/manifest.js';
import { createManifest, encodeManifest, manifestStep } from '../../src/object/manifest.js';
import { SessionReceiver } from '../../src/session/receiver.js';
import type { SessionReceiverEvent } from '../../src/session/receiver-events.js';
import { createSimulatedCrypto } from '../../src/simulator/session-crypto.js';
import type { Message } from '../../src/wire/messages.js';
import { Caller } from '../support/caller.js';
import { SessionWire } from '../support/session-wire.js';

// Everything must fit one datagram.
const stepCount = 3;
const entryCount = stepCount * manifestStep.entryCount;

const createReceiver = (maxEntries = Infinity) =>
  new SessionReceiver({
    crypto: createSimulatedCrypto('checks', 'receiver'),
    name: 'receiver',
    platform: 'posix',
    refuseSender: () => undefined,
    blockSizeBytes: 1000,
    maxEntries,
  });

const emptyFiles = (count: number): Entry[] =>
  Array.from({ length: count }, (_, i) => {
    return { kind: 'file', name: `${100_000 + i}`, mode: 0o644, modifiedMs: 0, sizeBytes: 0 };
  });

const sizeOf = (entry: Entry) => (entry.kind === 'file' ? entry.sizeBytes : 0);

/** @returns the receiver's answer to an offer that contains the whole manifest */
function offer(caller: Caller, entries: readonly Entry[]): (Message | undefined)[] {
  const manifest = encodeManifest(createManifest(entries));
  return caller.sendMessage({
    kind: 'offer',
    session: caller.session,
    label: `object ${caller.session}`,
    mssBytes: 1016,
    manifestSizeBytes: manifest.length,
    contentSizeBytes: entries.reduce((sum, entry) => sum + sizeOf(entry), 0),
    manifestDigest: caller.crypto.hash(manifest),
    manifest,
    groupKey: new Uint8Array(32).fill(1),
    reportIntervalMs: 1,
    existing: 'update',
    deletion: 'none',
    listedAtMs: 0,
  });
}

/** One file in blocks of 1,000 bytes. */
function offerFile(caller: Caller, blockCount: number): void {
  const contentSizeBytes = 1000 * blockCount;
  const file = { kind: 'file', name: 'f', mode: 0o644, modifiedMs: 0 } as const;
  offer(caller, [{ ...file, sizeBytes: contentSizeBytes }]);
}

function eventsOf(machine: SessionReceiver): SessionReceiverEvent[] {
  const events: SessionReceiverEvent[] = [];
  for (let event = machine.pollEvent(); event !== undefined; event = machine.pollEvent()) {
    events.push(event);
  }
  return events;
}

const poll: Message = {
  kind: 'poll',
  burst: undefined,
  hasTags: false,
  leavesGroup: false,
  reportGapMs: 0,
};

/** The sessions of the next `prepare` events, timeout by timeout, until no step is due. */
function stepAll(machine: SessionReceiver): number[][] {
  const prepared: number[][] = [];
  while (machine.pollTimeout() === 0) {
    machine.handleTimeout(0);
    prepared.push(
      eventsOf(machine).flatMap((event) => (event.type === 'prepare' ? event.info.session : [])),
    );
  }
  return prepared;
}

t.test('a short manifest is checked at once', (t) => {
  const machine = createReceiver();
  offer(new Caller(machine, 1), emptyFiles(10));
  t.ok(eventsOf(machine).some(({ type }) => type === 'prepare'));
  t.end();
});

t.test('a long manifest is checked in steps, and the receiver notifies its sender', (t) => {
  const machine = createReceiver();
  const caller = new Caller(machine, 1);
  t.match(offer(caller, emptyFiles(entryCount)), [{ kind: 'accept' }]);
  t.notOk(eventsOf(machine).some(({ type }) => type === 'prepare'));
  t.match(caller.sendMessage(poll), [{ kind: 'report', report: { state: 'preparing' } }]);
  machine.handleTimeout(0);
  t.match(machine.statuses(0), [{ activity: 'checking' }]);
  t.match(caller.sendMessage(poll), [{ kind: 'report', report: { state: 'preparing' } }]);
  t.same(stepAll(machine), [[], [1]], 'two more steps');
  machine.find(1)?.prepared(0, [], []);
  t.match(caller.sendMessage(poll), [{ kind: 'report', report: { state: 'whole' } }]);
  t.end();
});

t.test('each timeout does one step, for the sessions in turn', (t) => {
  const machine = createReceiver();
  for (const session of [1, 2, 3]) {
    // A receiver limits the rate of handshakes.
    offer(new Caller(machine, session, 0), emptyFiles(entryCount - session));
  }
  eventsOf(machine);
  const short = new Caller(machine, 4);
  machine.handleTimeout(0);
  offer(short, emptyFiles(1));
  t.match(eventsOf(machine), [{ type: 'offer' }, { type: 'prepare', info: { session: 4 } }]);
  const prepared = stepAll(machine);
  t.equal(prepared.length, 3 * stepCount - 1);
  t.same(prepared.slice(-3), [[1], [2], [3]]);
  t.end();
});

t.test('a session that ends between two steps ends its check', (t) => {
  const ends: Record<string, (caller: Caller, machine: SessionReceiver) => void> = {
    'the sender stops': (caller) => caller.sendMessage({ kind: 'bye', reason: '', isFinal: true }),
    'the receiver stops': (_, machine) => machine.abort(0, 'stopped'),
    'the receiver is replaced': (_, machine) => machine.leave(0, 'put aside'),
  };
  for (const [name, end] of Object.entries(ends)) {
    const machine = createReceiver();
    const caller = new Caller(machine, 1);
    offer(caller, emptyFiles(entryCount));
    machine.handleTimeout(0);
    end(caller, machine);
    t.match(
      eventsOf(machine).filter(({ type }) => type === 'end'),
      [{ result: { status: 'failed' } }],
      name,
    );
    t.same(stepAll(machine), [[]], `${name}: nothing is left to check`);
    t.equal(machine.result().internalErrors, 0);
  }
  t.end();
});

t.test('a manifest with too many entries is refused before any is read', (t) => {
  const machine = createReceiver(entryCount - 1);
  offer(new Caller(machine, 1), emptyFiles(entryCount));
  machine.handleTimeout(0);
  t.match(eventsOf(machine), [
    { type: 'offer' },
    { type: 'fault' },
    { type: 'end', result: { status: 'refused', reason: /^3000 files, .* limit of 2999$/ } },
  ]);
  t.end();
});

t.test('a long list of blocks already on disk is handled in steps', (t) => {
  const machine = createReceiver();
  const caller = new Caller(machine, 1);
  const blockCount = 5000;
  offerFile(caller, blockCount);
  // All but one.
  const held = Array.from({ length: blockCount - 1 }, (_, index) => {
    return { index, leaf: new Uint8Array(32).fill(index) };
  });
  machine.find(1)?.prepared(0, held, []);
  let stepCount = 1;
  for (; machine.find(1)?.hasSteps === true; stepCount++) {
    t.match(caller.sendMessage(poll), [{ kind: 'report', report: { state: 'preparing' } }]);
    machine.handleTimeout(0);
  }
  t.equal(stepCount, 5);
  t.match(caller.sendMessage(poll), [
    { kind: 'report', report: { state: 'receiving', missingBytes: 1000 } },
  ]);
  t.end();
});

t.test('a sender waits while a long manifest is checked, and delivers', (t) => {
  const wire = new SessionWire({ fileCount: entryCount, sizeBytes: 8000, receiverCount: 2 }).run();
  t.match(wire.outcomes, [{ status: 'complete' }, { status: 'complete' }]);
  t.ok(wire.receivers.every(({ isIdentical }) => isIdentical));
  t.end();
});
