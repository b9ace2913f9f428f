/** Output of `p2mp exchange coordinate`: the live table of peers, JSON events, and the result. */
import { formatAddress } from '../../../base/address.js';
import { escapeControls } from '../../../base/control-characters.js';
import { bytesPerSec, formatBytes, formatPlural, formatSeconds } from '../../../base/format.js';
import { RecentRates } from '../../../base/recent-rate.js';
import { withoutUndefined } from '../../../base/without-undefined.js';
import type {
  CoordinateExchangeEvent,
  CoordinateExchangeResult,
  ExchangePeerStatus,
} from '../../../node/exchange/coordinate-options.js';
import { formatAuthorizedKey } from '../../../node/keys/authorized-keys.js';
import { fingerprint } from '../../../node/keys/key-files.js';
import type { Output } from '../output.js';
import { printOddity } from '../print-event.js';
import type { ViewArea } from '../progress/live-view.js';
import { progressTable } from '../progress/progress-table.js';
import { joinFitting } from '../table.js';
import type { Text } from '../text.js';
import { AwaitedPeers } from './awaited-peers.js';

type EventOf<Type extends CoordinateExchangeEvent['type']> = Extract<
  CoordinateExchangeEvent,
  { type: Type }
>;

export interface CoordinateOutputOptions {
  readonly isVerbose: boolean;
  /** Path of the file of authorized keys; undefined with --open. */
  readonly authorizedPath?: string;
  readonly expectedPeers: number;
}

export class CoordinateOutput {
  private readonly rates = new RecentRates();
  private readonly awaited: AwaitedPeers;

  constructor(
    private readonly output: Output,
    private readonly options: CoordinateOutputOptions,
  ) {
    this.awaited = new AwaitedPeers(output);
  }

  end(): void {
    this.output.endProgress();
  }

  handleEvent(event: CoordinateExchangeEvent): void {
    const { output } = this;
    switch (event.type) {
      case 'joined': {
        const { name: peer, address, objects } = event;
        const listed = objects.map(
          ({ name: object, contentSizeBytes: bytes, fileCount: files }) => {
            return { object, bytes, files };
          },
        );
        output.json({ event: 'joined', peer, address, objects: listed });
        this.line(`${peer} at ${address} takes part and brings ${listObjects(objects)}`);
        break;
      }
      case 'absent': {
        const { name: peer, presence } = event;
        output.json({ event: 'absent', peer, presence });
        if (presence === 'left') this.line(`${peer} has left; the others continue`);
        else this.warn(`${peer} is silent; the others continue without it`);
        break;
      }
      case 'back':
        output.json({ event: 'back', peer: event.name });
        this.line(`${event.name} is back`);
        break;
      case 'awaited':
        this.awaited.handleEvent(event);
        break;
      case 'start': {
        const { inMs, peers } = event;
        output.json({ event: 'start', peers, inMs });
        this.line(`The exchange begins with ${peers.join(', ')}`);
        break;
      }
      case 'stored': {
        const { name: peer, owner, object, contentSizeBytes: bytes, elapsedMs } = event;
        output.json({ event: 'stored', peer, owner, object, bytes, seconds: elapsedMs / 1000 });
        const text = `${peer} has ${owner}/${object} after ${formatSeconds(elapsedMs / 1000)}`;
        if (this.options.isVerbose && !output.isJson) output.detail(escapeControls(text));
        break;
      }
      case 'progress':
        this.showProgress(event);
        break;
      case 'turned-away':
        this.handleTurnedAway(event);
        break;
      case 'invited':
        // Printed once its key is saved.
        break;
      default:
        printOddity(output, event, this.options.isVerbose);
    }
  }

  private line(text: string): void {
    this.output.line(escapeControls(text));
  }

  private warn(text: string): void {
    if (!this.output.isJson) this.output.warn(escapeControls(text));
  }

  private handleTurnedAway(event: EventOf<'turned-away'>): void {
    const { cause, from, peerKey, reason, unreported } = event;
    const { authorizedPath } = this.options;
    const peer = formatAddress(from);
    const line =
      cause === 'no-room' || authorizedPath === undefined
        ? undefined
        : formatAuthorizedKey(['exchange'], peerKey, from.host);
    const remedy = line === undefined ? {} : withoutUndefined({ listFile: authorizedPath, line });
    const key = fingerprint(peerKey);
    const facts = { event: 'turned-away', peer, cause, fingerprint: key } as const;
    this.output.json({ ...facts, reason, unreported, ...remedy });
    const add =
      line === undefined ? '' : `; to let it take part, add to ${authorizedPath}: ${line}`;
    this.warn(`${peer}: refused: ${reason}${add}`);
  }

  private showProgress({ peers, elapsedMs }: EventOf<'progress'>): void {
    const { output } = this;
    if (output.isJson) {
      const seconds = elapsedMs === undefined ? undefined : elapsedMs / 1000;
      output.json({ event: 'progress', ...withoutUndefined({ seconds }), peers: peersJson(peers) });
    } else if (output.hasProgress && peers.length > 0) {
      const held = new Map(peers.map(({ name, heldBytes }) => [name, heldBytes]));
      this.rates.update(performance.now(), held);
      output.progress((area) => this.table(peers, elapsedMs, area));
    }
  }

  private table(
    peers: readonly ExchangePeerStatus[],
    elapsedMs: number | undefined,
    area: ViewArea,
  ): Text[] {
    const rows = peers.map((peer) => ({
      name: peer.name,
      state: stateOf(peer, elapsedMs !== undefined),
      standing: standingOf(peer),
      heldBytes: peer.heldBytes,
      sizeBytes: peer.totalBytes,
      rate: this.rates.perSec(performance.now(), peer.name),
      average: elapsedMs === undefined ? undefined : bytesPerSec(peer.heldBytes, elapsedMs),
      more: { objects: `${peer.storedObjects}/${peer.totalObjects}`, address: peer.address },
    }));
    const { expectedPeers } = this.options;
    const total =
      elapsedMs === undefined
        ? [`waiting for peers: ${peers.length} of ${expectedPeers}`]
        : [
            this.awaited.describe(),
            formatPlural(peers.length, 'peer'),
            formatSeconds(elapsedMs / 1000),
          ];
    const extras = ['address', 'objects', 'ETA', 'average'];
    const line = joinFitting(total, '  ', area.columns, [2, 1]);
    return progressTable({ head: 'peer', rows, extras, total: line }, area);
  }
}

function stateOf(peer: ExchangePeerStatus, hasBegun: boolean): string {
  if (peer.presence !== 'present') return peer.presence;
  if (!hasBegun) return 'waiting';
  return peer.storedObjects === peer.totalObjects ? 'complete' : 'fetching';
}

function endStateOf(peer: ExchangePeerStatus): string {
  const state = stateOf(peer, true);
  return state === 'fetching' ? 'incomplete' : state;
}

function standingOf(peer: ExchangePeerStatus) {
  if (peer.presence !== 'present') return 'failed' as const;
  const isWhole = peer.totalObjects > 0 && peer.storedObjects === peer.totalObjects;
  return isWhole ? ('complete' as const) : ('active' as const);
}

/** What a peer brings, in words. */
export function listObjects(
  objects: readonly { readonly name: string; readonly contentSizeBytes: number }[],
): string {
  if (objects.length === 0) return 'nothing';
  const some = objects
    .slice(0, mostNames)
    .map(({ name, contentSizeBytes }) => `${name} (${formatBytes(contentSizeBytes)})`);
  const more = objects.length > mostNames ? ` and ${objects.length - mostNames} more` : '';
  return `${some.join(', ')}${more}`;
}

const mostNames = 5;

function peersJson(peers: readonly ExchangePeerStatus[]) {
  return peers.map((peer) => ({
    ...{ peer: peer.name, address: peer.address, presence: peer.presence },
    ...{ heldBytes: peer.heldBytes, bytes: peer.totalBytes },
    ...{ storedObjects: peer.storedObjects, objects: peer.totalObjects },
  }));
}

/** @returns the last line of --json */
export function coordinateResultJson(result: CoordinateExchangeResult) {
  const { status, reason, elapsedMs, peers } = result;
  return {
    ...{ event: 'result' as const, status, ...withoutUndefined({ reason }) },
    ...{ seconds: elapsedMs / 1000, peers: peersJson(peers) },
  };
}

export function printCoordinateSummary(output: Output, result: CoordinateExchangeResult): void {
  const { status, peers, elapsedMs } = result;
  output.line(
    `${formatPlural(peers.length, 'peer')}, ${status}, ${formatSeconds(elapsedMs / 1000)}`,
  );
  if (peers.length === 0) return;
  const head = ['peer', 'state', 'objects', 'held', 'address'];
  const rows = peers.map((peer) => [
    peer.name,
    endStateOf(peer),
    `${peer.storedObjects} of ${peer.totalObjects}`,
    formatBytes(peer.heldBytes),
    peer.address,
  ]);
  output.table([head, ...rows], ['address'], []);
}
