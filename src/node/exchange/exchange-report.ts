/** report.html of an exchange: one self-contained page with what each peer stored when, and what the links allow. */
import { formatBytes, formatRate, formatSeconds } from '../../base/format.js';
import type { CoordinateExchangeResult, LinkRates } from './coordinate-options.js';

/** An object of another peer, at one peer. */
export interface ExchangeRow {
  readonly peer: string;
  readonly owner: string;
  readonly object: string;
  readonly sizeBytes: number;
  readonly fileCount: number;
  readonly heldBytes: number;
  /** Undefined if it is not stored. */
  readonly storedMs: number | undefined;
}

/** What a peer held of others at one time. */
export interface Arrival {
  readonly atMs: number;
  readonly heldBytes: number;
}

export interface ExchangeReportContent {
  readonly rows: readonly ExchangeRow[];
  readonly result: CoordinateExchangeResult;
  readonly arrivals: ReadonlyMap<string, readonly Arrival[]>;
  /** What each peer brings. */
  readonly owned: readonly { readonly name: string; readonly sizeBytes: number }[];
  /** The rates of the links of each peer, if they are known. */
  readonly link: LinkRates | undefined;
}

/** The least times that the links allow, in seconds. */
export function boundsOf(
  owned: readonly { readonly sizeBytes: number }[],
  { upBytesPerSec, downBytesPerSec }: LinkRates,
) {
  const totalBytes = owned.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  const most = Math.max(0, ...owned.map(({ sizeBytes }) => sizeBytes));
  const least = Math.min(...owned.map(({ sizeBytes }) => sizeBytes));
  const multicastS = Math.max(most / upBytesPerSec, (totalBytes - least) / downBytesPerSec);
  const copies = ((owned.length - 1) * totalBytes) / (owned.length * upBytesPerSec);
  return { multicastS, unicastS: Math.max(multicastS, copies) };
}

export function createExchangeReport(content: ExchangeReportContent): string {
  const { rows, result, owned, link } = content;
  const totalMs = Math.max(1, result.elapsedMs);
  const title = `Exchange of ${owned.length} peers`;
  const head = ['peer', 'owner', 'object', 'bytes', 'files', 'held', 'stored after'];
  const cells = rows.map((row) => [
    ...[row.peer, row.owner, row.object, String(row.sizeBytes), String(row.fileCount)],
    row.sizeBytes === 0 ? '100 %' : `${Math.floor((100 * row.heldBytes) / row.sizeBytes)} %`,
    row.storedMs === undefined ? '–' : `${(row.storedMs / 1000).toFixed(3)} s`,
  ]);
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(title)}</title>
<style>${style}</style>
</head>
<body>
<h1>${escapeHtml(title)}</h1>
<ul>
${findings(content)
  .map((sentence) => `<li>${escapeHtml(sentence)}</li>`)
  .join('\n')}
</ul>
<h2>Objects by peer</h2>
<p>A bar ends when the peer has stored the object. Its colour is that of the owner. A pale bar is not complete.</p>
${gantt(rows, owned, totalMs)}
<h2>Arrival of blocks</h2>
<p>Time at which a peer held this part of what others bring, as the coordinator heard of it.</p>
${table(['peer', '10 %', '25 %', '50 %', '75 %', '90 %', '100 %'], quantiles(content))}
<h2>Times</h2>
${table(head, cells)}
${link === undefined ? '' : '<p>Bounds: by multicast, each uplink carries what its peer brings once, and each downlink what all others bring. By unicast, the uplinks together carry a copy for each other peer.</p>'}
</body>
</html>
`;
}

function findings({ result, owned, link }: ExchangeReportContent): string[] {
  const totalBytes = owned.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  const seconds = result.elapsedMs / 1000;
  const sentences = [
    `${owned.length} peers brought ${formatBytes(totalBytes)}. Total time ${formatSeconds(seconds)}, ${result.status}.`,
    ...(result.reason === undefined ? [] : [`Not complete: ${result.reason}.`]),
  ];
  if (link === undefined || owned.length < 2 || seconds === 0) return sentences;
  const { multicastS, unicastS } = boundsOf(owned, link);
  const { upBytesPerSec, downBytesPerSec } = link;
  return [
    ...sentences,
    `With ${formatRate(upBytesPerSec)} up and ${formatRate(downBytesPerSec)} down, the least time is ${multicastS.toFixed(2)} s by multicast and ${unicastS.toFixed(2)} s by unicast. This exchange took ${(seconds / multicastS).toFixed(2)} and ${(seconds / unicastS).toFixed(2)} times as long.`,
  ];
}

const barHeight = 14;
const [labelWidth, chartWidth] = [260, 640];

function gantt(
  rows: readonly ExchangeRow[],
  owned: ExchangeReportContent['owned'],
  totalMs: number,
): string {
  const hueOf = (owner: string) => {
    const index = owned.findIndex(({ name }) => name === owner);
    return Math.round((360 * index) / Math.max(1, owned.length));
  };
  const bars = rows.map((row, i) => {
    const y = i * (barHeight + 4) + 2;
    const share = row.sizeBytes === 0 ? 1 : row.heldBytes / row.sizeBytes;
    const width = chartWidth * (row.storedMs === undefined ? share : row.storedMs / totalMs);
    const opacity = row.storedMs === undefined ? 0.35 : 1;
    const label = escapeHtml(`${row.peer} ← ${row.owner}/${row.object}`);
    return `<text x="${labelWidth - 6}" y="${y + barHeight - 3}" text-anchor="end">${label}</text>
<rect x="${labelWidth}" y="${y}" width="${Math.max(1, Math.min(chartWidth, width)).toFixed(1)}" height="${barHeight}" fill="hsl(${hueOf(row.owner)} 55% 50%)" opacity="${opacity}"/>`;
  });
  const height = rows.length * (barHeight + 4) + 24;
  const ticks = [0, 0.25, 0.5, 0.75, 1].map((part) => {
    const x = labelWidth + part * chartWidth;
    const text = `${((part * totalMs) / 1000).toFixed(2)} s`;
    return `<line x1="${x}" x2="${x}" y1="0" y2="${height - 20}"/><text x="${x}" y="${height - 6}" text-anchor="middle">${text}</text>`;
  });
  return `<svg viewBox="0 0 ${labelWidth + chartWidth + 40} ${height}" role="img" aria-label="Objects by peer">
${ticks.join('\n')}
${bars.join('\n')}
</svg>`;
}

function quantiles({ rows, arrivals }: ExchangeReportContent): string[][] {
  return [...new Set(rows.map(({ peer }) => peer))].map((peer) => {
    const own = rows.filter((row) => row.peer === peer);
    const totalBytes = own.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    const times = arrivals.get(peer) ?? [];
    const at = [0.1, 0.25, 0.5, 0.75, 0.9, 1].map((part) => {
      const arrival = times.find(({ heldBytes }) => heldBytes >= part * totalBytes);
      return arrival === undefined ? '–' : `${(arrival.atMs / 1000).toFixed(2)} s`;
    });
    return [peer, ...at];
  });
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[], tag: string) =>
    `<tr>${cells.map((cell) => `<${tag}>${escapeHtml(cell)}</${tag}>`).join('')}</tr>`;
  const body = rows.map((cells) => line(cells, 'td')).join('\n');
  return `<table>\n<thead>${line(head, 'th')}</thead>\n<tbody>\n${body}\n</tbody></table>`;
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);
}

const style = `
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 62rem; padding: 0 1rem; }
table { border-collapse: collapse; } th, td { padding: .2rem .7rem; text-align: left; }
th { border-bottom: 2px solid; } td { border-bottom: 1px solid #ccc; }
svg { width: 100%; font-size: 11px; } line { stroke: #ddd; }
`;
