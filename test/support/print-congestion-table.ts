/**
 * Prints what the simulator gives for sessions that share paths, in Markdown:
 *
 *   node --import tsx test/support/print-congestion-table.ts
 */
import {
  alikeSeeds,
  leastPart,
  runAlike,
  runAlone,
  runAsymmetric,
  runIncast,
  runLocal,
  runReno,
  runSlow,
  runTwo,
} from './congestion-runs.js';

const percent = (share: number) => (100 * share).toFixed(1);
const seconds = (ms: number) => (ms / 1000).toFixed(1);

function table(title: string, columns: readonly string[], rows: readonly (readonly string[])[]) {
  const toLine = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  console.log(`\n${title}\n`);
  console.log(toLine(columns));
  console.log(toLine(columns.map(() => '---:')));
  for (const row of rows) console.log(toLine(row));
}

table(
  'a. Alone, 100 Mbit/s, 40 ms: goodput, % of the link; lost at the full queue, %.',
  ['queue, BDP', 'random loss, %', 'goodput', 'queue full'],
  [0.25, 1, 4].flatMap((queueBdp) =>
    [0, 0.02, 0.05, 0.1, 0.2].map((loss) => {
      const { share, queueFull } = runAlone({ queueBdp, loss });
      return [`${queueBdp}`, percent(loss), percent(share), percent(queueFull)];
    }),
  ),
);

table(
  'b. Two sessions, the same path: shares of the last 40 s of 60, %.',
  ['queue, BDP', 'second starts, s', 'first', 'second', 'queue full'],
  [0.25, 1, 4].flatMap((queueBdp) =>
    [0, 5000].map((startAtMs) => {
      const run = runTwo({ queueBdp, runMs: 60_000 }, startAtMs, 40_000);
      const shares = [run.first, run.second, run.queueFull].map(percent);
      return [`${queueBdp}`, seconds(startAtMs), ...shares];
    }),
  ),
);

table(
  `b2. Two sessions that start at the same time, ${alikeSeeds.length} seeds: mean shares of the last 40 s of 60, %; the least part of the total that one of the two got with any seed, %.`,
  ['queue, BDP', 'first', 'second', 'least part', 'queue full'],
  [0.25, 1, 4].map((queueBdp) => {
    const run = runAlike(queueBdp);
    if (run.least < leastPart) {
      console.error(
        `queue ${queueBdp}: one session got less than ${percent(leastPart)} % of the total`,
      );
      process.exitCode = 1;
    }
    return [`${queueBdp}`, ...[run.first, run.second, run.least, run.queueFull].map(percent)];
  }),
);

table(
  'c. A session and NewReno, the same path: shares of the last 40 s of 60, %.',
  ['queue, BDP', 'session starts, s', 'session', 'NewReno', 'queue full'],
  [0.5, 1, 2].flatMap((queueBdp) =>
    [0, 5000].map((startAtMs) => {
      const run = runReno({ queueBdp }, startAtMs);
      const shares = [run.session, run.reno, run.queueFull].map(percent);
      return [`${queueBdp}`, seconds(startAtMs), ...shares];
    }),
  ),
);

table(
  'd, e. Four receivers with links of their own of 100 Mbit/s, one of which may have 10; 60 MB: complete after, s.',
  ['by', '--rate, MB/s', 'slow link, Mbit/s', 'the three', 'the fourth'],
  [true, false].flatMap((hasGroup) =>
    [undefined, 5e6].flatMap((rateBytesPerSec) =>
      [100, 10].map((slowMbits) => {
        const rate = rateBytesPerSec === undefined ? {} : { rateBytesPerSec };
        const times = runSlow({ hasGroup, slowMbits, contentSizeBytes: 60e6, ...rate });
        return [
          hasGroup ? 'group' : 'unicast',
          rateBytesPerSec === undefined ? '-' : `${rateBytesPerSec / 1e6}`,
          `${slowMbits}`,
          seconds(Math.max(...times.slice(0, -1))),
          seconds(times.at(-1) as number),
        ];
      }),
    ),
  ),
);

table(
  'f. Elsewhere: goodput of each, % of the link (or of what the host can send).',
  ['path', 'random loss, %', 'goodput'],
  [
    ...[0, 0.02].map((loss) => {
      const path = { mbits: 10, rttMs: 600, queueBdp: 1, runMs: 60_000, loss };
      return ['10 Mbit/s, 600 ms', percent(loss), percent(runAlone(path, {}, 10_000).share)];
    }),
    ...(['one', 'group of 3', 'unicast to 3', 'no limit, group of 3'] as const).flatMap((what) =>
      [0, 0.2].map((loss) => [
        what.startsWith('no') ? `${what}, 0.3 ms` : `1 Gbit/s, 0.3 ms, ${what}`,
        percent(loss),
        percent(Math.min(...runLocal(what, loss))),
      ]),
    ),
  ],
);

table(
  'g. A slow return path, 40 ms: goodput, % of the forward link.',
  ['forward, Mbit/s', 'return, kbit/s', 'random loss, %', 'receivers', 'goodput'],
  (
    [
      [10, 32, 0, 1],
      [10, 32, 0.02, 1],
      [10, 128, 0, 1],
      [100, 128, 0, 1],
      [10, 32, 0, 3],
    ] as const
  ).map(([mbits, backKbits, loss, receiverCount]) => {
    const hasGroup = receiverCount > 1;
    const share = runAsymmetric({ mbits, backKbits, loss, receiverCount, hasGroup });
    const receivers = hasGroup ? `group of ${receiverCount}` : `${receiverCount}`;
    return [`${mbits}`, `${backKbits}`, percent(loss), receivers, percent(share)];
  }),
);

table(
  'h. Incast: sessions of several senders to one receiver, behind a port of 100 Mbit/s with a queue of 64 datagrams, 10 ms: the last 2 s of 3.',
  ['senders', 'paths of each', 'goodput, %', "Jain's index", 'queue full, %'],
  [2, 4, 8, 16, 32].flatMap((senders) =>
    ([1, 2] as const).map((paths) => {
      const { share, jain, queueFull } = runIncast(senders, paths);
      return [`${senders}`, `${paths}`, percent(share), jain.toFixed(2), percent(queueFull)];
    }),
  ),
);
