/**
 * Prints the measured grid beside the formulas, in Markdown:
 *
 *   node --import tsx test/support/print-theory-table.ts
 */
import type { Cell } from './theory-grid.js';
import { grid, gridSeed, mssBytes, oneWayDelayMs, runCell, timeoutMs } from './theory-grid.js';

const columns = [
  't, ms',
  'n',
  'p',
  'segments',
  'E[R]',
  'measured',
  'deviation, SE',
  'E[T], s',
  'measured, s',
  'deviation, SE',
];

console.log(
  `Seed "${gridSeed}", MSS ${mssBytes} bytes, fixed timeout ${timeoutMs} ms, ` +
    `one-way delay ${oneWayDelayMs} ms, Bernoulli loss service p; t: sending time of one datagram.\n`,
);
console.log(toLine(columns));
console.log(toLine(columns.map(() => '---:')));
for (const run of grid) console.log(toLine(toColumns(runCell(run))));

function toColumns({ run, rounds, delayMs }: Cell): string[] {
  return [
    `${run.sendTimeMs}`,
    `${run.receivers}`,
    run.loss.toFixed(2),
    `${run.segments}`,
    rounds.expected.toFixed(5),
    rounds.measured.toFixed(5),
    rounds.deviation.toFixed(2),
    (delayMs.expected / 1000).toFixed(2),
    (delayMs.measured / 1000).toFixed(2),
    delayMs.deviation.toFixed(2),
  ];
}

function toLine(cells: readonly string[]): string {
  return `| ${cells.join(' | ')} |`;
}
