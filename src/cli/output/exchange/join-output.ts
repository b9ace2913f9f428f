/** Output of `p2mp exchange join`: the live table of objects, JSON events, and the result. */
import { escapeControls } from '../../../base/control-characters.js';
import {
  bytesPerSec,
  formatBytes,
  formatPlural,
  formatRate,
  formatSeconds,
} from '../../../base/format.js';
import { RecentRates } from '../../../base/recent-rate.js';
import { withoutUndefined } from '../../../base/without-undefined.js';
import type {
  ExchangeObjectStatus,
  JoinExchangeEvent,
  JoinExchangeResult,
} from '../../../node/exchange/join-options.js';
import type { Output } from '../output.js';
import { printNoGroup, printOddity } from '../print-event.js';
import type { ViewArea } from '../progress/live-view.js';
import { progressTable } from '../progress/progress-table.js';
import { joinFitting } from '../table.js';
import type { Text } from '../text.js';
import { AwaitedPeers } from './awaited-peers.js';
import { listObjects } from './coordinate-output.js';

type EventOf<Type extends JoinExchangeEvent['type']> = Extract<JoinExchangeEvent, { type: Type }>;

export class JoinOutput {
  private readonly rates = new RecentRates();
  /** The last reason for each object that could not be kept. */
  private readonly failures = new Map<string, string>();
  private readonly awaited: AwaitedPeers;
  private progress: EventOf<'progress'> | undefined;

  constructor(
    private readonly output: Output,
    private readonly isVerbose: boolean,
  ) {
    this.awaited = new AwaitedPeers(output);
  }

  end(): void {
    this.output.endProgress();
  }

  handleEvent(event: JoinExchangeEvent): void {
    const { output } = this;
    switch (event.type) {
      case 'indexed':
        this.handleIndexed(event);
        break;
      case 'welcome':
        output.json({ event: 'welcome', expectedPeers: event.expectedPeers });
        this.line(
          `Connected; the coordinator waits for ${formatPlural(event.expectedPeers, 'peer')}`,
        );
        break;
      case 'coordinator-lost':
        output.json({ event: 'coordinator-lost', reason: event.reason });
        this.warn(`the coordinator: ${event.reason}; it is asked again`, 'coordinator');
        break;
      case 'peer':
        this.handlePeer(event);
        break;
      case 'presence': {
        const { name: peer, presence } = event;
        if (presence === 'present') output.json({ event: 'back', peer });
        else output.json({ event: 'absent', peer, presence });
        this.line(`${peer} ${presenceText[presence]}`);
        break;
      }
      case 'awaited':
        this.awaited.handleEvent(event);
        break;
      case 'start': {
        const { inMs, uncertaintyMs } = event;
        output.json({ event: 'start', inMs, uncertaintyMs });
        this.line(`The exchange begins; clocks agree within ${uncertaintyMs.toFixed(1)} ms`);
        break;
      }
      case 'progress':
        this.showProgress(event);
        break;
      case 'no-group':
        printNoGroup(output, event);
        break;
      case 'port-refused':
      case 'unreachable':
        output.json({ event: event.type, receiver: event.receiver, reason: event.reason });
        this.warn(`${event.receiver}: ${event.reason}; it is asked again`, event.receiver);
        break;
      case 'fault':
      case 'send-error':
        printOddity(output, event, this.isVerbose);
        break;
      case 'segment':
        break;
      default:
        this.handleObjectEvent(event);
    }
  }

  private handleIndexed(event: EventOf<'indexed'>): void {
    const { name: object, contentSizeBytes: bytes, files } = event;
    const listed = files.map(({ name: file, sizeBytes, md5, sha256 }) => {
      return { file, bytes: sizeBytes, md5, sha256 };
    });
    this.output.json({ event: 'indexed', object, bytes, files: listed });
    this.line(`Bringing ${object}, ${formatPlural(files.length, 'file')}, ${formatBytes(bytes)}`);
  }

  private handlePeer({ name: peer, address, objects }: EventOf<'peer'>): void {
    const listed = objects.map(({ name: object, contentSizeBytes: bytes }) => {
      return { object, bytes };
    });
    this.output.json({ event: 'joined', peer, address, objects: listed });
    this.line(`${peer} at ${address} brings ${listObjects(objects)}`);
  }

  private handleObjectEvent(
    event: EventOf<'source' | 'left' | 'chunk' | 'file' | 'failed' | 'stored' | 'withdrawn'>,
  ): void {
    const { output } = this;
    if (event.type === 'withdrawn') {
      const { name: object, reason } = event;
      output.json({ event: 'withdrawn', object, reason });
      this.warn(reason, object);
      return;
    }
    const { owner, name: object, contentSizeBytes: bytes } = event.object;
    const which = { owner, object };
    switch (event.type) {
      case 'source':
        output.json({ event: 'source', ...which, source: event.source });
        this.detail(`${owner}/${object} comes from ${event.source}`);
        break;
      case 'left':
        output.json({ event: 'left', ...which, source: event.source, reason: event.reason });
        this.detail(`${owner}/${object} does not come from ${event.source}: ${event.reason}`);
        break;
      case 'chunk': {
        const { file, chunk, sizeBytes, sources, startMs, endMs } = event;
        const facts = { owner, file, chunk, bytes: sizeBytes };
        output.json({ event: 'chunk', ...facts, sources, startMs, endMs });
        break;
      }
      case 'file': {
        const { file, elapsedMs } = event;
        const { name, sizeBytes, md5, sha256 } = file;
        const seconds = Math.max(0, elapsedMs) / 1000;
        output.json({ event: 'file', owner, file: name, bytes: sizeBytes, md5, sha256, seconds });
        this.detail(`${owner}/${name} is complete, MD5 ${md5}`);
        break;
      }
      case 'failed':
        output.json({ event: 'failed', ...which, reason: event.reason });
        this.warn(`${owner}/${object}: ${event.reason}; it is tried again`, `${owner}/${object}`);
        break;
      case 'stored': {
        const seconds = Math.max(0, event.elapsedMs) / 1000;
        output.json({ event: 'stored', ...which, bytes, seconds });
        this.showStored(event.object);
        this.line(`${owner}/${object} is complete after ${formatSeconds(seconds)}`);
        break;
      }
    }
  }

  private line(text: string): void {
    this.output.line(escapeControls(text));
  }

  private detail(text: string): void {
    if (this.isVerbose && !this.output.isJson) this.output.detail(escapeControls(text));
  }

  /** Prints a warning, but the same one about the same thing only once. */
  private warn(text: string, about: string): void {
    if (this.output.isJson || this.failures.get(about) === text) return;
    this.failures.set(about, text);
    this.output.warn(escapeControls(text));
  }

  /** The table is as new as the line that says that an object is complete. */
  private showStored({ owner, name }: EventOf<'stored'>['object']): void {
    const { progress } = this;
    if (progress === undefined || this.output.isJson) return;
    const objects = progress.objects.map((each) =>
      each.owner === owner && each.name === name
        ? { ...each, state: 'stored' as const, heldBytes: each.contentSizeBytes, sources: [] }
        : each,
    );
    this.showProgress({ ...progress, objects });
  }

  private showProgress(event: EventOf<'progress'>): void {
    const { output } = this;
    this.progress = event;
    const { objects, clientCount: clients, elapsedMs } = event;
    if (output.isJson) {
      const seconds = elapsedMs === undefined ? undefined : elapsedMs / 1000;
      const facts = { objects: objectsJson(objects), clients };
      output.json({ event: 'progress', ...withoutUndefined({ seconds }), ...facts });
    } else if (output.hasProgress && objects.length > 0) {
      const held = new Map(objects.map((object) => [nameOf(object), object.heldBytes]));
      this.rates.update(performance.now(), held);
      output.progress((area) => this.table(event, area));
    }
  }

  private table({ objects, clientCount, elapsedMs }: EventOf<'progress'>, area: ViewArea): Text[] {
    const rates = objects.map((each) => this.rates.perSec(performance.now(), nameOf(each)));
    const rows = objects.map((object, i) => ({
      name: nameOf(object),
      state: object.state,
      standing: standingOf(object),
      heldBytes: object.heldBytes,
      sizeBytes: object.contentSizeBytes,
      rate: rates[i],
      average: elapsedMs === undefined ? undefined : bytesPerSec(object.heldBytes, elapsedMs),
      more: { from: object.sources.join(', ') },
    }));
    const rate = rates.reduce<number>((sum, each) => sum + (each ?? 0), 0);
    const storedCount = objects.filter(({ state }) => state === 'stored').length;
    const parts = [
      this.awaited.describe(),
      `${storedCount} of ${formatPlural(objects.length, 'object')}`,
      rate > 0 ? formatRate(rate) : '',
      `${formatPlural(clientCount, 'peer')} fetching here`,
      elapsedMs === undefined ? 'waiting' : formatSeconds(elapsedMs / 1000),
    ];
    const total = joinFitting(parts, '  ', area.columns, [3, 2]);
    const extras = ['from', 'ETA', 'average'];
    return progressTable({ head: 'object', rows, extras, total }, area);
  }
}

const presenceText = { present: 'is back', silent: 'is silent', left: 'has left' } as const;

function nameOf({ owner, name }: ExchangeObjectStatus): string {
  return `${owner}/${name}`;
}

function standingOf({ state }: ExchangeObjectStatus) {
  if (state === 'stored') return 'complete' as const;
  return state === 'waiting' ? ('waiting' as const) : ('active' as const);
}

function objectsJson(objects: readonly ExchangeObjectStatus[]) {
  return objects.map((each) => ({
    ...{ owner: each.owner, object: each.name, bytes: each.contentSizeBytes },
    ...{ heldBytes: each.heldBytes, state: each.state, sources: each.sources },
  }));
}

/** @returns the last line of --json */
export function joinResultJson(result: JoinExchangeResult) {
  const { status, reason, elapsedMs, datagramsSent: datagrams, objects } = result;
  return {
    ...{ event: 'result' as const, status, ...withoutUndefined({ reason }) },
    ...{ seconds: elapsedMs / 1000, datagrams, objects: objectsJson(objects) },
  };
}

export function printJoinSummary(output: Output, result: JoinExchangeResult): void {
  const { status, objects, elapsedMs } = result;
  if (objects.length === 0) {
    if (status === 'complete') output.line('The other peers brought nothing');
    return;
  }
  const stored = objects.filter(({ state }) => state === 'stored');
  const bytes = objects.reduce((sum, { heldBytes }) => sum + heldBytes, 0);
  const goodput = bytesPerSec(bytes, elapsedMs);
  output.line(
    [
      `${stored.length} of ${formatPlural(objects.length, 'object')}`,
      `${formatBytes(bytes)} in ${formatSeconds(elapsedMs / 1000)}`,
      ...(goodput === undefined || bytes === 0 ? [] : [formatRate(goodput)]),
    ].join(', '),
  );
  const missing = objects.filter(({ state }) => state !== 'stored');
  if (missing.length === 0) return;
  const rows = missing.map((object) => [
    nameOf(object),
    formatBytes(object.heldBytes),
    formatBytes(object.contentSizeBytes),
  ]);
  output.table([['not complete', 'held', 'of'], ...rows], [], []);
}
