/** A receiver that is named by several of its addresses is served at one of them. */
import t from 'tap';
import { type Passing, SessionWire, type WireOptions } from '../../support/session-wire.js';

/**
 * Datagrams to all these indices reach the receiver of the first one; those to `dead` reach nobody.
 */
function run(numbers: readonly number[], options: WireOptions, dead: readonly number[] = []) {
  const [first = 0, ...others] = numbers;
  const attack = ({ from, to, bytes }: Passing, wire: SessionWire) => {
    if (typeof to !== 'number') return [bytes];
    if (dead.includes(to)) return [];
    if (!others.includes(to)) return [bytes];
    // Multicast datagrams reach it once.
    if (options.hasGroup !== true || bytes.length < 1000) wire.inject(first, from, bytes);
    return [];
  };
  return new SessionWire({ sizeBytes: 200_000, ...options, attack }).run();
}

for (const hasGroup of [false, true]) {
  const by = hasGroup ? 'with a group' : 'without a group';
  t.test(`three addresses of one receiver, ${by}`, async (t) => {
    const wire = run([0, 1, 2], { hasGroup, receiverCount: 3 });
    const outcomes = [0, 1, 2].map((index) => wire.outcomeOf(index));
    const served = outcomes.filter((outcome) => outcome?.status === 'complete');
    t.match(served, [{ receivedBytes: 200_000, repairs: 0 }], 'it is served once');
    t.equal(wire.receivers[0]?.results.length, 1);
    t.ok(wire.receivers[0]?.isIdentical);
    for (const outcome of outcomes) {
      if (outcome === served[0]) continue;
      const reason = `is the same receiver as ${served[0]?.receiver}; name it once`;
      t.match(outcome, { status: 'refused', reason });
    }
  });

  t.test(`two of five are one receiver, ${by}`, async (t) => {
    const wire = run([1, 3], { hasGroup, receiverCount: 5 });
    const statuses = [0, 1, 2, 3, 4].map((index) => wire.outcomeOf(index)?.status);
    t.same([statuses[0], statuses[2], statuses[4]], ['complete', 'complete', 'complete']);
    t.same([statuses[1], statuses[3]].sort(), ['complete', 'refused']);
  });
}

t.test('an unreachable address does not block the others', async (t) => {
  const wire = run([1, 2], { receiverCount: 3, sender: { livenessTimeoutMs: 2000 } }, [0]);
  const statuses = [0, 1, 2].map((index) => wire.outcomeOf(index)?.status);
  t.same(statuses.sort(), ['complete', 'failed', 'refused']);
  t.equal(wire.outcomeOf(0)?.status, 'failed');
});
