/** Attacks on paths: addresses that are not proven, answers that are made up, and names instead of addresses. */
import t from 'tap';
import { Path } from '../../src/path/path.js';
import { IncomingPaths } from '../../src/session/incoming/incoming-paths.js';
import { KeptPath } from '../../src/session/outgoing/kept-path.js';
import { createSimulatedCrypto } from '../../src/simulator/session-crypto.js';
import { FeedbackScheduler } from '../../src/transfer/feedback-scheduler.js';
import { decodeMessage, encodeMessage } from '../../src/wire/messages.js';
import type { PathChallenge } from '../../src/wire/paths.js';
import { leastChallengeDatagramBytes, leastChallengeSizeBytes } from '../../src/wire/paths.js';

const address = { host: '192.0.2.1', port: 7735 };
const victim = { host: '203.0.113.9', port: 53 };
const crypto = createSimulatedCrypto('attack', 'paths');
const createKept = () => new KeptPath(new Path({ address }, 1400, 1), crypto);
const createSeen = () => new KeptPath(new Path({ address: victim }, 1400, 1), crypto, 'seen');
const challenge = (kept: KeptPath, nowMs: number) =>
  kept.challenge(nowMs, undefined) as PathChallenge;
const createPaths = () =>
  new IncomingPaths(
    (sizeBytes) => crypto.random(sizeBytes),
    (nowMs) => new FeedbackScheduler(nowMs, 1, 0),
    0,
  );

t.test('a made up answer opens no path', (t) => {
  const kept = createKept();
  challenge(kept, 0);
  const made = { kind: 'path-response', path: 1, token: new Uint8Array(8) } as const;
  t.equal(kept.handleResponse(1, { ...made, echo: new Uint8Array(8) }), undefined);
  t.equal(kept.handleResponse(1, { ...made, echo: new Uint8Array(0) }), undefined);
  t.equal(kept.state, 'new');
  t.end();
});

t.test('reports go to an address only after it has repeated its token', (t) => {
  const [kept, paths] = [createKept(), createPaths()];
  const first = paths.answer(0, address, challenge(kept, 0));
  t.equal(paths.find(1)?.address, undefined, 'one challenge proves nothing to the receiver');
  kept.handleResponse(1, first);
  paths.answer(2, address, challenge(kept, 2));
  t.same(paths.find(1)?.address, address);
  t.end();
});

t.test('a challenge that another address repeats moves no reports there', (t) => {
  const [kept, paths] = [createKept(), createPaths()];
  kept.handleResponse(1, paths.answer(0, address, challenge(kept, 0)));
  paths.answer(2, address, challenge(kept, 2));
  for (let i = 0; i < 3; i++) paths.answer(3 + i, victim, challenge(kept, 3 + i));
  t.same(paths.find(1)?.address, address, 'the proven address stays');
  t.end();
});

t.test('the first path keeps the address of its session', (t) => {
  const paths = createPaths();
  const token = new Uint8Array(8);
  const fields = { kind: 'path-challenge', path: 0, token, burst: undefined } as const;
  const { token: echo } = paths.answer(0, victim, { ...fields, echo: token });
  paths.answer(1, victim, { ...fields, echo });
  t.equal(paths.first.address, undefined);
  t.end();
});

t.test('an answer is smaller than any challenge', (t) => {
  const [kept, paths] = [createKept(), createPaths()];
  const answer = encodeMessage(paths.answer(0, address, challenge(kept, 0)));
  t.ok(answer.length < 1 + leastChallengeSizeBytes);
  t.equal(
    encodeMessage(challenge(kept, 0)).length,
    leastChallengeSizeBytes,
    'the address need not be that of the receiver',
  );
  t.end();
});

t.test('a receiver can name addresses, and no host names', (t) => {
  const accept = (host: string) =>
    decodeMessage(encodeMessage({ kind: 'accept', name: 'r', addresses: [{ host, port: 53 }] }));
  for (const host of ['192.0.2.1', '2001:db8::1', 'fe80::1%eth0'])
    t.match(accept(host), { addresses: [{ host, port: 53 }] });
  for (const host of ['example.com', 'cafe.ee', 'localhost', '', '1.2.3.4 ', '::1%;rm'])
    t.equal(accept(host), undefined, host);
  t.end();
});

t.test('a path of a number that does not exist is no message', (t) => {
  const token = new Uint8Array(8);
  const bytes = encodeMessage({
    ...{ kind: 'path-challenge', path: 3, token, echo: token, burst: undefined },
  });
  bytes[1] = 4;
  t.equal(decodeMessage(bytes), undefined);
  t.end();
});

t.test(
  'an address that a message came from gets at most three times as much as came from it',
  (t) => {
    const kept = createSeen();
    let sentBytes = 0;
    let receivedBytes = 0;
    for (let nowMs = 0; nowMs < 20_000; nowMs += 10) {
      if (nowMs % 500 === 0) {
        kept.handleSource(nowMs, 60);
        receivedBytes += 60;
      }
      if (nowMs < kept.nextAtMs) continue;
      const made = kept.challenge(nowMs, undefined);
      if (made === undefined) continue;
      t.equal(encodeMessage(made).length, leastChallengeSizeBytes, 'a small one');
      sentBytes += leastChallengeDatagramBytes;
      t.ok(sentBytes <= 3 * receivedBytes, `${sentBytes} for ${receivedBytes}`);
    }
    t.ok(sentBytes > 0);
    t.equal(kept.state, 'new');
    t.end();
  },
);

t.test('an address that has answered must still show that it gets datagrams of full size', (t) => {
  const [kept, paths] = [createSeen(), createPaths()];
  kept.handleSource(0, 60);
  const answer = paths.answer(0, address, challenge(kept, 0));
  t.same(kept.handleResponse(20, answer), { isOpened: false });
  t.same(kept.handleResponse(21, answer), { isOpened: false }, 'a repetition says nothing more');
  t.equal(kept.state, 'new');
  const large = challenge(kept, 21);
  t.equal(encodeMessage(large).length, 1400);
  t.same(kept.handleResponse(40, paths.answer(1, address, large)), { isOpened: true });
  t.same(paths.find(1)?.address, address, 'and the receiver trusts the sender, too');
  t.end();
});

t.test('a path that takes the number of an earlier one starts with no proven address', (t) => {
  const paths = createPaths();
  const [first, second] = [createKept(), createKept()];
  first.handleResponse(1, paths.answer(0, address, challenge(first, 0)));
  paths.answer(2, address, challenge(first, 2));
  const earlier = paths.find(1);
  paths.answer(3, address, challenge(first, 3));
  t.equal(paths.find(1), earlier);
  const opening = challenge(second, 4);
  paths.answer(4, address, opening);
  t.not(paths.find(1), earlier);
  t.equal(paths.find(1)?.address, undefined);
  const later = paths.find(1);
  paths.answer(5, address, challenge(second, 5));
  t.equal(paths.find(1), later, 'once');
  t.end();
});
