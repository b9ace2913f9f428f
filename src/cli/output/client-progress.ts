/** Progress of p2mpclient: a table on a terminal, or one JSON event per second. */
import { bytesPerSec, formatBytes, formatRate } from '../../base/format.js';
import { RecentRate, RecentRates, secondsFor } from '../../base/recent-rate.js';
import type { Peer } from '../../classic/peer.js';
import type { Sender } from '../../sender.js';
import type { Output } from './output.js';
import type { ViewArea } from './progress/live-view.js';
import {
  averagePart,
  bar,
  barColumns,
  countOf,
  etaPart,
  percent,
  shareOf,
} from './progress/progress-parts.js';
import { type ProgressRow, progressTable } from './progress/progress-table.js';
import { joinFitting } from './table.js';
import { asciiGlyphs } from './terminal-look.js';
import { join, plain, type Text, widthOf } from './text.js';

const intervalMs = 100;
const jsonIntervalMs = 1000;

/** Maximum number of pending receivers named in the total line. The line only counts the others. */
const maxNames = 4;

/** With less room, the pending receivers are not named at all. */
const leastPendingColumns = 32;

const extras = ['ETA', 'average', 'resent', 'segment'];

export class ClientProgress {
  private readonly startedAtMs = performance.now();
  private readonly timer: NodeJS.Timeout;
  private readonly rate = new RecentRate();
  private readonly rates = new RecentRates();

  constructor(
    private readonly output: Output,
    private readonly sender: Sender,
  ) {
    const waitMs = output.isJson ? jsonIntervalMs : intervalMs;
    this.timer = setInterval(() => this.tick(), waitMs);
  }

  end(): void {
    clearInterval(this.timer);
    this.output.endProgress();
  }

  /** @returns the total line for a file or a pipe */
  text(columns: number): string {
    return plain(this.totalLine(performance.now(), columns, asciiGlyphs));
  }

  private tick(): void {
    const { output, sender } = this;
    if (output.isJson) {
      this.emit();
      return;
    }
    const nowMs = performance.now();
    this.rate.add(nowMs, sender.deliveredBytes);
    this.rates.update(
      nowMs,
      sender.peers.map((peer) => [String(peer.index), this.ackedBytes(peer)]),
    );
    if (output.hasProgress) output.progress((area) => this.view(nowMs, area));
  }

  /** @returns a table with a row for each server, if there are several, and the total line */
  private view(nowMs: number, area: ViewArea): Text[] {
    const { peers } = this.sender;
    const total = this.totalLine(nowMs, area.columns, area.glyphs);
    if (peers.length === 1) return [total];
    const rows = peers.map((peer) => this.row(nowMs, peer));
    return progressTable({ head: 'server', rows, extras, total }, area);
  }

  private row(nowMs: number, peer: Peer): ProgressRow {
    const { status, name, index, retransmissions } = peer;
    const heldBytes = this.ackedBytes(peer);
    const isActive = status === 'active';
    return {
      name,
      state: isActive ? 'receiving' : status,
      standing: isActive || status === 'complete' ? status : 'failed',
      heldBytes,
      sizeBytes: this.sender.geometry.sizeBytes,
      rate: isActive ? this.rates.perSec(nowMs, String(index)) : undefined,
      average: bytesPerSec(heldBytes, (peer.completedAtMs ?? nowMs) - this.startedAtMs),
      more: { segment: String(peer.ackedSegments), resent: String(retransmissions) },
    };
  }

  /** @returns the part, the rates, the ETA and the pending receivers, as far as they fit */
  private totalLine(nowMs: number, columns: number, glyphs: ViewArea['glyphs']): Text {
    const { geometry, deliveredBytes, peers } = this.sender;
    const { sizeBytes } = geometry;
    const rate = this.rate.perSec(nowMs);
    const complete = peers.filter(({ status }) => status === 'complete').length;
    const parts = [
      peers.length === 1 ? '' : countOf(complete, peers.length, columns),
      bar(shareOf(deliveredBytes, sizeBytes), barColumns(columns), glyphs),
      `${percent(deliveredBytes, sizeBytes)}%`.padStart(4),
      `${formatBytes(deliveredBytes)} of ${formatBytes(sizeBytes)}`,
      rate === undefined ? '' : formatRate(rate),
      averagePart(bytesPerSec(deliveredBytes, nowMs - this.startedAtMs)),
      etaPart(secondsFor(sizeBytes - deliveredBytes, rate)),
    ];
    // The names of receivers are cut at the end of the line. A figure is never cut, only left out as a whole.
    const figures = joinFitting(parts, '  ', columns, [5, 3, 0, 1, 4, 6, 2]);
    const pending = this.pendingText();
    const hasRoom = columns - widthOf(figures) >= leastPendingColumns;
    return pending === '' || !hasRoom ? figures : join([figures, pending], '  ');
  }

  private pendingText(): string {
    const pending = this.pending();
    if (pending.length === 0) return '';
    const names = pending.slice(0, maxNames).map(({ name, ackedSegments }) => {
      return `${name} (segment ${ackedSegments})`;
    });
    const rest = pending.length > maxNames ? ` and ${pending.length - maxNames} more` : '';
    return `waiting for ${names.join(', ')}${rest}`;
  }

  private emit(): void {
    const { sizeBytes } = this.sender.geometry;
    this.output.json({
      event: 'progress',
      heldBytes: this.sender.deliveredBytes,
      bytes: sizeBytes,
      seconds: (performance.now() - this.startedAtMs) / 1000,
      pending: this.pending().map(({ name }) => name),
    });
  }

  /** @returns the bytes that the receiver has acknowledged without a gap */
  private ackedBytes({ ackedSegments }: Peer): number {
    const { sizeBytes, mssBytes } = this.sender.geometry;
    return Math.min(sizeBytes, ackedSegments * mssBytes);
  }

  private pending() {
    return this.sender.peers.filter((peer) => peer.isPending);
  }
}
