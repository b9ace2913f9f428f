/** docs/SECURITY.md and docs/FAULTS.md name only tests that exist. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { projectFolder } from '../support/processes.js';

const document = readDocument('SECURITY');
const [, table = ''] = document.split('\n## Held by\n');

function readDocument(name: string): string {
  return readFileSync(join(projectFolder, 'docs', `${name}.md`), 'utf8');
}

/** Parses a table whose last column names tests. */
function namedTests(text: string) {
  const rows = text.split('\n').filter((line) => /^\| .*\| `\S+\.(ts|mjs)`/.test(line));
  return rows.flatMap((row) => {
    const cells = row.split(/ ?\| ?/);
    const [, what = ''] = cells;
    return (cells.at(-2) ?? '').split(/; (?=`)/).map((one) => {
      const [, file = '', name = ''] = /^`([^`]+)`: (.+)$/.exec(one.trim()) ?? [];
      return { what, file, name };
    });
  });
}

for (const [name, text, leastCount] of [
  ['SECURITY', table, 30],
  ['FAULTS', readDocument('FAULTS'), 15],
] as const) {
  t.test(`each row of ${name} names existing tests`, (t) => {
    const named = namedTests(text);
    t.ok(named.length > leastCount, `${named.length} tests`);
    for (const { what, file, name } of named) {
      const path = join(projectFolder, 'test', file);
      if (file === '' || !existsSync(path)) t.fail(`${what}: there is no test ${file}`);
      else if (!readFileSync(path, 'utf8').includes(name)) t.fail(`${file} has no "${name}"`);
    }
    t.end();
  });
}

t.test('each guarantee has its rows', (t) => {
  const guarantees = [...document.matchAll(/^(\d)\. \*\*(\w+)/gm)].map(([, number, word]) => [
    number,
    word,
  ]);
  t.equal(guarantees.length, 5);
  for (const [number, word] of guarantees) {
    const first = number === '5' ? 'Strangers' : word;
    t.ok(table.includes(`| **${number} ${first}:**`), `${number}, ${word}`);
  }
  t.end();
});
