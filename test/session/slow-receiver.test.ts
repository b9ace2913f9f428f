/**
 * A slow receiver leaves the group, so that multicast does not fill its path, and still completes.
 */
import t from 'tap';
import { Bottleneck } from '../../src/simulator/bottleneck.js';
import { SessionFlow } from '../../src/simulator/session-flow.js';
import { Simulation } from '../../src/simulator/simulation.js';
import { delegate } from '../support/scenario-run.js';

const mbit = 125_000;
const sizeBytes = 15e6;

t.test('a slow receiver leaves the group and completes', (t) => {
  const simulation = new Simulation({ seed: 'left behind' });
  const links = [100, 100, 10].map((mbits, i) => {
    const path = { rateBytesPerSec: mbits * mbit, rttMs: 20, queueBdp: 1 };
    const link = new Bottleneck(simulation, path, `link ${i + 1}`);
    link.connect('a', `a${i + 1}`);
    return link;
  });
  const leftAtMs: number[] = [];
  const flow = new SessionFlow(simulation, {
    name: 'a',
    receiverCount: 3,
    hasGroup: true,
    contentSizeBytes: sizeBytes,
    wrapReceiver: (receiver, index) =>
      delegate(receiver, {
        pollEvent: () => {
          const event = receiver.pollEvent();
          if (event?.type === 'leave') leftAtMs[index] ??= simulation.nowMs;
          return event;
        },
      }),
  });
  simulation.run({ untilMs: 120_000, isOver: () => flow.sender.isDone });
  const completeAtMs = flow.receipts.map((receipt) => receipt.completeAtMs ?? Infinity);
  const [first = 0, second = 0, slow = Infinity] = completeAtMs;
  t.ok(slow < Infinity, 'completes');
  t.ok(slow > 2 * Math.max(first, second), 'later than the others');
  t.ok((leftAtMs[2] ?? Infinity) < slow / 2, 'it leaves the group soon');
  t.notOk((leftAtMs[0] ?? Infinity) < first - 1, 'the others stay');
  t.notOk((leftAtMs[1] ?? Infinity) < second - 1);
  const { sent } = (links[2] as Bottleneck).link.counts;
  const needed = sizeBytes / 1400;
  t.ok(sent < 1.5 * needed, `${sent} datagrams on its link; ${needed.toFixed(0)} needed`);
  t.end();
});
