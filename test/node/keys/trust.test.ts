/** Trust in receivers at the first use: one question for all that are new, or an invitation instead. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { formatPublicKey } from '../../../src/node/keys/key-files.js';
import { KnownReceivers } from '../../../src/node/keys/known-receivers.js';
import { trustKnownReceivers, type UnknownReceiver } from '../../../src/node/keys/trust.js';
import type { TrustAnswer } from '../../../src/node/keys/trust-answer.js';

const keyOf = (n: number) => new Uint8Array(32).fill(n);
const nameOf = (n: number) => `lab${n}:7735`;

/** Answers questions with the receivers at even places, and records the questions. */
function createQuestions() {
  const asked: string[][] = [];
  const ask = async (receivers: readonly UnknownReceiver[]) => {
    asked.push(receivers.map(({ name }) => name));
    return receivers.map((_, i) => i % 2 === 0);
  };
  return { asked, ask };
}

t.test('one question covers all receivers that are new', async (t) => {
  const path = join(t.testdir(), 'known');
  const known = await KnownReceivers.load(path);
  await known.add(nameOf(2), keyOf(2));
  const { asked, ask } = createQuestions();
  const trust = trustKnownReceivers(known, ask, { receiverCount: 4 });
  const answers = await Promise.all([1, 2, 3, 4].map((n) => trust(nameOf(n), keyOf(n))));
  t.same(asked, [[nameOf(1), nameOf(3), nameOf(4)]]);
  t.same(
    answers.map((answer) => String(answer).replace(/SHA256:\S+/, 'K')),
    ['true', 'true', 'its key K was not accepted', 'true'],
  );
  const lines = readFileSync(path, 'utf8').trimEnd().split('\n').toSorted();
  t.same(
    lines,
    [1, 2, 4].map((n) => `${nameOf(n)} ${formatPublicKey(keyOf(n), '')}`),
  );
});

t.test('a receiver that answers during the question is part of the next one', async (t) => {
  const known = await KnownReceivers.load(join(t.testdir(), 'known'));
  const asked: string[][] = [];
  const late: (Promise<TrustAnswer> | TrustAnswer)[] = [];
  const trust = trustKnownReceivers(
    known,
    async (receivers) => {
      asked.push(receivers.map(({ name }) => name));
      if (asked.length === 1) late.push(...[2, 3].map((n) => trust(nameOf(n), keyOf(n))));
      return receivers.map(() => true);
    },
    { receiverCount: 1 },
  );
  t.equal(await trust(nameOf(1), keyOf(1)), true);
  t.same(await Promise.all(late), [true, true]);
  t.same(asked, [[nameOf(1)], [nameOf(2), nameOf(3)]]);
});

t.test('a host that connects again during the question is not asked about again', async (t) => {
  const known = await KnownReceivers.load(join(t.testdir(), 'known'));
  const { asked, ask } = createQuestions();
  const connect = () => [1, 2].map(async (n) => trust(nameOf(n), keyOf(n)));
  let again: Promise<unknown>[] = [];
  const trust = trustKnownReceivers(
    known,
    async (receivers) => {
      if (again.length === 0) again = connect();
      return ask(receivers);
    },
    { receiverCount: 2 },
  );
  const first = await Promise.all(connect());
  const isTrusted = (answers: readonly unknown[]) => answers.map((each) => each === true);
  t.same(isTrusted(first), [true, false]);
  t.same(isTrusted(await Promise.all(again)), [true, false]);
  t.equal(asked.length, 1);
});

t.test('without an answer from all receivers, the question is asked nevertheless', async (t) => {
  const known = await KnownReceivers.load(join(t.testdir(), 'known'));
  const { asked, ask } = createQuestions();
  const trust = trustKnownReceivers(known, ask, { receiverCount: 9 });
  t.equal(await trust(nameOf(1), keyOf(1)), true);
  t.same(asked, [[nameOf(1)]]);
});

t.test('a question that fails fails all decisions that wait for it', async (t) => {
  const known = await KnownReceivers.load(join(t.testdir(), 'known'));
  const ask = async () => Promise.reject(new Error('no terminal'));
  const trust = trustKnownReceivers(known, ask, { receiverCount: 2 });
  const results = await Promise.allSettled([1, 2].map(async (n) => trust(nameOf(n), keyOf(n))));
  t.same(
    results.map(({ status }) => status),
    ['rejected', 'rejected'],
  );
});

t.test('an invitation trusts the key that it names, and no other new key', async (t) => {
  const known = await KnownReceivers.load(join(t.testdir(), 'known'));
  await known.add(nameOf(1), keyOf(1));
  await known.add(nameOf(4), keyOf(9));
  const { asked, ask } = createQuestions();
  const secret = new Uint8Array(16);
  const invitations = [2, 4].map((n) => ({ inviterKey: keyOf(n), secret }));
  const trust = trustKnownReceivers(known, ask, { invitations });
  t.equal(await trust(nameOf(1), keyOf(1)), true, 'known before');
  t.equal(await trust(nameOf(2), keyOf(2)), true);
  t.equal(known.check(nameOf(2), keyOf(2)).status, 'known');
  t.match(String(await trust(nameOf(3), keyOf(3))), /is not that of any of the 2 invitations/);
  t.match(
    String(await trust(nameOf(4), keyOf(4))),
    /its key has changed/,
    'a changed key is never accepted',
  );
  t.same(asked, []);
});

t.test('a refusal names an invitation only where this host could use it', async (t) => {
  const known = await KnownReceivers.load(join(t.testdir(), 'known'));
  const trust = trustKnownReceivers(known, undefined);
  t.match(await trust(nameOf(1), keyOf(1)), /run "p2mp receive --invite" on that host and here/);
  const behind = String(await trust(`${nameOf(1)}/${nameOf(2)}`, keyOf(2)));
  t.match(behind, /is not known here; compare the key with .*then use --accept-new or add/);
  t.notMatch(behind, '--invite', 'the invitation of a receiver behind a relay is for the relay');
});

t.test('an invited relay answers for the receivers behind it', async (t) => {
  const known = await KnownReceivers.load(join(t.testdir(), 'known'));
  await known.add(`${nameOf(1)}/${nameOf(4)}`, keyOf(9));
  const invitations = [{ inviterKey: keyOf(1), secret: new Uint8Array(16) }];
  const trust = trustKnownReceivers(known, undefined, { invitations });
  t.match(
    String(await trust(`${nameOf(1)}/${nameOf(2)}`, keyOf(2))),
    /is not the key/,
    'before it is known',
  );
  t.equal(await trust(nameOf(1), keyOf(1)), true);
  t.equal(await trust(`${nameOf(1)}/${nameOf(2)}`, keyOf(2)), true);
  t.equal(await trust(`${nameOf(1)}/${nameOf(2)}/${nameOf(3)}`, keyOf(3)), true);
  t.match(String(await trust(`${nameOf(1)}/${nameOf(4)}`, keyOf(4))), /its key has changed/);
  t.match(String(await trust(nameOf(1), keyOf(4))), /its key has changed/, 'another host there');
  t.match(
    String(await trust(`${nameOf(2)}/${nameOf(5)}`, keyOf(5))),
    /is not the key/,
    'another relay',
  );
});
