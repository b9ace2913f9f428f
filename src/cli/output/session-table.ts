/** The live table of a session: a row for each receiver, and a total line. */
import { bytesPerSec, formatBytes, formatRate, formatSeconds } from '../../base/format.js';
import type { SessionReceiverStatus } from '../../session/sender-events.js';
import type { ViewSize } from './live-view.js';
import { dropColumns, formatPartOfTable, joinFitting, shownRows } from './table.js';

/** States, the most interesting for the user first. */
const order = ['active', 'offered', 'identifying', 'connecting', 'failed', 'refused', 'aborted'];

/** Number of lines besides the rows: the header and the total line. */
const fixedLines = 2;

/** Formats the table. If there is no room for all receivers, leaves out complete and fast receivers. */
export function sessionTable(
  receivers: readonly SessionReceiverStatus[],
  contentSizeBytes: number,
  elapsedMs: number,
  { columns, lines }: ViewSize,
): string[] {
  const total = totalLine(receivers, contentSizeBytes, elapsedMs, columns);
  const rowCount = shownRows(receivers.length, lines - fixedLines);
  if (rowCount === 0) return [total];
  const shown = new Set(
    [...receivers]
      .sort((a, b) => rank(a) - rank(b) || a.heldBytes - b.heldBytes)
      .slice(0, rowCount),
  );
  // Keep the order of the receivers, because rows that change places are hard to read.
  const rows = receivers
    .filter((status) => shown.has(status))
    .map((status) => row(status, contentSizeBytes));
  const head = ['receiver', 'state', 'here', 'goodput', 'loss', 'rtt'];
  const hidden = receivers.length - rows.length;
  const table = dropColumns([head, ...rows], columns, ['rtt', 'loss', 'state', 'goodput']);
  return [...formatPartOfTable(table, hidden, columns), total];
}

function rank(status: SessionReceiverStatus): number {
  const place = order.indexOf(status.status);
  return place === -1 ? order.length : place;
}

function row(status: SessionReceiverStatus, contentSizeBytes: number): string[] {
  const goodput = bytesPerSec(status.receivedBytes, status.elapsedMs);
  return [
    status.receiver,
    status.activity,
    // Before a receiver connects, the sender does not know which data the receiver already has.
    `${status.selfName === undefined ? 0 : percent(status.heldBytes, contentSizeBytes)}%`,
    goodput === undefined || goodput === 0 ? '-' : formatRate(goodput),
    formatLoss(status.lossRatio),
    status.rttMs === undefined ? '-' : `${status.rttMs.toFixed(1)} ms`,
  ];
}

/** Overall progress of all receivers. The ETA is the ETA of the slowest active receiver. */
function totalLine(
  receivers: readonly SessionReceiverStatus[],
  contentSizeBytes: number,
  elapsedMs: number,
  columns: number,
): string {
  const complete = receivers.filter(({ status }) => status === 'complete').length;
  const active = receivers.filter(({ status }) => status === 'active');
  let etaSeconds = 0;
  for (const { receivedBytes, heldBytes, elapsedMs: ms } of active) {
    const goodput = bytesPerSec(receivedBytes, ms) ?? 0;
    const seconds = goodput > 0 ? (contentSizeBytes - heldBytes) / goodput : Infinity;
    etaSeconds = Math.max(etaSeconds, seconds);
  }
  const eta =
    active.length === 0 || etaSeconds === Infinity ? 'unknown' : formatSeconds(etaSeconds);
  const parts = [
    `${complete} of ${receivers.length} complete`,
    formatBytes(contentSizeBytes),
    formatSeconds(elapsedMs / 1000),
    ...(complete === receivers.length ? [] : [`ETA ${eta}`]),
  ];
  return joinFitting(parts, ', ', columns, [2, 1, 3]);
}

/** Rounds down, so that 100 is returned only for a complete object. */
export function percent(heldBytes: number, sizeBytes: number): number {
  return sizeBytes === 0 ? 100 : Math.floor((heldBytes / sizeBytes) * 100);
}

export function formatLoss(lossRatio: number): string {
  const share = lossRatio * 100;
  return `${share === 0 || share >= 9.95 ? share.toFixed(0) : share.toFixed(1)}%`;
}
