/** The live table of `p2mp serve`: a row for each client and each index that is being made, and a total line. */
import { bytesPerSec, formatBytes, formatPlural, formatRate } from '../../../base/format.js';
import type { ClientStatus, OfferedPathStatus } from '../../../node/serve/serve-options.js';
import { pathRows } from '../paths/path-rows.js';
import { joinFitting } from '../table.js';
import type { Text } from '../text.js';
import type { ViewArea } from './live-view.js';
import { formatLoss, percent } from './progress-parts.js';
import { type ProgressRow, progressTable, withParts } from './progress-table.js';

/** What the server knows at one moment. */
export interface ServingStatus {
  readonly clients: readonly ClientStatus[];
  readonly indexing: readonly OfferedPathStatus[];
  /** The current rate of each client and then of each index, in bytes per second. */
  readonly rates: readonly (number | undefined)[];
  /** Number of complete clients since the start. */
  readonly completeCount: number;
  /** Whether the paths to a client have rows of their own; false by default. */
  readonly showsPaths?: boolean;
}

const extras = ['loss', 'average', 'object'];

/** A client may hold more than this server knows of, and get the rest from other servers. */
const omitted = ['bar', 'here', 'ETA'];

export function servingTable(serving: ServingStatus, area: ViewArea): Text[] {
  const { clients, indexing, rates } = serving;
  const clientRows = clients.map(
    (client, i): ProgressRow => ({
      name: client.receiver,
      state: client.activity,
      standing: client.status === 'active' ? 'active' : 'waiting',
      heldBytes: client.receivedBytes,
      sizeBytes: client.contentSizeBytes,
      rate: rates[i],
      average: bytesPerSec(client.receivedBytes, client.elapsedMs),
      more: {
        sent: formatBytes(client.receivedBytes),
        object: client.name,
        loss: formatLoss(client.lossRatio),
      },
    }),
  );
  const indexRows = indexing.map(
    ({ name, indexing: progress }, i): ProgressRow => ({
      name,
      state: `indexing ${percent(progress?.doneBytes ?? 0, progress?.totalBytes ?? 0)}%`,
      standing: 'active',
      heldBytes: progress?.doneBytes ?? 0,
      sizeBytes: progress?.totalBytes ?? 0,
      rate: rates[clients.length + i],
      average: undefined,
      more: { sent: '', object: '', loss: '' },
    }),
  );
  const total = totalLine(serving, area);
  const partsOf = (i: number, row: ProgressRow) =>
    serving.showsPaths === true ? pathRows(row, clients[i]?.paths) : [];
  const rows = withParts([...clientRows, ...indexRows], partsOf, area);
  return progressTable({ head: 'client', rows, extras, omitted, total }, area);
}

function totalLine({ clients, rates, completeCount }: ServingStatus, { columns }: ViewArea): Text {
  const rate = clients.reduce((sum, _, i) => sum + (rates[i] ?? 0), 0);
  const complete = completeCount === 0 ? '' : `, ${completeCount} complete`;
  const parts = [
    `${formatPlural(clients.length, 'client')}${complete}`,
    rate > 0 ? formatRate(rate) : '',
  ];
  return joinFitting(parts, '  ', columns, [1]);
}
