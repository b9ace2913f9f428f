/** Output of `p2mp relay`: what `p2mp serve` prints of its clients, and what happens to the cache. */
import { escapeControls } from '../../../base/control-characters.js';
import { formatBytes, formatPlural, formatSeconds } from '../../../base/format.js';
import type { RelayFilesEvent } from '../../../node/relay/relay-options.js';
import type { Relaying } from '../../../node/relay/relaying.js';
import type { CachedObject } from '../../../roles/relay/object-cache.js';
import type { RelayReport, RelayTotals } from '../../../roles/relay/relay-events.js';
import { toHex } from '../../../wire/byte-codec.js';
import type { Output } from '../output.js';
import { ServeOutput, type ServeOutputOptions } from '../serve-output.js';

type EventOf<Type extends RelayReport['type']> = Extract<RelayReport, { type: Type }>;

export class RelayOutput {
  private readonly clients: ServeOutput;
  /** For each upstream host that is away, the reason that was printed last. */
  private readonly away = new Map<string, string>();

  constructor(
    private readonly output: Output,
    private readonly options: ServeOutputOptions,
  ) {
    this.clients = new ServeOutput(output, options);
  }

  handleEvent(event: RelayFilesEvent): void {
    const { output } = this;
    switch (event.type) {
      case 'upstream-joined':
        output.json({ event: event.type, name: event.name, upstream: event.upstream });
        this.notePresence(event.upstream);
        break;
      case 'upstream-left':
        this.handleLeft(event);
        break;
      case 'upstream-away':
        output.json({ event: event.type, upstream: event.upstream, reason: event.reason });
        this.noteAbsence(event.upstream, event.reason);
        break;
      case 'upstream-answers':
        output.json({ event: event.type, upstream: event.upstream });
        this.notePresence(event.upstream);
        break;
      case 'hit':
      case 'miss': {
        const { name, contentRoot, contentSizeBytes: bytes } = event;
        output.json({ event: event.type, name, contentRoot, bytes });
        if (event.type === 'hit') this.detail(`${name} is in the cache`);
        break;
      }
      case 'fill':
      case 'filled':
      case 'fill-stopped':
      case 'fill-failed':
        this.handleFill(event);
        break;
      case 'evicted': {
        const { name, contentSizeBytes: bytes } = event;
        output.json({ event: 'evicted', name, bytes });
        this.line(`${name} left the cache, ${formatBytes(bytes)}`);
        break;
      }
      case 'cache-error': {
        const { name, reason } = event;
        output.json({ event: 'cache-error', name, reason });
        if (!output.isJson) output.warn(escapeControls(`cache: ${reason}`));
        break;
      }
      default:
        this.clients.handleEvent(event);
    }
  }

  /** Says what the cache holds at the start. */
  showCache(relaying: Pick<Relaying, 'cacheCounts' | 'cacheSizeBytes'>): void {
    const { objectCount: objects, partCount } = relaying.cacheCounts;
    const { cacheSizeBytes: bytes } = relaying;
    this.output.json({ event: 'cache', objects, bytes });
    const parts = partCount === objects ? ' (in part)' : ` (${partCount} in part)`;
    const count = `${formatPlural(objects, 'object')}${partCount === 0 ? '' : parts}`;
    this.line(`The cache holds ${count}, ${formatBytes(bytes)}`);
  }

  end({ hits, misses, fetchedBytes }: RelayTotals): void {
    this.output.json({ event: 'cache-result', hits, misses, fetchedBytes });
    this.clients.end();
  }

  private handleLeft({ name, upstream, reason, isRetried }: EventOf<'upstream-left'>): void {
    this.output.json({ event: 'upstream-left', name, upstream, reason, isRetried });
    if (isRetried) this.noteAbsence(upstream, reason);
    else this.detail(`${name}: ${upstream} ${reason}`);
  }

  /** Says once, not for each object, that an upstream host is away. */
  private noteAbsence(upstream: string, reason: string): void {
    const { output, away } = this;
    if (away.get(upstream) === reason) return;
    away.set(upstream, reason);
    if (!output.isJson) output.warn(escapeControls(`${upstream}: ${reason}; it is asked again`));
  }

  private notePresence(upstream: string): void {
    if (this.away.delete(upstream)) this.line(`${upstream} answers now`);
  }

  private handleFill(event: EventOf<'fill' | 'filled' | 'fill-stopped' | 'fill-failed'>): void {
    const { output } = this;
    const { type, name, contentRoot, contentSizeBytes: bytes } = event;
    const object = { name, contentRoot, bytes };
    if (type === 'fill') {
      const { isCached } = event;
      output.json({ event: 'fill', ...object, isCached });
      const passes = isCached ? '' : '; it is not kept, because there is no room';
      this.line(`Fetching ${name}, ${formatBytes(bytes)}, content root ${contentRoot}${passes}`);
    } else if (type === 'filled') {
      const { fetchedBytes, elapsedMs } = event;
      output.json({ event: 'filled', ...object, fetchedBytes, seconds: elapsedMs / 1000 });
      const facts = `${formatBytes(fetchedBytes)} in ${formatSeconds(elapsedMs / 1000)}`;
      this.line(`Fetched ${name}, ${facts}`);
    } else if (type === 'fill-stopped') {
      const { fetchedBytes, elapsedMs, reason } = event;
      const seconds = elapsedMs / 1000;
      output.json({ event: 'fill-stopped', ...object, fetchedBytes, seconds, reason });
      const facts = `${formatBytes(fetchedBytes)} of ${name} in ${formatSeconds(seconds)}`;
      this.line(`Fetched ${facts}; ${reason}`);
    } else {
      const { reason } = event;
      output.json({ event: 'fill-failed', ...object, reason });
      if (!output.isJson) output.warn(escapeControls(`${name}: cannot be fetched now: ${reason}`));
    }
  }

  private line(text: string): void {
    this.output.line(escapeControls(text));
  }

  private detail(text: string): void {
    if (this.options.isVerbose && !this.output.isJson) this.output.detail(escapeControls(text));
  }
}

/** Prints what a cache holds, or what was removed from it. */
export function printCache(
  output: Output,
  objects: readonly CachedObject[],
  isCleared: boolean,
): void {
  const isAnyPart = objects.some(({ isWhole }) => !isWhole);
  const rows = objects.map(({ name, contentRoot, contentSizeBytes: bytes, isWhole }) => {
    const root = toHex(contentRoot);
    output.json({ event: 'cached', name, contentRoot: root, bytes, isWhole });
    return [name, formatBytes(bytes), root, ...(isAnyPart ? [isWhole ? '' : 'in part'] : [])];
  });
  const names = ['name', 'size', 'content root', ...(isAnyPart ? ['held'] : [])];
  if (rows.length > 0) output.table([names, ...rows], []);
  const count = formatPlural(objects.length, 'object');
  output.json({
    event: 'result',
    status: isCleared ? 'cleared' : 'listed',
    objects: objects.length,
  });
  output.line(isCleared ? `Removed ${count}` : count);
}
