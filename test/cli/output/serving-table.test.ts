/** The live table of `p2mp serve`. */
import t from 'tap';
import { servingTable } from '../../../src/cli/output/progress/serving-table.js';
import { plain } from '../../../src/cli/output/text.js';
import type { ClientStatus } from '../../../src/index.js';

const client: ClientStatus = {
  ...{ receiver: '192.0.2.1:5000', address: '192.0.2.1:5000', name: 'disk.img', activity: '' },
  ...{ status: 'active', contentSizeBytes: 9_000_000, receivedBytes: 3_000_000, elapsedMs: 1000 },
  ...{ datagramsSent: 3000, repairs: 0, datagramsLost: 0, lossRatio: 0, usesGroup: false },
  ...{ unchangedFiles: 0, deletedEntries: 0, undeletedEntries: 0 },
};

t.test('a client has what this server sent it, and no share of what it holds', (t) => {
  const indexing = [{ name: 'photos', indexing: { doneBytes: 1, totalBytes: 4 } }];
  const status = { clients: [client], indexing, rates: [3_000_000, 1e8], completeCount: 0 };
  const glyphs = { done: '#', rest: '.', ellipsis: '…' };
  const [head = '', ...rows] = servingTable(status, { columns: 120, lines: 10, glyphs }).map(plain);
  t.match(head, /^client +state +rate +average +sent +object +loss/);
  t.match(rows[0], /^192\.0\.2\.1:5000 .* 3\.00 MB\/s +3\.00 MB\/s +3\.00 MB +disk\.img/);
  t.match(rows[1], /^photos +indexing 25% +100 MB\/s +-/);
  t.same(rows[0]?.match(/\d+%/g), ['0%'], 'only the loss');
  t.end();
});
