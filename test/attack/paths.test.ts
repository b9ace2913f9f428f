/** Attacks on paths: addresses that are not proven, answers that are made up, and names instead of addresses. */
import t from 'tap';
import { Path } from '../../src/path/path.js';
import { IncomingPaths } from '../../src/session/incoming/incoming-paths.js';
import { KeptPath } from '../../src/session/outgoing/kept-path.js';
import { createSimulatedCrypto } from '../../src/simulator/session-crypto.js';
import { FeedbackScheduler } from '../../src/transfer/feedback-scheduler.js';
import { decodeMessage, encodeMessage } from '../../src/wire/messages.js';
import { leastChallengeSizeBytes } from '../../src/wire/paths.js';

const address = { host: '192.0.2.1', port: 7735 };
const victim = { host: '203.0.113.9', port: 53 };
const crypto = createSimulatedCrypto('attack', 'paths');
const createKept = () => new KeptPath(new Path({ address }, 1400, 1), crypto);
const createPaths = () =>
  new IncomingPaths(
    (sizeBytes) => crypto.random(sizeBytes),
    (nowMs) => new FeedbackScheduler(nowMs, 1, 0),
    0,
  );

t.test('a made up answer opens no path', (t) => {
  const kept = createKept();
  kept.challenge(0, undefined);
  const made = { kind: 'path-response', path: 1, token: new Uint8Array(8) } as const;
  t.equal(kept.handleResponse(1, { ...made, echo: new Uint8Array(8) }), undefined);
  t.equal(kept.handleResponse(1, { ...made, echo: new Uint8Array(0) }), undefined);
  t.equal(kept.state, 'new');
  t.end();
});

t.test('reports go to an address only after it has repeated its token', (t) => {
  const [kept, paths] = [createKept(), createPaths()];
  const first = paths.answer(0, address, kept.challenge(0, undefined));
  t.equal(paths.find(1)?.address, undefined, 'one challenge proves nothing to the receiver');
  kept.handleResponse(1, first);
  paths.answer(2, address, kept.challenge(2, undefined));
  t.same(paths.find(1)?.address, address);
  t.end();
});

t.test('a challenge that another address repeats moves no reports there', (t) => {
  const [kept, paths] = [createKept(), createPaths()];
  kept.handleResponse(1, paths.answer(0, address, kept.challenge(0, undefined)));
  paths.answer(2, address, kept.challenge(2, undefined));
  for (let i = 0; i < 3; i++) paths.answer(3 + i, victim, kept.challenge(3 + i, undefined));
  t.same(paths.find(1)?.address, address, 'the proven address stays');
  t.end();
});

t.test('the first path keeps the address of its session', (t) => {
  const paths = createPaths();
  const token = new Uint8Array(8);
  const challenge = { kind: 'path-challenge', path: 0, token, burst: undefined } as const;
  const { token: echo } = paths.answer(0, victim, { ...challenge, echo: token });
  paths.answer(1, victim, { ...challenge, echo });
  t.equal(paths.first.address, undefined);
  t.end();
});

t.test('an answer is smaller than any challenge', (t) => {
  const [kept, paths] = [createKept(), createPaths()];
  const answer = encodeMessage(paths.answer(0, address, kept.challenge(0, undefined)));
  t.ok(answer.length < 1 + leastChallengeSizeBytes);
  t.equal(encodeMessage(kept.challenge(0, undefined)).length, 1400, 'to prove the size of data');
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
  const challenge = encodeMessage({
    ...{ kind: 'path-challenge', path: 3, token, echo: token, burst: undefined },
  });
  challenge[1] = 4;
  t.equal(decodeMessage(challenge), undefined);
  t.end();
});
