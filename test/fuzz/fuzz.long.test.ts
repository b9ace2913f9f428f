/**
 * Hostile bytes for every parser and state machine, within a budget; `npm run fuzz` runs for hours
 * (see CONTRIBUTING). A failure prints the command that replays it.
 */
import * as fc from 'fast-check';
import t, { type Test } from 'tap';
import type { Failure } from './fuzzing.js';
import { Fuzzing, replayCommand } from './fuzzing.js';
import { tapeOf } from './tape.js';
import type { Target } from './targets.js';
import { runInput, targetOf, targets } from './targets.js';

const seed = 1;

/** Per target: tapes of the seed, one in 400 of them long, and tapes drawn by fast-check. */
const budget: Readonly<Record<string, readonly [seeded: number, drawn: number]>> = {
  'session-receiver': [1000, 100],
  'session-sender': [1500, 100],
  'ask-listener': [400, 50],
  asker: [300, 30],
  'classic-receiver': [400, 100],
  'classic-sender': [400, 100],
  'session-transfer': [100, 10],
  'classic-transfer': [100, 20],
  handshake: [150, 20],
  plan: [300, 50],
  journal: [150, 20],
  'authorized-keys': [100, 20],
  'known-receivers': [100, 20],
  'private-key': [100, 20],
};
const otherwise = [200, 50] as const;

/** Events that must occur at some time in a machine; otherwise the fuzzer reached too little. */
const expected: Readonly<Record<string, readonly string[]>> = {
  'session-receiver': [
    'complete',
    'failed',
    'refused',
    'too-short',
    'unknown-kind',
    'bad-cookie',
    'bad-handshake',
    'other-version',
    'no-session',
    'no-room',
    'untrusted',
    'forged',
    'replayed',
    'bad-message',
    'forged-data',
    'duplicate',
    'bad-object',
    'bad-block',
    'wrong-direction',
  ],
  'session-sender': [
    'complete',
    'failed',
    'refused',
    'reports',
    'no-session',
    'stranger',
    'bad-handshake',
    'other-version',
    'forged',
    'replayed',
    'bad-message',
  ],
  'ask-listener': [
    'ask',
    'list',
    'question',
    'complete',
    'failed',
    'untrusted',
    'no-room',
    'forged',
    'replayed',
    'bad-message',
    'bad-handshake',
    'no-session',
  ],
  asker: ['answered', 'ended', 'refused', 'failed', 'page', 'deferred', 'silent', 'bad-message'],
  envelope: ['answer', 'envelope', 'refused'],
  'classic-receiver': ['complete', 'failed', 'aborted', 'busy', 'storage-busy', 'bad-checksum'],
  'classic-sender': ['complete', 'failed', 'stale-ack', 'next-number-ack', 'other-address'],
};

for (const target of targets) {
  t.test(`${target.name}: hostile input does no harm`, async (t) => {
    const [seeded, drawn] = budget[target.name] ?? otherwise;
    const fuzzing = new Fuzzing(target, seed);
    while (fuzzing.number < seeded) {
      const failure = await fuzzing.next();
      if (failure !== undefined) tellFailure(t, failure);
    }
    t.ok(fuzzing.datagrams >= seeded, `${fuzzing.datagrams} inputs on ${seeded} tapes`);
    const missing = (expected[target.name] ?? []).filter((what) => !fuzzing.seen.has(what));
    t.same(missing, [], 'everything that can happen happened');
    await draw(t, target, drawn);
  });
}

/** Tapes drawn by fast-check, which minimizes failures. */
async function draw(t: Test, target: Target, numRuns: number): Promise<void> {
  const property = fc.asyncProperty(
    fc.uint8Array({ maxLength: 600, size: 'max' }),
    async (tape) => {
      await runInput(target, tape);
    },
  );
  const { failed, counterexample, errorInstance } = await fc.check(property, { seed, numRuns });
  t.notOk(failed, 'tapes drawn by fast-check do not fail either');
  const [tape] = counterexample ?? [];
  if (tape === undefined) return;
  tellFailure(t, { target: target.name, number: -1, error: errorInstance as Error, tape });
}

function tellFailure(t: Test, failure: Failure): void {
  const { error } = failure;
  t.fail(`${error.message}; replay: ${replayCommand(failure)}`, { stack: error.stack ?? '' });
}

t.test('the same tape gives the same result, and another tape another one', async (t) => {
  for (const name of ['session-receiver', 'session-sender', 'classic-sender', 'session-transfer']) {
    const target = targetOf(name) as Target;
    const tapes = Array.from({ length: 10 }, (_, i) => tapeOf(seed, name, i));
    const first = await Promise.all(tapes.map((tape) => runInput(target, tape)));
    const second = await Promise.all(tapes.map((tape) => runInput(target, tape)));
    t.same(first, second, name);
    t.ok(new Set(first.map(({ digest }) => digest)).size > 5);
  }
});
