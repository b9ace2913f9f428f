/** Many senders with two paths each fill one short queue: most of them fall back to one path. */
import t from 'tap';
import { SessionFlow } from '../../src/simulator/session-flow.js';
import { Simulation } from '../../src/simulator/simulation.js';

const mbit = 125_000;
const senderCount = 8;
const delayMs = 2;

t.test('most senders of an incast use one path', (t) => {
  const simulation = new Simulation({ seed: 'incast' });
  // A port of 64 packets.
  const port = simulation.createLink('port', {
    rateBytesPerSec: 200 * mbit,
    queueLimitBytes: 64 * 1444,
    overheadBytes: 28,
  });
  const connect = (from: string, to: string) => {
    simulation.connect(from, to, [simulation.createLink(`from ${from}`, { delayMs }), port]);
    simulation.connect(to, from, [simulation.createLink(`to ${from}`, { delayMs })]);
  };
  const flows = Array.from({ length: senderCount }, (_, i) => {
    const name = `sender ${i} to `;
    const further = { sender: `10.1.${i}.1`, receiver: `10.1.${i}.2` };
    connect(name, `${name}1`);
    connect(further.sender, further.receiver);
    const options = { name, receiverCount: 1, contentSizeBytes: 4e9, mssBytes: 1400 };
    return new SessionFlow(simulation, { ...options, furtherPaths: [further] });
  });
  simulation.run({ untilMs: 500 });
  const used = flows.map(({ sender }) => {
    const [status] = sender.statuses(simulation.nowMs);
    return status?.paths?.filter(({ isInUse }) => isInUse).length;
  });
  t.ok(used.filter((count) => count === 1).length > senderCount / 2, `paths in use: ${used}`);
  t.end();
});
