/** The threat model and what holds it: every test that docs/SECURITY.md names is there. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { projectFolder } from './support/processes.js';

const document = readFileSync(join(projectFolder, 'docs/SECURITY.md'), 'utf8');
const [, table = ''] = document.split('\n## Held by\n');
const rows = table.split('\n').filter((line) => /^\| (?!---|what is promised)/.test(line));
const named = rows.flatMap((row) => {
  const [, what = '', held = ''] = row.split(/ ?\| ?/);
  return held.split(/; (?=`)/).map((one) => {
    const [, file = '', name = ''] = /^`([^`]+)`: (.+)$/.exec(one.trim()) ?? [];
    return { what, file, name };
  });
});

t.test('each row names tests that are there', (t) => {
  t.ok(rows.length > 30, `${rows.length} rows`);
  for (const { what, file, name } of named) {
    const path = join(projectFolder, 'test', file);
    if (file === '' || !existsSync(path)) t.fail(`${what}: there is no test ${file}`);
    else if (!readFileSync(path, 'utf8').includes(`'${name}'`)) t.fail(`${file} has no "${name}"`);
  }
  t.end();
});

t.test('each promise has its rows', (t) => {
  const promised = [...document.matchAll(/^(\d)\. \*\*(\w+)/gm)].map(([, number, word]) => [
    number,
    word,
  ]);
  t.equal(promised.length, 5);
  for (const [number, word] of promised) {
    const first = number === '5' ? 'Strangers' : word;
    t.ok(table.includes(`| **${number} ${first}:**`), `${number}, ${word}`);
  }
  t.end();
});
