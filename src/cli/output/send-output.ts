/** Output of `p2mp send`: the live table, JSON events, and the summary. */

import { escapeControls } from '../../base/control-characters.js';
import {
  bytesPerSec,
  formatBytes,
  formatCount,
  formatCounts,
  formatPlural,
  formatRate,
  formatSeconds,
} from '../../base/format.js';
import { RecentRates } from '../../base/recent-rate.js';
import { withoutUndefined } from '../../base/without-undefined.js';
import type { SkippedEntry } from '../../node/disk/source/object-source.js';
import type { SendEvent, SendResult } from '../../node/send-options.js';
import type { SessionReceiverOutcome, SessionReceiverStatus } from '../../session/sender-events.js';
import { describeOffload } from './describe-offload.js';
import { arrivalJson } from './json/arrival-json.js';
import type { JsonEvent } from './json/json-events.js';
import type { Output } from './output.js';
import { errorJson } from './output.js';
import { benefitJson, pathsJson } from './paths/path-figures.js';
import { printPaths } from './paths/path-summary.js';
import { printOddity, printOtherAddress, printRefused } from './print-event.js';
import { formatLoss } from './progress/progress-parts.js';
import { receiverName } from './progress/receiver-name.js';
import { sessionTable } from './progress/session-table.js';
import { join, statusTone, toned } from './text.js';

export class SendOutput {
  private readonly startedAtMs = performance.now();
  private contentSizeBytes = 0;
  private readonly rates = new RecentRates();

  constructor(
    private readonly output: Output,
    private readonly isVerbose: boolean,
  ) {}

  handleEvent(event: SendEvent): void {
    const { output, isVerbose } = this;
    switch (event.type) {
      case 'start':
        this.showStart(event);
        break;
      case 'resize':
        output.json({ event: 'resize', mssBytes: event.mssBytes, reason: event.reason });
        if (isVerbose && !output.isJson) {
          output.detail(`segments of ${event.mssBytes} bytes: ${event.reason}`);
        }
        break;
      case 'skipped':
        output.json({ event: 'skipped', name: event.name, reason: event.reason });
        printSkipped(output, event);
        break;
      case 'unused-pattern':
        output.json({ event: 'unused-pattern', pattern: event.pattern });
        if (isVerbose && !output.isJson) {
          output.detail(escapeControls(`${event.pattern}: matches nothing`));
        }
        break;
      case 'connect':
        output.json({ event: 'connect', receiver: event.receiver, name: event.selfName });
        if (isVerbose && !output.isJson) output.detail(`${event.receiver}: connected`);
        break;
      case 'other-address':
        printOtherAddress(output, event);
        break;
      case 'port-refused':
      case 'unreachable':
        printRefused(output, event);
        break;
      case 'silent':
        output.json({ event: 'silent', receiver: event.receiver });
        if (isVerbose && !output.isJson)
          output.warn(`${event.receiver}: not responding; reconnecting`);
        break;
      case 'deferred': {
        const { receiver, reason } = event;
        output.json({ event: 'deferred', receiver, reason });
        if (!output.isJson)
          output.warn(`${receiver}: ${reason}; retrying until the receiver is back`);
        break;
      }
      case 'progress':
        this.showProgress(event.receivers);
        break;
      case 'receiver':
        this.showOutcome(event.outcome);
        break;
      case 'fault':
      case 'send-error':
        printOddity(output, event, isVerbose);
        break;
      case 'end':
        break;
    }
  }

  private showStart(event: Extract<SendEvent, { type: 'start' }>): void {
    const { output } = this;
    const { label, contentSizeBytes, entryCount, group, mssBytes, offload } = event;
    this.contentSizeBytes = contentSizeBytes;
    output.json({
      event: 'start',
      label,
      bytes: contentSizeBytes,
      entries: entryCount,
      ...withoutUndefined({ group }),
      mssBytes,
      offload,
    });
    if (this.isVerbose && !output.isJson) {
      output.detail(describeOffload(offload, 'send'));
      output.detail(`segments of ${mssBytes} bytes`);
    }
  }

  private showOutcome(outcome: SessionReceiverOutcome): void {
    const { output } = this;
    const { status, reason } = outcome;
    const receiver = receiverName(outcome);
    output.json({ event: 'receiver-result', ...receiverJson(outcome), ...benefitJson(outcome) });
    if (!output.isJson) printDeletion(output, outcome, this.isVerbose);
    if (output.isJson || (status === 'complete' && !this.isVerbose)) return;
    const text = `${receiver}: ${status}${reason === undefined ? '' : `: ${reason}`}`;
    if (status === 'complete') output.detail(text);
    else output.error(text);
  }

  private showProgress(receivers: readonly SessionReceiverStatus[]): void {
    const { output, contentSizeBytes } = this;
    if (output.isJson) {
      for (const status of receivers) {
        if (status.status !== 'active') continue;
        output.json({ event: 'progress', ...receiverJson(status) });
      }
      return;
    }
    if (!output.hasProgress) return;
    const nowMs = performance.now();
    const keyed = receivers.map(({ receivedBytes }, i) => [String(i), receivedBytes] as const);
    this.rates.update(nowMs, keyed);
    const rates = keyed.map(([key]) => this.rates.perSec(nowMs, key));
    const elapsedMs = nowMs - this.startedAtMs;
    const showsPaths = this.isVerbose;
    output.progress((area) =>
      sessionTable({ receivers, rates, contentSizeBytes, elapsedMs, showsPaths }, area),
    );
  }
}

/** Prints what a receiver could not delete and, if verbose, what it deleted. */
function printDeletion(
  output: Output,
  { receiver, deletedNames = [], undeleted = [], undeletedEntries }: SessionReceiverOutcome,
  isVerbose: boolean,
): void {
  if (isVerbose) {
    for (const name of deletedNames) output.detail(escapeControls(`${receiver}: deleted ${name}`));
  }
  for (const { name, cause } of undeleted) {
    output.error(escapeControls(`${receiver}: ${name}: not deleted: ${undeletedReasons[cause]}`));
  }
  const rest = undeletedEntries - undeleted.length;
  if (rest <= 0) return;
  const more = undeleted.length === 0 ? '' : 'more ';
  const entries = formatPlural(rest, `${more}entry`, `${more}entries`);
  output.error(`${receiver}: ${entries} not deleted; see the output of p2mp receive there`);
}

const undeletedReasons = {
  changed: 'it has changed there since it was listed; send again to delete it',
  denied: 'permission denied there',
  failed: 'it cannot be deleted there; see the output of p2mp receive there',
} as const;

/** Reports that the sender skips an entry. Prints this even with --quiet. */
export function printSkipped(output: Output, { name, reason }: SkippedEntry): void {
  if (!output.isJson) output.error(escapeControls(`${name}: not sent: ${reason}`));
}

/** @returns the fields of `progress`, `receiver-result` and `receivers`: a stable interface (COMMANDS) */
export function receiverJson(status: SessionReceiverStatus | SessionReceiverOutcome) {
  const { deletedNames, undeleted } = status as SessionReceiverOutcome;
  return {
    receiver: status.receiver,
    address: status.address,
    ...withoutUndefined({ via: status.via }),
    ...withoutUndefined({ name: status.selfName }),
    status: status.status,
    activity: status.activity,
    ...withoutUndefined({ reason: status.reason }),
    ...arrivalJson(status, status.datagramsSent),
    repairs: status.repairs,
    ...pathsJson(status.paths),
    ...withoutUndefined({ deletedNames, undeletedNames: undeleted }),
  };
}

/**
 * @param fingerprintOf returns the fingerprint that a receiver announced, if `@lan` found it
 * @returns the last line of --json
 */
export function sendResultJson(
  result: SendResult,
  fingerprintOf: (receiver: string) => string | undefined,
): JsonEvent {
  const { receivers, error } = result;
  const complete = receivers.filter(({ status }) => status === 'complete').length;
  return {
    event: 'result',
    status: complete === receivers.length && error === undefined ? 'complete' : 'incomplete',
    label: result.label,
    ...(result.skipped.length === 0 ? {} : { skipped: result.skipped }),
    entries: result.entryCount,
    bytes: result.contentSizeBytes,
    seconds: result.elapsedMs / 1000,
    manifestDigest: result.manifestDigest,
    ...withoutUndefined({ contentRoot: result.contentRoot }),
    mssBytes: result.mssBytes,
    datagrams: result.datagramsSent,
    multicastDatagrams: result.groupDatagramsSent,
    bytesSent: result.bytesSent,
    repairs: result.repairs,
    reports: result.reportsReceived,
    faults: result.faults,
    ...withoutUndefined({ error: error && errorJson(error) }),
    receivers: receivers.map((status) => ({
      ...receiverJson(status),
      ...benefitJson(status),
      ...withoutUndefined({ fingerprint: fingerprintOf(status.receiver) }),
    })),
  };
}

/** Counts of complete receivers: the files that they did not compare, and the entries that they deleted. */
function describeCounts(receivers: readonly SessionReceiverStatus[]): string[] {
  const complete = receivers.filter(({ status }) => status === 'complete');
  const unchanged = complete.map(({ unchangedFiles }) => unchangedFiles);
  const deleted = complete.map(({ deletedEntries }) => deletedEntries);
  const undeleted = complete.map(({ undeletedEntries }) => undeletedEntries);
  const lines: string[] = [];
  if (Math.max(0, ...unchanged) > 0) {
    lines.push(`${formatRange(unchanged, 'file')} unchanged (size and time), not compared`);
  }
  if (Math.max(0, ...deleted) > 0) {
    const where = complete.length === 1 ? '' : ' at each receiver';
    lines.push(`${formatRange(deleted, 'entry', 'entries')} deleted${where}`);
  }
  if (Math.max(0, ...undeleted) > 0) {
    lines.push(`${formatRange(undeleted, 'entry', 'entries')} not deleted`);
  }
  return lines;
}

/** A single number if the counts of all receivers are equal; otherwise the lowest and the highest count. */
function formatRange(counts: readonly number[], noun: string, plural?: string): string {
  const [least, most] = [Math.min(...counts), Math.max(...counts)];
  const text = formatPlural(most, noun, plural);
  return least === most ? text : `${formatCount(least)} to ${text}`;
}

export function printSendSummary(output: Output, result: SendResult): void {
  const { receivers, contentSizeBytes, elapsedMs } = result;
  const complete = receivers.filter(({ status }) => status === 'complete').length;
  // Goodput excludes content that receivers already had.
  const mostBytes = Math.max(0, ...receivers.map(({ receivedBytes }) => receivedBytes));
  const goodput = bytesPerSec(mostBytes, elapsedMs);
  const outcome = `complete at ${complete} of ${formatPlural(receivers.length, 'receiver')}`;
  output.line(
    join([
      `${escapeControls(result.label)}: ${formatPlural(result.entryCount, 'entry', 'entries')}, `,
      `${formatBytes(contentSizeBytes)}, `,
      toned(complete === receivers.length ? 'good' : 'bad', outcome),
    ]),
  );
  output.line(
    [
      `  ${formatSeconds(elapsedMs / 1000)}`,
      ...(goodput === undefined || mostBytes === 0 ? [] : [`goodput ${formatRate(goodput)}`]),
      formatPlural(result.datagramsSent, 'datagram'),
      ...(result.groupDatagramsSent === 0
        ? []
        : [`${formatCount(result.groupDatagramsSent)} of them by multicast`]),
      formatPlural(result.repairs, 'repair'),
    ].join(', '),
  );
  for (const line of describeCounts(receivers)) output.line(`  ${line}`);
  if (result.skipped.length > 0) {
    output.line(`  not sent: ${formatPlural(result.skipped.length, 'entry', 'entries')}`);
  }
  const faults = formatCounts(result.faults);
  if (faults !== '') output.line(`  unexpected datagrams: ${faults}`);
  if (result.contentRoot !== undefined) output.line(`  content root ${result.contentRoot}`);
  const wasHeld = receivers.some(({ heldBeforeBytes }) => heldBeforeBytes > 0);
  const held = wasHeld ? ['already there'] : [];
  // For failed receivers, the reason was already printed at the time of the failure.
  const note = ({ status, reason = '' }: SessionReceiverStatus) =>
    status === 'complete' ? reason : '';
  const head = ['receiver', 'status', ...held, 'received', 'time', 'loss'];
  const rows = receivers.map((status) => [
    receiverName(status),
    toned(statusTone(status.status), status.status),
    ...(wasHeld ? [formatBytes(status.heldBeforeBytes)] : []),
    formatBytes(status.receivedBytes),
    formatSeconds(status.elapsedMs / 1000),
    formatLoss(status.lossRatio),
  ]);
  const notes = receivers.map((status) => note(status));
  output.table([head, ...rows], ['loss', 'time', ...held, 'received'], notes);
  printPaths(output, receivers);
}
