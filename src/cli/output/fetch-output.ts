/** Output of `p2mp fetch`: the live table of sources, JSON events, the log of segments, and the summary. */
import { closeSync, openSync, writeSync } from 'node:fs';
import { escapeControls } from '../../base/control-characters.js';
import {
  bytesPerSec,
  formatBytes,
  formatPlural,
  formatRate,
  formatSeconds,
} from '../../base/format.js';
import { withoutUndefined } from '../../base/without-undefined.js';
import type { FetchEvent } from '../../node/fetch/fetch-options.js';
import type { ServerSpec } from '../../node/net/resolve-receivers.js';
import { fileError } from '../../node/system-error.js';
import type { FetchReport } from '../../roles/fetch/fetch-events.js';
import type { FetchResult } from '../../roles/fetch/fetch-result.js';
import type { Output } from './output.js';
import { incomingPathsJson } from './paths/path-figures.js';
import { PathRates } from './paths/path-rates.js';
import { printNoGroup, printOddity, printRefused, printReload } from './print-event.js';
import { fetchTable, isArriving, lossOrDash } from './progress/fetch-table.js';
import { rateOrDash } from './progress/progress-parts.js';
import { join, statusTone, toned } from './text.js';

const isAskedAgain = 'it is asked again';

type EventOf<Type extends FetchEvent['type']> = Extract<FetchEvent, { type: Type }>;

export class FetchOutput {
  /** Why each source was last lost. */
  private readonly reasons = new Map<string, string>();
  /** A line that is not printed if the fetch ends with it: then its reason is that of the fetch. */
  private waitingLine = '';
  private readonly log: number | undefined;
  private readonly pathRates = new PathRates();
  /** Until when anything has arrived, since the start. */
  private arrivedAtMs = 0;

  /**
   * @param logPath file for a row of each segment, if any
   * @throws P2mpError TARGET_UNWRITABLE
   */
  constructor(
    private readonly output: Output,
    private readonly isVerbose: boolean,
    logPath: string | undefined,
  ) {
    this.log = logPath === undefined ? undefined : openLog(logPath);
    this.writeRow('source,first_byte,bytes,start_s,end_s,retries,replaced');
  }

  end(): void {
    this.output.endProgress();
    if (this.log !== undefined) closeSync(this.log);
  }

  handleEvent(event: FetchEvent): void {
    const { output } = this;
    if (event.type !== 'end' && this.waitingLine !== '') output.warn(this.waitingLine);
    this.waitingLine = '';
    switch (event.type) {
      case 'chosen': {
        const { label, contentRoot, contentSizeBytes } = event.object;
        output.json({ event: 'chosen', label, contentRoot, bytes: contentSizeBytes });
        break;
      }
      case 'joined':
        output.json({ event: 'joined', source: event.source });
        if (this.isVerbose && !output.isJson) output.detail(`${event.source} joins`);
        break;
      case 'left':
        this.handleLeft(event);
        break;
      case 'deferred':
        output.json({ event: 'deferred', source: event.source, reason: event.reason });
        this.warnOfLoss(event.source, event.reason);
        break;
      case 'segment':
        this.handleSegment(event);
        break;
      case 'progress':
        this.showProgress(event);
        break;
      case 'port-refused':
      case 'unreachable':
        printRefused(output, event, isAskedAgain);
        break;
      case 'no-group':
        printNoGroup(output, event);
        break;
      case 'fault':
      case 'send-error':
        printOddity(output, event, this.isVerbose);
        break;
      default:
        break;
    }
  }

  /** The sources are read again after SIGHUP. */
  async handleReload(reloaded: Promise<readonly ServerSpec[]>): Promise<void> {
    const names = reloaded.then((sources) => sources.map(({ host, name = host }) => name));
    await printReload(this.output, 'source', names);
  }

  private handleLeft({ source, reason, isRetried }: EventOf<'left'>): void {
    this.output.json({ event: 'left', source, reason, isRetried });
    if (isRetried) {
      this.warnOfLoss(source, reason);
      return;
    }
    this.reasons.set(source, reason);
    if (!this.output.isJson)
      this.waitingLine = escapeControls(`${source}: ${reason}; it is not used any more`);
  }

  /** Says once why a source is not used for now. */
  private warnOfLoss(source: string, reason: string): void {
    const isNew = this.reasons.get(source) !== reason;
    this.reasons.set(source, reason);
    if (isNew && !this.output.isJson)
      this.output.warn(escapeControls(`${source}: ${reason}; ${isAskedAgain}`));
  }

  private handleSegment(segment: EventOf<'segment'>): void {
    const { source, firstByte, sizeBytes, startMs, endMs, retries, replaced } = segment;
    const times = [startMs, endMs].map((atMs) => (atMs / 1000).toFixed(3));
    this.writeRow([source, firstByte, sizeBytes, ...times, retries, replaced ?? ''].join());
    if (!this.isVerbose) return;
    this.output.json({
      ...{ event: 'segment', source, firstByte, bytes: sizeBytes },
      ...{ seconds: (endMs - startMs) / 1000, retries },
      ...withoutUndefined({ replaced }),
    });
  }

  private writeRow(row: string): void {
    if (this.log !== undefined) writeSync(this.log, `${row}\n`);
  }

  private pathRatesOf({ report }: EventOf<'progress'>) {
    const { sources = [] } = report ?? {};
    const arriving = sources.map(({ name: key, paths }) => ({ key, paths }));
    return this.pathRates.update(performance.now(), arriving);
  }

  private showProgress(event: EventOf<'progress'>): void {
    const { output } = this;
    const { activity, report, contentSizeBytes, elapsedMs } = event;
    if (output.isJson) {
      output.json({
        ...{ event: 'progress', activity, seconds: elapsedMs / 1000 },
        ...withoutUndefined({ bytes: contentSizeBytes }),
        ...(report === undefined ? {} : reportJson(report)),
      });
    } else if (output.hasProgress) {
      const paths = this.isVerbose ? { pathRates: this.pathRatesOf(event) } : {};
      if (report !== undefined && isArriving(report)) this.arrivedAtMs = elapsedMs;
      const quietMs = elapsedMs - this.arrivedAtMs;
      output.progress((area) => fetchTable({ ...event, ...paths, quietMs }, area));
    }
  }
}

function openLog(path: string): number {
  try {
    return openSync(path, 'w');
  } catch (error) {
    throw fileError('TARGET_UNWRITABLE', path, error);
  }
}

function reportJson(report: FetchReport) {
  return {
    missingBlocks: report.missingBlocks,
    deliveredBytes: report.deliveredBytes,
    duplicateBytes: report.duplicateBytes,
    rate: report.rateBytesPerSec,
    possibleRate: report.possibleBytesPerSec,
    sources: report.sources.map((source) => ({
      source: source.name,
      state: source.state,
      ...withoutUndefined({ reason: source.reason, replaced: source.replaced }),
      deliveredBytes: source.deliveredBytes,
      share: source.share,
      ...withoutUndefined({ rate: source.rateBytesPerSec }),
      rttMs: source.rttMs,
      ...withoutUndefined({ loss: source.lossRatio }),
      inFlight: source.blocksInFlight,
      replacedBlocks: source.blocksReplaced,
      ...incomingPathsJson(source.paths),
    })),
  };
}

/** @returns the last line of --json */
export function fetchResultJson(result: FetchResult) {
  const { status, reason, object, groups, elapsedMs, report } = result;
  return {
    ...{ event: 'result' as const, status, seconds: elapsedMs / 1000, groups },
    ...withoutUndefined({ reason }),
    ...(object === undefined
      ? {}
      : {
          label: object.label,
          bytes: object.contentSizeBytes,
          contentRoot: object.contentRoot,
          manifestDigest: object.manifestDigest,
        }),
    ...(report === undefined ? {} : reportJson(report)),
  };
}

export function printFetchSummary(output: Output, result: FetchResult): void {
  const { status, object, groups, elapsedMs, report, note } = result;
  if (object === undefined) {
    for (const { contentRoot, sources } of groups)
      output.line(`  ${contentRoot} at ${sources.join(', ')}`);
    return;
  }
  const { deliveredBytes = 0, sources = [] } = report ?? {};
  const goodput = bytesPerSec(deliveredBytes, elapsedMs);
  const used = sources.filter((source) => source.deliveredBytes > 0).length;
  output.line(
    join([
      `${escapeControls(object.label)}: ${formatBytes(object.contentSizeBytes)}, `,
      toned(statusTone(status), status),
      status === 'complete' && deliveredBytes > 0 ? ` from ${formatPlural(used, 'source')}` : '',
    ]),
  );
  const already = object.contentSizeBytes - deliveredBytes;
  output.line(
    [
      `  ${formatSeconds(elapsedMs / 1000)}`,
      ...(goodput === undefined || deliveredBytes === 0 ? [] : [`goodput ${formatRate(goodput)}`]),
      ...(status === 'complete' && already > 0 ? [`${formatBytes(already)} already there`] : []),
      ...((report?.duplicateBytes ?? 0) === 0
        ? []
        : [`${formatBytes(report?.duplicateBytes ?? 0)} twice`]),
    ].join(', '),
  );
  output.line(`  content root ${object.contentRoot}`);
  if (note !== '') output.line(`  ${note}`);
  if (sources.length === 0) return;
  const reasons = sources.map(({ reason, replaced }) => reason ?? replaced ?? '');
  const hasReason = reasons.some((each) => each !== '');
  const head = ['source', 'received', 'share', 'rate', 'rtt', 'loss'];
  const rows = sources.map((source, i) => [
    source.name,
    formatBytes(source.deliveredBytes),
    `${Math.round(100 * source.share)}%`,
    rateOrDash(source.rateBytesPerSec),
    `${source.rttMs.toFixed(1)} ms`,
    lossOrDash(source.lossRatio),
    ...(hasReason ? [reasons[i] ?? ''] : []),
  ]);
  const names = hasReason ? [...head, 'why replaced'] : head;
  output.table([names, ...rows], ['loss', 'rtt', 'rate'], []);
}
