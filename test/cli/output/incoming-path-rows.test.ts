/** What users of `p2mp receive --verbose` and `p2mp fetch --verbose` see of several paths. */
import t from 'tap';
import { incomingPathsJson } from '../../../src/cli/output/paths/path-figures.js';
import { PathRates } from '../../../src/cli/output/paths/path-rates.js';
import { fetchTable } from '../../../src/cli/output/progress/fetch-table.js';
import { incomingTable } from '../../../src/cli/output/progress/incoming-table.js';
import { plain } from '../../../src/cli/output/text.js';
import type { IncomingPathStatus, IncomingStatus, SourceReport } from '../../../src/index.js';

const paths: readonly IncomingPathStatus[] = [
  { number: 0, from: '10.0.0.1:5000', datagramsReceived: 3000, receivedBytes: 4.5e6 },
  { number: 1, datagramsReceived: 1000, receivedBytes: 1.5e6 },
];
const glyphs = { done: '#', rest: '.', ellipsis: '…' };

t.test('the paths of a session have rows below it, if all rows fit', async (t) => {
  const session: IncomingStatus = {
    ...{ session: 1, manifestDigest: '', label: 'disk.img', from: '10.0.0.1:5000' },
    ...{ senderKey: new Uint8Array(32), contentSizeBytes: 12e6, isListing: false },
    ...{ activity: 'receiving', heldBytes: 6e6, heldBeforeBytes: 0, receivedBytes: 6e6 },
    ...{ elapsedMs: 1000, datagramsReceived: 4000, duplicates: 0, datagramsLost: 0, lossRatio: 0 },
    ...{ usesGroup: false, badBlocks: 0, updatedBlocks: 0, unchangedFiles: 0 },
    ...{ deletedEntries: 0, undeletedEntries: 0, paths },
  };
  const receiving = { statuses: [session], rates: [6e6], completeCount: 0 };
  const pathRates = [[4e6, undefined]];
  const linesOf = (lines: number, more: object) =>
    incomingTable({ ...receiving, ...more }, { columns: 140, lines, glyphs }).map(plain);
  const [, own, first, second] = linesOf(10, { pathRates });
  t.match(own, /^disk\.img +receiving .* 50% +6\.00 MB\/s/);
  t.match(first, /^ {2}from 10\.0\.0\.1:5000 +open .* 37% +4\.00 MB\/s/);
  t.match(second, /^ {2}path 1 +not proven .* 12% +-/);
  t.equal(linesOf(4, { pathRates }).length, 3, 'no room');
  t.equal(linesOf(10, {}).length, 3, 'not verbose');
  t.notMatch(linesOf(10, { pathRates }).join(), /allowed/);
  const statuses = [{ ...session, allowedBytesPerSec: 2e6 }, session];
  const limited = linesOf(10, { statuses, rates: [2e6, 1e6], pathRates: [[], []] });
  t.match(limited[0], / allowed$/, 'senders overload the link');
  t.match(limited[1], / 0% +2\.00 MB\/s$/);
  t.match(limited[4], / 0% +-$/);
  t.notMatch(linesOf(10, { statuses, rates: [2e6, 1e6] }).join(), /allowed/, 'not verbose');
});

t.test('the paths from a source have rows below it, with their shares', async (t) => {
  const source: SourceReport = {
    ...{ name: 'lab1', state: 'delivering', deliveredBytes: 6e6, share: 1, rttMs: 1 },
    ...{ rateBytesPerSec: 6e6, blocksInFlight: 4, blocksReplaced: 0, paths },
  };
  const report = {
    ...{ missingBlocks: 100, deliveredBytes: 6e6, duplicateBytes: 0 },
    ...{ rateBytesPerSec: 6e6, possibleBytesPerSec: 6e6, sources: [source] },
  };
  const fetching = { report, contentSizeBytes: 12e6, elapsedMs: 1000 };
  const linesOf = (more: object) =>
    fetchTable(
      { activity: 'fetching', ...fetching, ...more },
      { columns: 140, lines: 10, glyphs },
    ).map(plain);
  const [, own, first, second] = linesOf({ pathRates: [[4e6, 2e6]] });
  t.match(own, /^lab1 +delivering +6\.00 MB\/s +6\.00 MB +100%/);
  t.match(first, /^ {2}from 10\.0\.0\.1:5000 +open +4\.00 MB\/s +4\.50 MB +75%/);
  t.match(second, /^ {2}path 1 +not proven +2\.00 MB\/s +1\.50 MB +25%/);
  t.equal(linesOf({}).length, 3, 'not verbose');
});

t.test('the last line of a fetch says what arrives, or for how long nothing has', async (t) => {
  const lastLine = (rateBytesPerSec: number, possibleBytesPerSec: number) => {
    const counts = { missingBlocks: 100, deliveredBytes: 6e6, duplicateBytes: 0, sources: [] };
    const report = { ...counts, rateBytesPerSec, possibleBytesPerSec };
    const status = {
      activity: 'fetching' as const,
      report,
      contentSizeBytes: 12e6,
      elapsedMs: 60_000,
    };
    const area = { columns: 140, lines: 10, glyphs };
    return fetchTable({ ...status, quietMs: 12_300 }, area)
      .map(plain)
      .at(-1);
  };
  t.match(lastLine(3e6, 6e6), / 3\.00 MB\/s of 6\.00 MB\/s possible /);
  t.match(lastLine(3e6, 0), / 3\.00 MB\/s {2}/, 'how much is possible is not known yet');
  t.match(lastLine(0.3, 0.3), / {2}no data for 12\.3 s {2}/);
});

t.test('the rate of a path is what has arrived by it lately', async (t) => {
  const rates = new PathRates();
  const arriving = (...bytes: number[]) => {
    const grown = paths.map((path, i) => ({ ...path, receivedBytes: bytes[i] ?? 0 }));
    return [
      { key: 'a', paths: undefined },
      { key: 'b', paths: grown },
    ];
  };
  rates.update(0, arriving(0, 0));
  rates.update(1000, arriving(1e6, 0));
  t.same(rates.update(2000, arriving(2e6, 0)), [[], [1e6, undefined]]);
});

t.test('JSON events have what arrived by each path', async (t) => {
  t.match(incomingPathsJson(paths), {
    paths: [
      { path: 0, from: '10.0.0.1:5000', datagrams: 3000, receivedBytes: 4.5e6, share: 0.75 },
      { path: 1, datagrams: 1000, receivedBytes: 1.5e6, share: 0.25 },
    ],
  });
  t.same(incomingPathsJson(undefined), {});
});
