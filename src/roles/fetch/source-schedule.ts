/** Couples the schedule of a fetch with its sources: what they have delivered goes in, what is wanted of them comes out. */
import { at } from '../../base/assert.js';
import type { TimeMs } from '../../base/machine.js';
import type { ReadonlyRangeSet } from '../../base/range-set.js';
import { withoutUndefined } from '../../base/without-undefined.js';
import { lossRatioOf } from '../../session/figures.js';
import type { Supplying } from '../../session/incoming/stages/supplying.js';
import type { IncomingPathStatus } from '../../session/receiver-events.js';
import type { FetchReport, FetchSegment, SourceReport } from './fetch-events.js';
import type { FetchedObject } from './fetched-object.js';
import { FetchScheduler } from './scheduler.js';
import type { FetchSchedulerOptions } from './scheduler-options.js';
import type { Source } from './source.js';
import type { Sources } from './sources.js';

/** What a schedule reports, with the names of the sources. */
export type ScheduleEvent =
  | (Omit<FetchSegment, 'source'> & { readonly source: string })
  /** Every block has arrived. */
  | { readonly type: 'complete' };

export class SourceSchedule {
  private readonly scheduler: FetchScheduler;
  /** The sources by their numbers in the schedule. */
  private readonly scheduled: Source[] = [];
  private duplicateBytes = 0;
  /** The sessions with the sources, also those that have ended, by the numbers of the sources in the schedule. */
  private readonly suppliers: Supplying[] = [];

  constructor(
    private readonly sources: Sources,
    private readonly object: FetchedObject,
    options: Omit<FetchSchedulerOptions, 'contentSizeBytes' | 'blockSizeBytes' | 'missing'>,
  ) {
    const { contentSizeBytes, blockSizeBytes, missing } = object;
    this.scheduler = new FetchScheduler({ ...options, contentSizeBytes, blockSizeBytes, missing });
  }

  /** Begins to ask all usable sources that are not silent. */
  begin(nowMs: TimeMs): void {
    for (const source of this.sources.usable) if (source.isDelivering) this.add(nowMs, source);
    this.scheduler.begin(nowMs);
  }

  report(nowMs: TimeMs): FetchReport {
    const report = this.scheduler.report(nowMs);
    const duplicateBytes = report.duplicateBytes + this.duplicateBytes;
    const sources = joinByName(report.sources).map((source) => ({
      ...source,
      ...withoutUndefined({
        lossRatio: this.lossOf(source.name),
        paths: this.pathsOf(source.name),
      }),
    }));
    return { ...report, duplicateBytes, sources };
  }

  /** @returns the loss on the way from a source, in all of its sessions; undefined before anything was sent */
  private lossOf(name: string): number | undefined {
    let [received, lost] = [0, 0];
    for (const { datagramFigures } of this.suppliersOf(name)) {
      received += datagramFigures.datagramsReceived;
      lost += datagramFigures.datagramsLost;
    }
    return received + lost === 0 ? undefined : lossRatioOf(lost, received);
  }

  /** @returns the paths of the latest session with a source; undefined if there is only one */
  private pathsOf(name: string): readonly IncomingPathStatus[] | undefined {
    const paths = this.suppliersOf(name).at(-1)?.pathStatus ?? [];
    return paths.length > 1 ? paths : undefined;
  }

  /** The sessions with a source, in the order of time. */
  private suppliersOf(name: string): Supplying[] {
    return this.suppliers.filter((_, index) => this.scheduled[index]?.name === name);
  }

  // --- Sources

  /** A source can be asked for blocks from now on. */
  add(nowMs: TimeMs, source: Source): void {
    const rttMs = this.sources.rttMsOf(nowMs, source);
    const { name, holds, session } = source;
    const known = withoutUndefined({ rttMs, holds, session });
    const index = this.scheduler.join(nowMs, { name, ...known });
    source.index = index;
    this.scheduled[index] = source;
    const supplier = this.sources.supplierOf(source);
    this.scheduler.setPace(index, supplier?.usesGroup === true);
    this.sources.wantOnly(nowMs, source, this.scheduler.wantedFrom(index));
  }

  /** Nothing can be asked of a source any more. */
  remove(nowMs: TimeMs, source: Source, reason: string): void {
    if (source.index === undefined) return;
    this.scheduler.leave(nowMs, source.index, reason);
    source.index = undefined;
  }

  /** Whether the source is likely to answer within a few round trips. */
  isPrompt({ index }: Source): boolean {
    return index !== undefined && !this.scheduler.hasSlowedDown(index);
  }

  // --- Blocks

  /** Of these blocks, those that are missing can be asked for from now on. The others turn out to be held. */
  release(nowMs: TimeMs, blocks: ReadonlyRangeSet, missing: ReadonlyRangeSet): void {
    this.scheduler.release(nowMs, blocks, missing);
  }

  /** A verified block has arrived. */
  handleBlock(nowMs: TimeMs, source: Source, block: number): void {
    source.noteDelivery(nowMs);
    if (source.index === undefined) this.add(nowMs, source);
    this.measure(nowMs, source);
    if (source.index !== undefined) this.scheduler.handleBlock(nowMs, source.index, block);
  }

  /** A block has arrived that is held already. */
  noteDuplicate(sizeBytes: number): void {
    this.duplicateBytes += sizeBytes;
  }

  /** Blocks turn out to be missing. */
  handleMissing(nowMs: TimeMs, startBlock: number, endBlock: number): void {
    this.scheduler.handleMissing(nowMs, startBlock, endBlock);
  }

  /** Asks for these blocks before others, because somebody waits for them. Those that had arrived are lost. */
  hurry(nowMs: TimeMs, startBlock: number, endBlock: number): void {
    for (const { start, end } of this.object.lose(startBlock, endBlock))
      this.scheduler.handleMissing(nowMs, start, end);
    this.scheduler.hurry(nowMs, startBlock, endBlock);
  }

  /** Asks for all that is missing from now on, also if nobody waits for it. */
  fetchAll(nowMs: TimeMs): void {
    this.scheduler.fetchAll(nowMs);
  }

  private measure(nowMs: TimeMs, source: Source): void {
    const { index } = source;
    const supplier = this.sources.supplierOf(source);
    if (index === undefined || supplier === undefined) return;
    this.suppliers[index] = supplier;
    this.scheduler.update(nowMs, index, supplier.arrivedBytes);
    this.scheduler.setPace(index, supplier.usesGroup);
  }

  // --- Time

  handleTimeout(nowMs: TimeMs): void {
    for (const source of this.scheduled) this.measure(nowMs, source);
    this.scheduler.handleTimeout(nowMs);
  }

  pollTimeout(): TimeMs | undefined {
    return this.scheduler.pollTimeout();
  }

  // --- Outputs

  /** Says to the sources what is wanted of them. @returns the next event, if any */
  pollEvent(nowMs: TimeMs): ScheduleEvent | undefined {
    const { scheduler } = this;
    for (
      let index = scheduler.pollChanged();
      index !== undefined;
      index = scheduler.pollChanged()
    ) {
      const source = at(this.scheduled, index);
      if (source.index === index) this.sources.wantOnly(nowMs, source, scheduler.wantedFrom(index));
    }
    for (let event = scheduler.pollEvent(); event !== undefined; event = scheduler.pollEvent()) {
      if (event.type === 'segment')
        return { ...event, source: at(this.scheduled, event.source).name };
      if (event.type === 'complete') return event;
    }
    return undefined;
  }
}

/** A source that was lost and came back is one source. */
function joinByName(reports: readonly SourceReport[]): SourceReport[] {
  const joined = new Map<string, SourceReport>();
  for (const later of reports) {
    const earlier = joined.get(later.name);
    joined.set(later.name, {
      ...later,
      deliveredBytes: later.deliveredBytes + (earlier?.deliveredBytes ?? 0),
      share: later.share + (earlier?.share ?? 0),
      blocksReplaced: later.blocksReplaced + (earlier?.blocksReplaced ?? 0),
      ...withoutUndefined({ replaced: later.replaced ?? earlier?.replaced }),
    });
  }
  return [...joined.values()];
}
