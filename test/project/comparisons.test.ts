/** Bytes that prove something are compared by one function, which looks at all of them. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { isEqualBytes } from '../../src/wire/byte-codec.js';
import { projectFolder } from '../support/processes.js';

/** Where bytes are compared otherwise, and what they are: nothing that anybody could find by trying. */
const others: Readonly<Record<string, string>> = {
  'node/disk/source/object-source.ts': 'names, for their order',
  'node/disk/source/walk-entries.ts': 'names, for their order',
  'cli/text-of-arguments.ts': 'what was typed, with its own text',
  'node/disk/parts/part-files.ts': 'content of a file with content that was verified',
  'node/disk/parts/part-journal.ts': 'the header of a file of our own',
  'node/disk/store/placed-files.ts': 'its own notes on files, by hashes that no peer is shown',
};

t.test('the one function finds any difference, wherever it is', (t) => {
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

t.test('it looks at all bytes: nothing in it leaves early', (t) => {
  const source = isEqualBytes.toString();
  const loop = source.slice(source.search(/\bfor\s*\(/));
  t.match(loop, /^for\s*\(.*\|=/s);
  t.notMatch(loop, /\b(if|break|every|some)\b|&&|\|\||\?/);
  t.end();
});

t.test('sessions compare bytes by it, and by nothing else', (t) => {
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
    t.ok(users.includes(path), `${path}: what strangers may try`);
  }
  t.end();
});
