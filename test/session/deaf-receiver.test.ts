/** A receiver that gets control messages but no data does not delay the others. */
import t from 'tap';
import { sessionField, sessionKind } from '../../src/wire/header.js';
import { type Passing, SessionWire, type WireOptions } from '../support/session-wire.js';

const livenessTimeoutMs = 3000;

function isData(bytes: Uint8Array): boolean {
  const kind = bytes[sessionField.kind];
  return kind === sessionKind.data || kind === sessionKind.taggedData;
}

/** Drops all data to these receivers from a given time on. */
function swallow(deaf: readonly number[], fromMs = 0) {
  return ({ to, bytes, atMs }: Passing): readonly Uint8Array[] =>
    typeof to === 'number' && deaf.includes(to) && atMs >= fromMs && isData(bytes) ? [] : [bytes];
}

function run(deaf: readonly number[], options: WireOptions & { fromMs?: number }) {
  const { fromMs, ...rest } = options;
  return new SessionWire({
    receiverCount: 2,
    sizeBytes: 3_000_000,
    ...rest,
    sender: { livenessTimeoutMs, ...rest.sender },
    attack: swallow(deaf, fromMs),
  }).run();
}

for (const hasGroup of [false, true]) {
  const by = hasGroup ? 'by multicast' : 'by unicast';
  for (const [what, deaf, receiverCount, fromMs] of [
    ['one of two', [1], 2, 0],
    ['one of two, from midway', [1], 2, 20],
    ['two of three', [0, 2], 3, 0],
    ['three of eight', [1, 2, 5], 8, 0],
  ] as const) {
    t.test(`${what}, ${by}`, async (t) => {
      const wire = run(deaf, { hasGroup, receiverCount, fromMs });
      for (const { index, isIdentical } of wire.receivers) {
        const outcome = wire.outcomeOf(index);
        const isDeaf = (deaf as readonly number[]).includes(index);
        t.equal(
          outcome?.status,
          isDeaf ? 'failed' : 'complete',
          `receiver ${index}: ${outcome?.reason}`,
        );
        if (isDeaf) {
          const reason =
            /no data has reached r\d for 3 s, although control messages have: a filter /;
          t.match(outcome?.reason, reason);
          t.match(wire.receivers[index]?.results, [{ status: 'failed', reason }], 'at once');
        } else t.ok(isIdentical);
        if (!isDeaf)
          t.ok(
            (outcome?.elapsedMs ?? Infinity) < 2 * livenessTimeoutMs,
            `${outcome?.elapsedMs} ms`,
          );
        else
          t.ok(
            (outcome?.elapsedMs ?? Infinity) < livenessTimeoutMs + 2000,
            `${outcome?.elapsedMs} ms`,
          );
      }
    });
  }
}

t.test('receivers that multicast reaches no more, from midway, get the rest by unicast', (t) => {
  const wire = new SessionWire({ receiverCount: 3, sizeBytes: 3_000_000, hasGroup: true });
  wire.run(20);
  wire.cutMulticast();
  wire.run();
  const { groupDatagramsSent = 0 } = wire.result ?? {};
  t.ok(groupDatagramsSent > 0 && groupDatagramsSent < 4000, `${groupDatagramsSent} by multicast`);
  for (const { index, isIdentical } of wire.receivers) {
    const outcome = wire.outcomeOf(index);
    t.equal(outcome?.status, 'complete', `${outcome?.reason}`);
    t.ok(isIdentical);
    t.ok((outcome?.elapsedMs ?? Infinity) < 2000, `${outcome?.elapsedMs} ms`);
  }
  t.end();
});
