/** Results of p2mpserver for each transfer: the summary in text, and the result object of --json. */
import {
  bytesPerSec,
  formatCount,
  formatCounts,
  formatPlural,
  formatRate,
  formatSeconds,
} from '../../base/format.js';
import { withoutUndefined } from '../../base/without-undefined.js';
import type { DiagnosisEvent } from '../../classic/diagnosis/packet-diagnosis.js';
import type { FileTransferResult } from '../../node/file-receiver.js';
import type { JsonEvent } from './json/json-events.js';
import type { Output } from './output.js';
import { errorJson } from './output.js';
import { join, statusTone, toned } from './text.js';

export function printServerSummary(output: Output, result: FileTransferResult): void {
  const { from, status, sizeBytes, segmentCount, elapsedMs, end } = result;
  const goodput = bytesPerSec(sizeBytes, elapsedMs);
  const size = `${formatCount(sizeBytes)} bytes in ${formatPlural(segmentCount, 'segment')}`;
  output.line(join([`From ${from}: `, toned(statusTone(status), status), `, ${size}`]));
  output.line(
    [
      `  ${formatSeconds(elapsedMs / 1000)}`,
      ...(goodput === undefined ? [] : [`goodput ${formatRate(goodput)}`]),
      ...(end === undefined ? [] : [`ended by ${endText[end]}`]),
    ].join(', '),
  );
  const losses = formatCounts({ 'by the loss service': result.losses, ...result.faults });
  output.line(
    `  ${formatPlural(result.dataPackets, 'data packet')}; lost or unexpected: ${losses}`,
  );
  if (result.sha256 !== undefined) output.line(`  SHA-256 ${result.sha256}`);
  if (status === 'complete' && !result.isCertain) {
    output.line(
      '  Note: the end was inferred from silence after a full-size segment; compare the SHA-256',
    );
  }
}

const endText = {
  'end-marker': 'the end marker',
  'marked-last': 'a packet marked as the last',
  'end-packet': 'a packet of type 0xFFFF',
  silence: 'silence',
} as const;

/** @returns a `result` line of --json, a stable interface that docs/COMMANDS.md describes */
export function serverResultJson(
  result: FileTransferResult,
  diagnoses: readonly DiagnosisEvent[],
  seed: string,
): JsonEvent {
  const { sizeBytes, elapsedMs, end, reason, sha256, error } = result;
  const goodput = bytesPerSec(sizeBytes, elapsedMs);
  return {
    event: 'result',
    sender: result.from,
    status: result.status,
    ...withoutUndefined({
      reason,
      error: error && errorJson(error),
      end,
    }),
    certain: result.isCertain,
    bytes: sizeBytes,
    segments: result.segmentCount,
    seconds: elapsedMs / 1000,
    ...withoutUndefined({ goodputBytesPerSec: goodput && Math.round(goodput) }),
    dataPackets: result.dataPackets,
    acks: result.acksSent,
    losses: result.losses,
    faults: result.faults,
    diagnoses: diagnosesJson(diagnoses),
    seed,
    ...withoutUndefined({ sha256 }),
  };
}

/** @returns the last line of --json if there was no transfer */
export function idleResultJson(diagnoses: readonly DiagnosisEvent[], seed: string): JsonEvent {
  return { event: 'result', status: 'idle', diagnoses: diagnosesJson(diagnoses), seed };
}

/** Prints the senders whose packets were rejected since the last summary, with the cause for each sender. */
export function printDiagnoses(output: Output, diagnoses: readonly DiagnosisEvent[]): void {
  for (const { from, kind, cause } of diagnoses) {
    output.line(`  Rejected from ${from} (${kind}): ${cause}`);
  }
}

function diagnosesJson(diagnoses: readonly DiagnosisEvent[]) {
  return diagnoses.map(({ type: _, from: sender, ...diagnosis }) => ({ sender, ...diagnosis }));
}
