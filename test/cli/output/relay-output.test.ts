/** What `p2mp relay` prints of its upstream hosts and its cache. */
import t from 'tap';
import type { Output } from '../../../src/cli/output/output.js';
import { RelayOutput } from '../../../src/cli/output/relay/relay-output.js';

function record() {
  const lines: string[] = [];
  const output = {
    isJson: false,
    json: () => undefined,
    line: (text: string) => lines.push(text),
    warn: (text: string) => lines.push(`warning: ${text}`),
    detail: (text: string) => lines.push(`detail: ${text}`),
  };
  const report = new RelayOutput(output as unknown as Output, { isVerbose: false });
  return { lines, report };
}

t.test('a relay says once that an upstream host is away, and when it answers', (t) => {
  const { lines, report } = record();
  const upstream = 'localhost:21001';
  const leave = (name: string, reason: string, isRetried = true) =>
    report.handleEvent({ type: 'upstream-left', name, upstream, reason, isRetried });
  report.handleEvent({ type: 'upstream-joined', name: 'a', upstream });
  leave('a', 'has fallen silent');
  leave('b', 'has fallen silent');
  leave('c', 'no such object', false);
  for (const name of ['a', 'b']) report.handleEvent({ type: 'upstream-joined', name, upstream });
  leave('a', 'has fallen silent');
  report.handleEvent({ type: 'upstream-away', upstream, reason: 'port 21001 refused' });
  report.handleEvent({ type: 'upstream-answers', upstream });
  report.handleEvent({ type: 'upstream-answers', upstream });
  t.same(lines, [
    'warning: localhost:21001: has fallen silent; it is asked again',
    'localhost:21001 answers now',
    'warning: localhost:21001: has fallen silent; it is asked again',
    'warning: localhost:21001: port 21001 refused; it is asked again',
    'localhost:21001 answers now',
  ]);
  t.end();
});

t.test('what the cache holds at the start includes what it holds in part', (t) => {
  const { lines, report } = record();
  for (const [objectCount, partCount] of [
    [0, 0],
    [1, 1],
    [3, 0],
    [3, 2],
  ] as const)
    report.showCache({ cacheCounts: { objectCount, partCount }, cacheSizeBytes: 50_200_000 });
  t.same(lines, [
    'The cache holds 0 objects, 50.2 MB',
    'The cache holds 1 object (in part), 50.2 MB',
    'The cache holds 3 objects, 50.2 MB',
    'The cache holds 3 objects (2 in part), 50.2 MB',
  ]);
  t.end();
});
