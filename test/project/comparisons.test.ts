/** Security-relevant bytes are compared by a single function, in constant time. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { isEqualBytes } from '../../src/wire/byte-codec.js';
import { projectFolder } from '../support/processes.js';

/**
 * Other comparisons of bytes and what they compare: nothing that an attacker could guess step by
 * step.
 */
const others: Readonly<Record<string, string>> = {
  'node/disk/source/walk-entries.ts': 'names, to sort them',
  'cli/text-of-arguments.ts': 'arguments with their own text',
  'node/disk/parts/part-files.ts': 'file content with verified content',
  'node/disk/parts/part-journal.ts': 'the header of our own file',
  'node/disk/store/placed-files.ts': 'its own records of files, by hashes that peers never see',
};

t.test('the function finds any difference, at any position', (t) => {
  const a = Uint8Array.from({ length: 40 }, (_, i) => i);
  t.equal(isEqualBytes(a, a.slice()), true);
  t.equal(isEqualBytes(new Uint8Array(0), new Uint8Array(0)), true);
  for (let bit = 0; bit < 8 * a.length; bit++) {
    const b = a.slice();
    b[bit >> 3] = (b[bit >> 3] as number) ^ (1 << (bit & 7));
    if (isEqualBytes(a, b)) t.fail(`bit ${bit}`);
  }
  t.equal(isEqualBytes(a, a.slice(0, 39)), false);
  t.equal(isEqualBytes(a, new Uint8Array(0)), false);
  t.end();
});

t.test('the function looks at all bytes and never returns early', (t) => {
  const source = isEqualBytes.toString();
  const loop = source.slice(source.search(/\bfor\s*\(/));
  t.match(loop, /^for\s*\(.*\|=/s);
  t.notMatch(loop, /\b(if|break|every|some)\b|&&|\|\||\?/);
  t.end();
});

t.test('sessions compare bytes only with this function', (t) => {
  const found = new Set<string>();
  const users: string[] = [];
  const names = readdirSync(join(projectFolder, 'src'), { recursive: true, encoding: 'utf8' });
  for (const path of names.filter((name) => name.endsWith('.ts'))) {
    const source = readFileSync(join(projectFolder, 'src', path), 'utf8');
    if (/Buffer\.compare|\.equals\(|timingSafeEqual/.test(source)) found.add(path);
    if (/isEqualBytes\(/.test(source)) users.push(path);
  }
  t.same([...found].sort(), Object.keys(others).sort());
  for (const path of ['security/cookies.ts', 'security/block-seal.ts']) {
    t.ok(users.includes(path), `${path}: compares bytes that strangers choose`);
  }
  t.end();
});
