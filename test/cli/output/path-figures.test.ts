/** What users see of several paths. */
import t from 'tap';
import {
  benefitOf,
  describePaths,
  pathsJson,
  sharesOf,
} from '../../../src/cli/output/paths/path-figures.js';
import { pathRows } from '../../../src/cli/output/paths/path-rows.js';
import { sessionTable } from '../../../src/cli/output/progress/session-table.js';
import { plain } from '../../../src/cli/output/text.js';
import type { PathStatus, SessionReceiverStatus } from '../../../src/index.js';

function path(number: number, bestRateBytesPerSec: number, more: Partial<PathStatus> = {}) {
  return {
    ...{ number, address: `10.${number}.0.2:7735`, from: `10.${number}.0.1`, state: 'open' },
    ...{ isInUse: true, datagramsSent: 100, datagramsReceived: 99, receivedBytes: 3e6 },
    ...{ lossRatio: 0.01, rateBytesPerSec: 1e6, bestRateBytesPerSec, rttMs: 12.34 },
    ...more,
  } as const satisfies PathStatus;
}

const times = { receivedBytes: 10e6, elapsedMs: 1000 };

t.test(
  'the benefit is 1 for the sum of the rates, 0 for the best of them, and negative below',
  async (t) => {
    const benefitAt = (...rates: number[]) =>
      benefitOf({ ...times, paths: rates.map((rate, i) => path(i, rate)) });
    t.equal(benefitAt(6e6, 4e6), 1);
    t.equal(benefitAt(10e6, 4e6), 0);
    t.equal(benefitAt(8e6, 4e6), 0.5);
    t.equal(benefitAt(20e6, 20e6), -0.5, 'slower than the best path alone');
    t.equal(benefitAt(20e6, 4e6), -0.5, 'by more than the other path could add');
    t.equal(benefitAt(8e6, 0), undefined, 'one path has carried nothing');
    t.equal(benefitAt(8e6), undefined);
    t.equal(benefitOf(times), undefined);
  },
);

t.test('shares are parts of what came by all paths', async (t) => {
  const paths = [path(0, 6e6), path(1, 4e6, { receivedBytes: 1e6 })];
  t.same(sharesOf(paths), [0.75, 0.25]);
  t.same(sharesOf([path(0, 0, { receivedBytes: 0 })]), [0]);
  t.same(describePaths({ ...times, paths }), ['2 paths (75% + 25%, benefit 1.00)']);
  t.same(describePaths(times), []);
  const { paths: json } = pathsJson(paths) as { paths: object[] };
  t.match(json[1], { path: 1, from: '10.1.0.1', share: 0.25, bestRate: 4e6, rttMs: 12.34 });
  t.same(pathsJson(undefined), {});
});

t.test('paths have rows below their receiver, if all rows fit', async (t) => {
  const receiver: SessionReceiverStatus = {
    ...{ receiver: 'lab1', selfName: 'lab1', address: '10.0.0.2:7735', status: 'active' },
    ...{ activity: 'receiving', heldBytes: 6e6, heldBeforeBytes: 0, receivedBytes: 6e6 },
    ...{ elapsedMs: 1000, datagramsSent: 200, repairs: 0, datagramsLost: 2, lossRatio: 0.01 },
    ...{ usesGroup: false, unchangedFiles: 0, deletedEntries: 0, undeletedEntries: 0 },
    paths: [path(0, 6e6), path(1, 4e6, { state: 'silent', isInUse: false })],
  };
  const sending = { receivers: [receiver], rates: [6e6], contentSizeBytes: 12e6, elapsedMs: 1000 };
  const glyphs = { done: '#', rest: '.', ellipsis: '…' };
  const linesOf = (lines: number, showsPaths: boolean) =>
    sessionTable({ ...sending, showsPaths }, { columns: 140, lines, glyphs }).map(plain);
  const [, own, first, second] = linesOf(10, true);
  t.match(own, /^lab1 +receiving .* 50% +6\.00 MB\/s/);
  t.match(first, /^ {2}10\.0\.0\.1 to 10\.0\.0\.2:7735 +open .* 25% +1\.00 MB\/s/);
  t.match(second, /^ {2}10\.1\.0\.1 to 10\.1\.0\.2:7735 +silent .* 25% +-/);
  t.equal(linesOf(4, true).length, 3);
  t.equal(linesOf(10, false).length, 3);
});

t.test('each path has a row with the columns of its table', async (t) => {
  const row = {
    ...{ name: 'r', state: 'receiving', standing: 'active' as const, heldBytes: 4e6 },
    ...{ sizeBytes: 8e6, rate: 2e6, average: 2e6, more: { loss: '0%', rtt: '-', object: 'x' } },
  };
  const resting = path(1, 4e6, { isInUse: false });
  const silent = path(2, 4e6, { state: 'silent', isInUse: false });
  t.match(pathRows(row, [path(0, 6e6), resting, silent]), [
    {
      ...{ name: '  10.0.0.1 to 10.0.0.2:7735', state: 'open', heldBytes: 3e6, rate: 1e6 },
      more: { loss: '1.0%', rtt: '12.3 ms', object: '' },
    },
    { state: 'resting', rate: undefined },
    { state: 'silent' },
  ]);
});
