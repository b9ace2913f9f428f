/** Executes sessions of several senders to one receiver in virtual time, through one port. */
import { assert } from '../../base/assert.js';
import { Bottleneck } from '../../simulator/bottleneck.js';
import { FlowReceiver } from '../../simulator/flow-receiver.js';
import { SessionFlow } from '../../simulator/session-flow.js';
import { Simulation } from '../../simulator/simulation.js';
import type { Point } from '../parameters.js';
import type { RunResult } from '../run-result.js';

/** After this time, a run counts as failed. */
const longestMs = 600_000;

/** Simulates one run: each sender sends a file of its own. All begin at the same time. */
export function simulateIncast(point: Point, seed: string, rttMs: number): RunResult {
  const { senders = 1, pathCount = 1, mssBytes, fileSizeBytes: contentSizeBytes } = point;
  const { rateBytesPerSec, queueBytes, loss: lossProbability } = point;
  assert(
    rateBytesPerSec !== undefined && queueBytes !== undefined,
    'the port has a rate and a queue',
  );
  const simulation = new Simulation({ seed });
  const queueBdp = queueBytes / ((rateBytesPerSec * rttMs) / 1000);
  const port = new Bottleneck(simulation, { rateBytesPerSec, rttMs, queueBdp, lossProbability });
  const further = Array.from({ length: pathCount - 1 }, (_, i) => `10.${i + 1}.0.1`);
  const addresses = ['receiver', ...further];
  const setsShares = point.shares === 'on';
  const sharedReceiver = new FlowReceiver(simulation, { addresses, setsShares });
  const flows = Array.from({ length: senders }, (_, i) => {
    const name = `sender${i + 1}`;
    const furtherPaths = further.map((receiver, k) => {
      const sender = `10.${k + 1}.${1 + (i >>> 7)}.${i & 127}`;
      port.connect(sender, receiver);
      return { sender, receiver };
    });
    port.connect(name, 'receiver');
    const options = { name, receiverCount: 1, contentSizeBytes, mssBytes, sharedReceiver };
    return new SessionFlow(simulation, { ...options, furtherPaths });
  });
  const isOver = () => flows.every(({ sender }) => sender.isDone);
  simulation.run({ untilMs: longestMs, isOver });
  const totals = { retransmissions: 0, datagrams: 0, acks: 0 };
  let delayMs = 0;
  let isComplete = true;
  for (const { sender, receipts } of flows) {
    const { repairs, datagramsSent, reportsReceived } = sender.result(simulation.nowMs);
    totals.retransmissions += repairs;
    totals.datagrams += datagramsSent;
    totals.acks += reportsReceived;
    const { completeAtMs } = receipts[0] ?? {};
    isComplete &&= completeAtMs !== undefined;
    delayMs = Math.max(delayMs, completeAtMs ?? simulation.nowMs);
  }
  return {
    ...totals,
    delayMs,
    rounds: 0,
    timeouts: 0,
    completeReceivers: isComplete ? 1 : 0,
    rttMs,
  };
}
