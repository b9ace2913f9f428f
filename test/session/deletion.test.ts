/** Sessions that delete: lists, answers and completions that are lost, repeated and reordered. */
import t, { type Test } from 'tap';
import { simulateSession } from '../../src/simulator/session-transfer.js';
import type {
  SimulatedReceiverOptions,
  SimulatedSessionOptions,
} from '../../src/simulator/session-transfer-options.js';
import type { Extra } from '../../src/wire/lists.js';

t.jobs = 4;

/** 10 blocks of 2,000 bytes. */
const content = { mssBytes: 504, blockSizeBytes: 2000, contentSizeBytes: 20_000 };

const bad = {
  delayMs: 5,
  jitterMs: 10,
  loss: { model: 'bernoulli', probability: 0.25 },
  duplicateProbability: 0.25,
  reorderProbability: 0.2,
  reorderDelayMs: 150,
} as const;

/** A folder with files, and files beside it, in the order of deletion. */
function listOf(folder: string, count: number): Extra[] {
  const files = Array.from({ length: count }, (_, i) => `${folder}/in/${i}`);
  return [
    ...files.map((name) => ({ name, isFolder: false })),
    { name: `${folder}/in`, isFolder: true },
    ...files.map((name) => ({ name: name.replace('/in/', '/'), isFolder: false })),
  ];
}

const namesOf = (extras: readonly Extra[]) => extras.map(({ name }) => name);

/** Three receivers with lists of several parts, a single part, and nothing. */
const receivers: readonly SimulatedReceiverOptions[] = [
  { extras: listOf('a', 400) },
  { extras: listOf('b', 3) },
  {},
];

function run(options: Partial<SimulatedSessionOptions> & { readonly seed: string }) {
  return simulateSession({
    ...{ ...content, receiverCount: 3, receivers, deletion: 'delete', watchesNonces: true },
    ...options,
  });
}

function checkExact(t: Test, result: ReturnType<typeof run>, expected: readonly Extra[][]): void {
  for (const [i, { isIdentical, deletedNames }] of result.receivers.entries()) {
    t.ok(isIdentical);
    t.strictSame(deletedNames, namesOf(expected[i] ?? []), 'exactly its own list, once, in order');
  }
  const outcomes = result.settled.map(({ outcome }) => outcome);
  for (const { status, receiver, deletedEntries, deletedNames = [] } of outcomes) {
    const names = (expected[Number(receiver.slice(1)) - 1] ?? []).map(({ name, isFolder }) =>
      isFolder ? `${name}/` : name,
    );
    t.equal(status, 'complete');
    t.equal(deletedEntries, names.length);
    t.strictSame(deletedNames, names, 'the sender knows what was deleted');
  }
  t.equal(result.nonceReuses, 0);
}

t.test('each receiver deletes exactly its list, on a bad network', (t) => {
  const all = receivers.map(({ extras = [] }) => [...extras]);
  for (let seed = 0; seed < 20; seed++) {
    const result = run({ seed: `bad ${seed}`, forwardLink: bad, backwardLink: bad });
    checkExact(t, result, all);
  }
  t.end();
});

t.test('what the sender spares stays, and so do the folders around it', (t) => {
  const isSpared = (name: string) => name.endsWith('/7') || name.endsWith('/in/399');
  const expected = [
    listOf('a', 400).filter(({ name }) => !isSpared(name) && name !== 'a/in'),
    listOf('b', 3),
  ];
  for (let seed = 0; seed < 20; seed++) {
    const links = { forwardLink: bad, backwardLink: bad };
    checkExact(t, run({ seed: `spared ${seed}`, ...links, isSpared }), expected);
  }
  t.end();
});

t.test('a receiver that restarts, and one that loses its connection, delete what is left', (t) => {
  const isSpared = (name: string) => name.endsWith('/1');
  for (let seed = 0; seed < 20; seed++) {
    const result = run({
      seed: `restarts ${seed}`,
      ...{ forwardLink: bad, backwardLink: bad, isSpared, storeTimeMs: 40 },
      incidents: [
        { atMs: 30 * seed, host: 0, fault: 'disconnect' },
        { atMs: 30 * seed + 2500, host: 0, fault: 'reconnect' },
        { atMs: 25 * seed, host: 1, fault: 'kill' },
        { atMs: 25 * seed + 300, host: 1, fault: 'start' },
      ],
    });
    for (const [i, folder] of ['a', 'b'].entries()) {
      const most = listOf(folder, i === 0 ? 400 : 3);
      const spared = most.filter(({ name }) => isSpared(name) || name === `${folder}/in`);
      const expected = most.filter((extra) => !spared.includes(extra));
      const deleted = result.receivers[i]?.deletedNames ?? [];
      t.strictSame(deleted, namesOf(expected), `seed ${seed}, ${folder}: no name twice`);
    }
    t.ok(result.settled.every(({ outcome }) => outcome.status === 'complete'));
  }
  t.end();
});

t.test('a session that does not complete deletes nothing', (t) => {
  for (let seed = 0; seed < 20; seed++) {
    // The sender dies before the receivers have all of the content.
    const result = run({
      seed: `dies ${seed}`,
      ...{ forwardLink: bad, backwardLink: bad, rateBytesPerSec: 5000 },
      incidents: [{ atMs: 100 * (seed + 1), host: 'sender', fault: 'kill' }],
    });
    for (const { results, deletedNames } of result.receivers) {
      t.notOk(results.some(({ status }) => status === 'complete'));
      t.strictSame(deletedNames, []);
    }
  }
  t.end();
});

t.test('a list that is only asked for: nothing is sent, stored or deleted', (t) => {
  const isSpared = (name: string) => name === 'b/in/0';
  for (let seed = 0; seed < 10; seed++) {
    const result = run({
      ...{ seed: `asks ${seed}`, forwardLink: bad, backwardLink: bad, isSpared },
      deletion: 'list',
    });
    t.equal(result.sender[0]?.datagramsSent, 0);
    for (const { results, deletedNames } of result.receivers) {
      t.strictSame(deletedNames, []);
      t.strictSame([...new Set(results.map(({ status }) => status))], ['listed']);
    }
    const counts = Object.fromEntries(
      result.settled.map(({ outcome }) => [outcome.receiver, outcome.deletedEntries]),
    );
    t.strictSame(counts, { r1: 801, r2: 5, r3: 0 });
  }
  t.end();
});

t.test('a receiver that allows no deletion refuses, and deletes nothing', (t) => {
  for (const deletion of ['delete', 'list'] as const) {
    const result = run({
      ...{ seed: 'refuses', deletion, receivers: [{ extras: listOf('a', 3) }] },
      ...{ receiverCount: 1, allowsDeletion: false },
    });
    t.match(result.settled, [
      { outcome: { status: 'refused', reason: /allows this sender no deletion/ } },
    ]);
    t.strictSame(result.receivers[0]?.deletedNames, []);
  }
  t.end();
});

t.test('a sender that does not delete: receivers list nothing', (t) => {
  const result = run({ seed: 'none', deletion: 'none' });
  t.ok(result.receivers.every(({ isIdentical }) => isIdentical));
  t.ok(result.receivers.every(({ deletedNames }) => deletedNames.length === 0));
  t.end();
});
