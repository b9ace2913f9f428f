/** Names from the network: no accepted name leaves the folder. */
import { posix, win32 } from 'node:path';
import * as fc from 'fast-check';
import t from 'tap';
import type { Platform } from '../../src/object/entry-name.js';
import { nameLimits, readEntryName } from '../../src/object/entry-name.js';

const bytesOf = (name: string) => new TextEncoder().encode(name);
const read = (name: string, platform: Platform) => readEntryName(bytesOf(name), platform);

t.test('ordinary names are accepted and read back as text', (t) => {
  for (const name of [
    'a',
    'a b.txt',
    '.hidden',
    '...',
    'a/b/c',
    'naïve/日本語/🙂',
    "it's",
    '-rf',
  ]) {
    t.same(read(name, 'posix'), { name });
  }
  for (const name of [
    'a',
    'a b.txt',
    '.hidden',
    'a/b/c',
    'console',
    'com',
    'auxiliary.c',
    'x.nul',
  ]) {
    t.same(read(name, 'windows'), { name }, `${name} on Windows`);
  }
  t.end();
});

t.test('names that would leave the folder are refused with the reason', (t) => {
  const faults: [string, string][] = [
    ['', 'empty-name'],
    ['a//b', 'empty-name'],
    ['a/', 'empty-name'],
    ['/etc/passwd', 'absolute-name'],
    ['..', 'dot-name'],
    ['a/../../b', 'dot-name'],
    ['./a', 'dot-name'],
    ['a\0b', 'nul-in-name'],
    ['x'.repeat(nameLimits.partSizeBytes + 1), 'long-name'],
    ['é'.repeat(nameLimits.partSizeBytes / 2 + 1), 'long-name'],
    [`a/${'b/'.repeat(nameLimits.sizeBytes / 2)}c`, 'long-name'],
    [Array.from({ length: nameLimits.depth + 1 }, () => 'd').join('/'), 'deep-name'],
  ];
  for (const [name, fault] of faults) {
    t.equal(read(name, 'posix'), fault, JSON.stringify(name.slice(0, 20)));
    t.equal(read(name, 'windows'), fault, `${JSON.stringify(name.slice(0, 20))} on Windows`);
  }
  t.end();
});

t.test('names that only Windows forbids are refused only there', (t) => {
  const faults: [string, string][] = [
    ['C:', 'absolute-name'],
    ['c:\\windows', 'absolute-name'],
    ['c:relative', 'absolute-name'],
    ['\\\\server\\share', 'absolute-name'],
    ['a\\..\\b', 'reserved-name'],
    ['a/file:stream', 'reserved-name'],
    ['NUL', 'reserved-name'],
    ['a/con.txt', 'reserved-name'],
    ['COM1', 'reserved-name'],
    ['lpt9.tar.gz', 'reserved-name'],
    ['com¹', 'reserved-name'],
    ['CONIN$', 'reserved-name'],
    ['nul .txt', 'reserved-name'],
    ['a/aux  .tar.gz', 'reserved-name'],
    ['.. ', 'dot-name'],
    ['a/b.', 'dot-name'],
    ['line\nbreak', 'reserved-name'],
    ['what?', 'reserved-name'],
  ];
  for (const [name, fault] of faults) {
    t.equal(read(name, 'windows'), fault, JSON.stringify(name));
    t.same(read(name, 'posix'), { name }, `${JSON.stringify(name)} elsewhere`);
  }
  t.end();
});

t.test('bytes that are not UTF-8 are refused', (t) => {
  const broken = [
    [0xff],
    [0x61, 0x80],
    [0xc0, 0xae], // an overlong "."
    [0xe0, 0x80, 0xaf], // an overlong "/"
    [0xed, 0xa0, 0x80], // half a surrogate pair
    [0xe6, 0x97], // truncated
  ];
  for (const bytes of broken) {
    t.equal(readEntryName(Uint8Array.from(bytes), 'posix'), 'not-utf8', bytes.join(' '));
  }
  t.end();
});

t.test('for arbitrary bytes, every accepted name lies inside the folder', (t) => {
  const tricky = fc.constantFrom(
    '..',
    '.',
    '/',
    '\\',
    'C:',
    'a',
    ' ',
    '\0',
    'NUL',
    '\u2025',
    '．．',
  );
  const name = fc.oneof(
    fc.uint8Array({ maxLength: 40 }),
    fc.array(tricky, { maxLength: 8 }).map((parts) => bytesOf(parts.join(''))),
  );
  const folders = { posix: '/safe/folder', windows: 'D:\\safe\\folder' };
  const paths = { posix, windows: win32 };
  let passed = 0;
  const property = fc.property(
    name,
    fc.constantFrom<Platform>('posix', 'windows'),
    (bytes, platform) => {
      const found = readEntryName(bytes, platform);
      if (typeof found === 'string') return true;
      passed++;
      const path = paths[platform];
      const relative = path.relative(
        folders[platform],
        path.resolve(folders[platform], ...found.name.split('/')),
      );
      return relative !== '' && !path.isAbsolute(relative) && relative.split(path.sep)[0] !== '..';
    },
  );
  fc.assert(property, { seed: 1, numRuns: 5000 });
  t.ok(passed > 500, `${passed} names were accepted and checked`);
  t.end();
});
