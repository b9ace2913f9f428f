/** When a receiver answers queries, in virtual time. */
import t from 'tap';
import type { Address } from '../../src/base/address.js';
import { createRandom } from '../../src/base/random.js';
import { Announcer } from '../../src/discovery/announcer.js';
import { answerLimits } from '../../src/discovery/answer-limits.js';
import { decodeDiscovery, encodeQuery } from '../../src/wire/discovery.js';

const receiverKey = new Uint8Array(32).fill(5);

function createAnnouncer(seed: string, isNear: (from: Address) => boolean = () => true) {
  const announced = { port: 7735, receiverKey, role: 'receiver' as const, name: 'lab1' };
  return new Announcer({ announced, isNear, random: createRandom(seed) });
}

const query = (number: number) => encodeQuery(new Uint8Array(16).fill(number));
const sender = (number: number) => ({ host: `10.0.0.${number}`, port: 50_000 });

/** Lets the time pass. @returns the answers with the time of each */
function runUntil(announcer: Announcer, endMs: number) {
  const answers: { atMs: number; to: Address; bytes: Uint8Array }[] = [];
  for (;;) {
    const atMs = announcer.pollTimeout();
    if (atMs === undefined || atMs > endMs) return answers;
    announcer.handleTimeout(atMs);
    for (let next = announcer.pollTransmit(); next !== undefined; next = announcer.pollTransmit()) {
      answers.push({ atMs, to: next.to, bytes: next.bytes });
    }
  }
}

t.test('an answer goes to the source, with its nonce, after a random delay', (t) => {
  const delays = Array.from({ length: 200 }, (_, i) => {
    const announcer = createAnnouncer(`receiver ${i}`);
    announcer.handleDatagram(1000, sender(1), query(3));
    t.equal(announcer.pollTransmit(), undefined, 'it does not answer at once');
    const [answer, ...more] = runUntil(announcer, 10_000);
    t.same(more, []);
    t.same(answer?.to, sender(1));
    const nonce = new Uint8Array(16).fill(3);
    const expected = {
      kind: 'answer',
      nonce,
      port: 7735,
      receiverKey,
      role: 'receiver' as const,
      name: 'lab1',
    };
    t.same(decodeDiscovery(answer?.bytes ?? new Uint8Array(0)), expected);
    return (answer?.atMs ?? 0) - 1000;
  });
  t.ok(Math.max(...delays) <= answerLimits.maxDelayMs);
  // 200 receivers do not answer in one burst: each tenth of the time has its share.
  for (let tenth = 0; tenth < 10; tenth++) {
    const [from, to] = [tenth, tenth + 1].map((each) => (each * answerLimits.maxDelayMs) / 10);
    const count = delays.filter((delay) => delay >= (from ?? 0) && delay < (to ?? 0)).length;
    t.ok(count >= 5 && count <= 45, `${count} of 200 answers`);
  }
  t.end();
});

t.test('copies of a query that arrive by several interfaces get one answer', (t) => {
  const announcer = createAnnouncer('copies');
  for (let i = 0; i < 5; i++) announcer.handleDatagram(0, sender(1), query(1));
  announcer.handleDatagram(0, sender(2), query(1));
  announcer.handleDatagram(0, sender(1), query(2));
  t.equal(runUntil(announcer, 1000).length, 3);
  t.end();
});

t.test('the rates of answers, to one source and in total, recover', (t) => {
  const announcer = createAnnouncer('rates');
  let atMs = 0;
  let number = 0;
  /** Sends queries for a second. @returns the number of answers */
  const ask = (hosts: number) => {
    let count = 0;
    for (const endMs = atMs + 1000; atMs < endMs; atMs += 5) {
      announcer.handleDatagram(atMs, sender(1 + (number % hosts)), query(number++ % 256));
      count += runUntil(announcer, atMs).length;
    }
    return count + runUntil(announcer, atMs).length;
  };
  const { sourceBurst, perSourcePerSec, burst, perSec } = answerLimits;
  t.ok(ask(1) <= sourceBurst + perSourcePerSec);
  t.ok(ask(1) <= perSourcePerSec + 1, 'at the rate of one source');
  const total = ask(200);
  t.ok(total > sourceBurst && total <= burst + perSec, `${total} answers`);
  t.ok(ask(200) <= perSec + 8, 'at the rate of all sources');
  atMs += 10_000;
  t.ok(ask(1) >= sourceBurst, 'the rate has recovered');
  t.end();
});

t.test('only sources nearby get an answer', (t) => {
  const announcer = createAnnouncer('far', ({ host }) => host === '10.0.0.1');
  announcer.handleDatagram(0, { host: '203.0.113.5', port: 53 }, query(1));
  t.equal(announcer.pollTimeout(), undefined);
  announcer.handleDatagram(0, sender(1), query(1));
  t.equal(runUntil(announcer, 1000).length, 1);
  t.end();
});
