/** Results of p2mpclient: the summary in text, and the result object of --json. */
import {
  bytesPerSec,
  formatCount,
  formatCounts,
  formatPlural,
  formatRate,
  formatSeconds,
} from '../../base/format.js';
import { withoutUndefined } from '../../base/without-undefined.js';
import type { ReceiverOutcome } from '../../classic/sender-events.js';
import type { SendFileResult } from '../../node/file-sender.js';
import type { JsonEvent } from './json/json-events.js';
import type { Output } from './output.js';
import { errorJson } from './output.js';
import { join, statusTone, type Text, toned } from './text.js';

export function printClientSummary(
  output: Output,
  file: string,
  mssBytes: number,
  result: SendFileResult,
): void {
  const { receivers, sizeBytes, segmentCount, elapsedMs } = result;
  const complete = receivers.filter(({ status }) => status === 'complete');
  const goodput = complete.length === 0 ? undefined : bytesPerSec(sizeBytes, elapsedMs);
  const outcome = `complete at ${complete.length} of ${formatPlural(receivers.length, 'receiver')}`;
  output.line(
    join([
      `${file}: ${formatCount(sizeBytes)} bytes in ${formatPlural(segmentCount, 'segment')} of up to `,
      `${formatPlural(mssBytes, 'byte')}, `,
      toned(complete.length === receivers.length ? 'good' : 'bad', outcome),
    ]),
  );
  output.line(
    [
      `  ${formatSeconds(elapsedMs / 1000)}`,
      ...(goodput === undefined ? [] : [`goodput ${formatRate(goodput)}`]),
      formatPlural(result.rounds, 'round'),
      formatPlural(result.timeouts, 'timeout'),
      formatPlural(result.retransmissions, 'retransmission'),
    ].join(', '),
  );
  const faults = formatCounts(result.faults);
  if (faults !== '') output.line(`  unexpected datagrams: ${faults}`);
  if (result.sha256 !== undefined) output.line(`  SHA-256 ${result.sha256}`);
  const rows = receivers.map(receiverRow);
  const head = ['receiver', 'status', 'bytes', 'time', 'retransmissions'];
  const dropOrder = ['retransmissions', 'time', 'bytes'];
  output.table([head, ...rows], dropOrder, receivers.map(noteOf));
}

function receiverRow(outcome: ReceiverOutcome): Text[] {
  return [
    outcome.receiver,
    toned(statusTone(outcome.status), outcome.status),
    formatCount(outcome.ackedBytes),
    formatSeconds(outcome.elapsedMs / 1000),
    formatCount(outcome.retransmissions),
  ];
}

/** @returns the reason of a receiver's status, or that its ACKs do not prove delivery (PROTOCOL 5.9) */
function noteOf({ status, reason, isIdentified }: ReceiverOutcome): string {
  // The reason was already printed when the receiver failed.
  if (status === 'failed') return '';
  if (reason !== undefined) return reason;
  return status === 'complete' && !isIdentified
    ? 'ACKs alone do not prove delivery: compare the SHA-256'
    : '';
}

/** @returns the last line of --json, a stable interface that docs/COMMANDS.md describes */
export function clientResultJson(path: string, result: SendFileResult): JsonEvent {
  const { receivers, sizeBytes, elapsedMs, sha256, error } = result;
  const goodput = bytesPerSec(sizeBytes, elapsedMs);
  const isComplete = receivers.every(({ status }) => status === 'complete');
  return {
    event: 'result',
    file: path,
    status: isComplete ? 'complete' : 'incomplete',
    bytes: sizeBytes,
    segments: result.segmentCount,
    seconds: elapsedMs / 1000,
    ...withoutUndefined({ goodputBytesPerSec: goodput && Math.round(goodput) }),
    rounds: result.rounds,
    timeouts: result.timeouts,
    datagrams: result.datagramsSent,
    retransmissions: result.retransmissions,
    acks: result.acksReceived,
    faults: result.faults,
    ...withoutUndefined({ sha256, error: error && errorJson(error) }),
    receivers: receivers.map((outcome) => ({
      receiver: outcome.receiver,
      address: outcome.address,
      status: outcome.status,
      confirmed: outcome.isConfirmed && outcome.isIdentified,
      identified: outcome.isIdentified,
      heldBytes: outcome.ackedBytes,
      seconds: outcome.elapsedMs / 1000,
      datagrams: outcome.datagramsSent,
      retransmissions: outcome.retransmissions,
      ...withoutUndefined({ rttMs: outcome.rttMs, reason: outcome.reason }),
    })),
  };
}
