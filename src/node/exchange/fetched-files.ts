/** Reports the chunks and files of an exchange that have arrived. */
import type { TimeMs } from '../../base/machine.js';
import type { ReadonlyRangeSet } from '../../base/range-set.js';
import type { ArrivedChunk } from '../../roles/exchange/chunks.js';
import { Chunks } from '../../roles/exchange/chunks.js';
import type { RemoteObject } from '../../roles/exchange/objects/remote-object.js';
import { standardBlockSizeBytes } from '../../wire/sizes.js';
import { describeFile, describeObject, digestsOf } from './exchange-facts.js';
import type { JoinExchangeEvent } from './join-options.js';

/** Converts times of this host to times since the start of the exchange. */
type SinceStart = (atMs: TimeMs) => number;

export class FetchedFiles {
  private readonly byObject = new Map<RemoteObject, Chunks>();

  constructor(
    private readonly reportsChunks: boolean,
    private readonly sinceStart: SinceStart,
  ) {}

  /** It is known now which blocks of an object were held before. */
  *takeHeld(
    nowMs: TimeMs,
    object: RemoteObject,
    held: ReadonlyRangeSet,
  ): Iterable<JoinExchangeEvent> {
    const chunks = this.byObject.get(object) ?? (yield* this.follow(nowMs, object));
    for (const chunk of chunks?.takeHeld(nowMs, held) ?? []) yield* this.events(object, chunk);
  }

  *takeBlock(
    nowMs: TimeMs,
    object: RemoteObject,
    source: string,
    block: number,
  ): Iterable<JoinExchangeEvent> {
    const chunks = this.byObject.get(object) ?? (yield* this.follow(nowMs, object));
    for (const chunk of chunks?.takeBlock(nowMs, block, source) ?? [])
      yield* this.events(object, chunk);
  }

  private *follow(
    nowMs: TimeMs,
    object: RemoteObject,
  ): Generator<JoinExchangeEvent, Chunks | undefined> {
    const { manifest } = object;
    if (manifest === undefined) return undefined;
    const chunks = new Chunks(manifest, standardBlockSizeBytes, nowMs);
    this.byObject.set(object, chunks);
    for (const { number, entry } of chunks.emptyFiles)
      yield this.fileEvent(object, number, entry, this.sinceStart(nowMs));
    return chunks;
  }

  private *events(object: RemoteObject, arrived: ArrivedChunk): Iterable<JoinExchangeEvent> {
    const { file, entry, chunk, sizeBytes, sources, isFileComplete } = arrived;
    const [startMs, endMs] = [this.sinceStart(arrived.startMs), this.sinceStart(arrived.endMs)];
    if (this.reportsChunks)
      yield {
        ...{ type: 'chunk', object: describeObject(object), file: entry.name, chunk, sizeBytes },
        ...{ sources, startMs, endMs },
      };
    if (isFileComplete) yield this.fileEvent(object, file, entry, endMs);
  }

  private fileEvent(
    object: RemoteObject,
    number: number,
    { name, sizeBytes }: { readonly name: string; readonly sizeBytes: number },
    elapsedMs: number,
  ): JoinExchangeEvent {
    const file = describeFile(name, sizeBytes, digestsOf(object)[number]);
    return { type: 'file', object: describeObject(object), file, elapsedMs };
  }
}
