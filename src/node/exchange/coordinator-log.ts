/** The logs of a coordinator: `events.log` while the exchange runs, then `summary.csv` and `report.html`. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { CoordinatorEvent } from '../../roles/exchange/coordinator-events.js';
import type { ExchangedContent, Roster } from '../../roles/exchange/roster.js';
import { fileError } from '../system-error.js';
import type {
  CoordinateExchangeEvent,
  CoordinateExchangeResult,
  LinkRates,
} from './coordinate-options.js';
import type { Arrival, ExchangeRow } from './exchange-report.js';
import { createExchangeReport } from './exchange-report.js';
import type { ClockTimes } from './peer-log.js';
import { awaitedLine, csvCell, endLine, eventLine, LogFile, presenceLine } from './peer-log.js';
import { heldBytesBy, latestPeers, wantedBy } from './peer-statuses.js';

type EventOf<Type extends CoordinatorEvent['type']> = Extract<CoordinatorEvent, { type: Type }>;

const summaryHeader = 'peer,owner,object,bytes,files,held_bytes,stored_ms';

export class CoordinatorLog {
  /** When each peer stored each object, by their names. */
  private readonly storedMs = new Map<string, number>();
  /** What each peer held of others, and when. */
  private readonly arrivals = new Map<string, Arrival[]>();

  private constructor(
    private readonly folder: string,
    private readonly events: LogFile,
  ) {}

  /** @throws P2mpError TARGET_UNWRITABLE */
  static async open(folder: string): Promise<CoordinatorLog> {
    return new CoordinatorLog(folder, await LogFile.open(folder, 'events.log'));
  }

  write(times: ClockTimes, event: CoordinateExchangeEvent): void {
    const text = describe(event);
    if (text !== undefined) this.events.line(eventLine(times, text));
  }

  noteEnd(times: ClockTimes, elapsedMs: number, reason: string): void {
    this.events.line(eventLine(times, endLine(elapsedMs, reason)));
  }

  noteHeld({ peer, content, atMs }: EventOf<'held'>): void {
    const arrivals = this.arrivals.get(peer.name) ?? [];
    this.arrivals.set(peer.name, arrivals);
    if (peer.brings(content)) return;
    let heldBytes = 0;
    for (const each of peer.holdings.keys())
      if (!peer.brings(each)) heldBytes += heldBytesBy(peer, each);
    arrivals.push({ atMs, heldBytes });
  }

  noteStored({ peer, object: { content }, atMs }: EventOf<'stored'>): void {
    const key = `${peer.name}\n${content.id}`;
    if (!this.storedMs.has(key)) this.storedMs.set(key, atMs);
  }

  /**
   * Writes `summary.csv` and `report.html`.
   * @throws P2mpError TARGET_UNWRITABLE
   */
  async conclude(
    roster: Roster,
    result: CoordinateExchangeResult,
    link: LinkRates | undefined,
  ): Promise<void> {
    const rows = this.rowsOf(roster);
    const lines = rows.map(({ peer, owner, object, sizeBytes, fileCount, heldBytes, storedMs }) =>
      [
        ...[peer, owner, object].map(csvCell),
        ...[sizeBytes, fileCount, heldBytes, storedMs?.toFixed(3) ?? ''],
      ].join(),
    );
    await this.save('summary.csv', `${[summaryHeader, ...lines].join('\n')}\n`);
    const owned = latestPeers(roster).map(({ name, objects }) => {
      const sizes = objects.map(({ content }) => content.contentSizeBytes);
      return { name, sizeBytes: sizes.reduce((sum, size) => sum + size, 0) };
    });
    const { arrivals } = this;
    const report = createExchangeReport({ rows, result, arrivals, owned, link });
    await this.save('report.html', report);
  }

  close(): Promise<void> {
    return this.events.close();
  }

  private rowsOf(roster: Roster): ExchangeRow[] {
    return latestPeers(roster).flatMap((peer) =>
      wantedBy(peer, roster.contents).map((content) => ({
        ...{ peer: peer.name, ...nameOf(content), sizeBytes: content.contentSizeBytes },
        heldBytes: heldBytesBy(peer, content),
        storedMs: this.storedMs.get(`${peer.name}\n${content.id}`),
      })),
    );
  }

  private async save(name: string, text: string): Promise<void> {
    const path = join(this.folder, name);
    await writeFile(path, text).catch((error: unknown) => {
      throw fileError('TARGET_UNWRITABLE', path, error);
    });
  }
}

/** Content has the name that its first owner gave it. */
function nameOf(content: ExchangedContent) {
  const [owner] = content.owners;
  const object = owner?.objects.find((each) => each.content === content);
  const { name = '', fileCount = 0 } = object ?? {};
  return { owner: owner?.name ?? '', object: name, fileCount };
}

/** @returns undefined for events that the log leaves out */
function describe(event: CoordinateExchangeEvent): string | undefined {
  switch (event.type) {
    case 'joined': {
      const objects = event.objects.map((each) => `${each.name} (${each.contentSizeBytes} bytes)`);
      return `connected: ${event.name} at ${event.address} brings ${objects.join(', ') || 'nothing'}`;
    }
    case 'absent':
      return presenceLine(event);
    case 'awaited':
      return awaitedLine(event);
    case 'back':
      return `${event.name} is back`;
    case 'start':
      return `the exchange begins in ${event.inMs.toFixed(3)} ms with ${event.peers.join(', ')}`;
    case 'stored': {
      const { name, owner, object, elapsedMs } = event;
      return `${name} has stored ${owner}/${object} after ${elapsedMs.toFixed(3)} ms`;
    }
    case 'invited':
      return `a host at ${event.from.host} was invited`;
    case 'turned-away':
      return `a host at ${event.from.host} was refused: ${event.reason}`;
    case 'send-error':
      return `the system refused to send: ${event.message}`;
    default:
      return undefined;
  }
}
