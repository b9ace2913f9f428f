/** What tests of `p2mp experiment` write and read: plans, and the files of a folder of results. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'csv-parse/sync';

/** The files of a complete folder. */
export const leftFiles = [
  'plan.json',
  'plot.png',
  'plot.svg',
  'report.html',
  'runs.csv',
  'summary.csv',
];

export function writePlan(folder: string, content: object, name = 'plan.json'): string {
  const path = join(folder, name);
  writeFileSync(path, JSON.stringify(content, null, 2));
  return path;
}

export function read(folder: string, name: string): string {
  return readFileSync(join(folder, name), 'utf8');
}

export function readTable(folder: string, name: string): Record<string, string>[] {
  return parse(read(folder, name), { columns: true });
}

/** Whether both folders hold identical runs and summaries. */
export function isSameData(one: string, other: string): boolean {
  return ['runs.csv', 'summary.csv'].every((name) => read(one, name) === read(other, name));
}

/** The complete rows of runs.csv, ignoring anything else. */
export function countRows(folder: string): number {
  return read(folder, 'runs.csv').split('\r\n').length - 2;
}
