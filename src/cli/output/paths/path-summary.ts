/** The part of a summary that says what each path has contributed. */
import { formatBytes } from '../../../base/format.js';
import type { SessionReceiverStatus } from '../../../session/sender-events.js';
import type { Output } from '../output.js';
import { formatLoss, rateOrDash } from '../progress/progress-parts.js';
import { receiverName } from '../progress/receiver-name.js';
import { benefitOf, describePath, nameOfPath, sharesOf } from './path-figures.js';

const head = ['receiver', 'path', 'state', 'received', 'share', 'alone', 'rtt', 'loss', 'benefit'];

/** A table of the paths to receivers that had several. */
export function printPaths(output: Output, receivers: readonly SessionReceiverStatus[]): void {
  const rows = receivers.flatMap((receiver) => {
    const { paths = [] } = receiver;
    const shares = sharesOf(paths);
    const benefit = benefitOf(receiver);
    return paths.map((path, i) => [
      i === 0 ? receiverName(receiver) : '',
      nameOfPath(path),
      describePath(path),
      formatBytes(path.receivedBytes),
      `${Math.round(100 * (shares[i] ?? 0))}%`,
      rateOrDash(path.bestRateBytesPerSec),
      path.rttMs === undefined ? '-' : `${path.rttMs.toFixed(1)} ms`,
      formatLoss(path.lossRatio),
      i > 0 || benefit === undefined ? '' : benefit.toFixed(2),
    ]);
  });
  if (rows.length === 0) return;
  output.table([head, ...rows], ['rtt', 'loss', 'state', 'alone', 'received'], []);
}
