/** Manifests: what a receiver accepts, and everything that it refuses. */
import * as fc from 'fast-check';
import t from 'tap';
import type { Entry } from '../../src/object/manifest.js';
import {
  createManifest,
  decodeInSteps,
  decodeManifest,
  encodeInSteps,
  encodeManifest,
  manifestLimits,
  manifestStep,
} from '../../src/object/manifest.js';
import { ByteWriter } from '../../src/wire/byte-codec.js';

const file = (name: string, sizeBytes = 5): Entry => {
  return { kind: 'file', name, mode: 0o644, modifiedMs: 1.5, sizeBytes };
};
const folder = (name: string): Entry => ({ kind: 'folder', name, mode: 0o755, modifiedMs: -3 });
const link = (name: string, target: string): Entry => ({ kind: 'link', name, target });
const encode = (...entries: Entry[]) => encodeManifest(createManifest(entries));

t.test('a manifest reads back as written', (t) => {
  const entries = [
    folder('a'),
    file('a/b', 2 ** 40),
    link('a/c', '../d'),
    file('d', 0),
    folder('é'),
  ];
  const manifest = createManifest(entries);
  t.equal(manifest.contentSizeBytes, 2 ** 40);
  for (const platform of ['posix', 'windows'] as const) {
    t.strictSame(decodeManifest(encodeManifest(manifest), platform), manifest);
    t.strictSame(decodeManifest(encode(), platform), createManifest([]));
  }
  t.end();
});

const refused: readonly (readonly [string, string, readonly Entry[]])[] = [
  ['name-conflict', 'a', [file('a'), file('a')]],
  ['name-conflict', 'a/b', [file('a/b')]],
  ['name-conflict', 'a/b', [file('a'), file('a/b')]],
  ['name-conflict', 'a/b', [link('a', 'b'), file('a/b')]],
  ['name-conflict', 'a', [folder('a'), link('a', 'b')]],
  ['name-conflict', 'f/a/x', [folder('f'), file('f/a'), file('f/a/x')]],
  ['name-conflict', 'ab/x', [folder('a'), file('ab'), file('ab/x')]],
  ['name-conflict', 'a b/x', [folder('a'), file('a b/x')]],
  ['not-in-order', 'a', [file('b'), file('a')]],
  ['not-in-order', 'a', [folder('a'), file('a.txt'), file('a')]],
  ['not-in-order', 'a/b', [folder('a'), file('a.txt'), file('a/b')]],
  ['not-in-order', 'a/b', [folder('a'), file('a/c'), file('a/b')]],
  ['not-in-order', '\u{ff5e}', [file('\u{1f642}'), file('\u{ff5e}')]],
  ['link-leaves', 'l', [link('l', '..')]],
  ['link-leaves', 'l', [link('l', '/etc')]],
  ['link-leaves', 'l', [link('l', '')]],
  ['link-leaves', 'l', [link('l', 'a/../..')]],
  ['link-leaves', 'l', [link('l', 'a/../b')]],
  ['link-leaves', 'l', [link('l', './../b')]],
  ['link-leaves', 'l', [link('l', 'a\0b')]],
  ['link-leaves', 'f/l', [folder('f'), link('f/l', '../../x')]],
  ['absolute-name', '/etc/passwd', [file('/etc/passwd')]],
  ['dot-name', '../x', [file('../x')]],
  ['empty-name', '', [file('')]],
  ['empty-name', 'a//b', [folder('a'), file('a//b')]],
  ['nul-in-name', 'a\\x00b', [file('a\0b')]],
  ['long-name', 'n'.repeat(256), [file('n'.repeat(300))]],
  ['deep-name', `${'d/'.repeat(70)}x`, [file(`${'d/'.repeat(70)}x`)]],
  ['name-conflict', 'b\\x1b/c', [file('b\u001b/c')]],
  ['not-a-manifest', '', [file('a', 2 ** 53 - 1), file('b', 2 ** 53 - 1)]],
  ['not-a-manifest', 'a', [{ kind: 'folder', name: 'a', mode: 0, modifiedMs: Number.NaN }]],
  ['not-a-manifest', 'a', [{ kind: 'folder', name: 'a', mode: 0, modifiedMs: 9e15 }]],
];

t.test(
  'entries that could leave the folder, or conflict with each other, are refused by name',
  (t) => {
    for (const [fault, name, entries] of refused) {
      t.strictSame(
        decodeManifest(encode(...entries), 'posix'),
        { fault, name },
        `${fault} ${name}`,
      );
    }
    t.end();
  },
);

t.test('links that stay within the object are accepted', (t) => {
  const links = [link('f/n', '../x'), link('f/o', '..'), link('l', 'a/b'), link('m', './a')];
  const manifest = createManifest([folder('f'), ...links]);
  t.strictSame(decodeManifest(encodeManifest(manifest), 'posix'), manifest);
  t.end();
});

t.test('Windows refuses more', (t) => {
  const more: readonly (readonly [string, string, readonly Entry[]])[] = [
    ['reserved-name', 'a:b', [file('a:b')].map((entry) => ({ ...entry, name: 'aa:b' }))],
    ['dot-name', 'a.', [file('a.')]],
    ['absolute-name', 'c:x', [file('c:x')]],
    ['link-leaves', 'l', [link('l', 'c:x')]],
    ['link-leaves', 'l', [link('l', '..\\x')]],
    ['link-leaves', 'l', [link('l', '.. /x')]],
    ['link-leaves', 'l', [link('l', 'a/... /x')]],
    ['link-leaves', 'l', [link('l', 'nul')]],
  ];
  for (const [fault, name, entries] of more) {
    const read = decodeManifest(encode(...entries), 'windows');
    t.match(read, { fault }, `${fault} ${name}`);
    t.notOk('fault' in decodeManifest(encode(...entries), 'posix'));
  }
  t.end();
});

t.test('a folder is followed by its entries, and then by longer names', (t) => {
  const names = ['a', 'a b', 'a-', 'a.txt', 'ab', 'é', '\u{ff5e}', '\u{1f642}'];
  const entries = [folder('a'), folder('a/x'), file('a/x/y'), link('a/x.y', 'x'), file('a/z')];
  const all = [...entries, ...names.slice(1).map((name) => file(name))];
  t.strictSame(decodeManifest(encode(...all), 'posix'), createManifest(all));
  t.end();
});

function countSteps<T>(steps: Generator<undefined, T>): { count: number; result: T } {
  for (let count = 1; ; count++) {
    const { done, value } = steps.next();
    if (done === true) return { count, result: value };
  }
}

t.test('a long manifest is written and read in steps of bounded size', (t) => {
  const { entryCount, sizeBytes } = manifestStep;
  const numbered = (count: number, tail: string) =>
    createManifest(Array.from({ length: count }, (_, i) => file(`${1e6 + i}${tail}`)));
  const long = numbered(10 * entryCount, '');
  const written = countSteps(encodeInSteps(long));
  t.ok(written.count >= 10, `${written.count} steps`);
  t.same(written.result, encodeManifest(long), 'the steps produce the same bytes');
  const read = countSteps(decodeInSteps(written.result, 'posix'));
  t.equal(read.count, 10);
  t.strictSame(read.result, long);

  const wide = encodeManifest(numbered(entryCount, '-'.repeat(200)));
  t.ok(countSteps(decodeInSteps(wide, 'posix')).count >= wide.length / sizeBytes - 1);
  t.equal(countSteps(decodeInSteps(encode(file('a')), 'posix')).count, 1);
  t.end();
});

t.test('a bad entry ends the decoding in the step of that entry', (t) => {
  const { entryCount } = manifestStep;
  const entries = Array.from({ length: 10 * entryCount }, (_, i) => file(`${1e6 + i}`));
  entries[2 * entryCount] = file('/x');
  const { count, result } = countSteps(decodeInSteps(encode(...entries), 'posix'));
  t.equal(count, 3);
  t.strictSame(result, { fault: 'absolute-name', name: '/x' });
  t.end();
});

t.test('a truncated manifest, or one with trailing bytes, is rejected', (t) => {
  const bytes = encode(folder('a'), file('a/b'), link('c', 'a/b'));
  for (let size = 0; size < bytes.length; size++) {
    t.match(decodeManifest(bytes.subarray(0, size), 'posix'), { fault: /./ }, `cut to ${size}`);
  }
  const longer = Uint8Array.of(...bytes, 0);
  t.strictSame(decodeManifest(longer, 'posix'), { fault: 'not-a-manifest', name: '' });
  const many = new ByteWriter().varint(manifestLimits.entryCount + 1).finish();
  t.strictSame(decodeManifest(many, 'posix'), { fault: 'too-many-entries', name: '' });
  t.end();
});

t.test('no input makes it throw', (t) => {
  const whole = encode(folder('a'), file('a/b'), link('c', 'a/b'));
  const changed = fc.tuple(fc.nat(whole.length - 1), fc.nat(255)).map(([place, value]) => {
    const bytes = whole.slice();
    bytes[place] = value;
    return bytes;
  });
  const property = fc.property(fc.oneof(fc.uint8Array({ maxLength: 60 }), changed), (bytes) =>
    (['posix', 'windows'] as const).every((platform) => {
      const read = decodeManifest(bytes, platform);
      return 'fault' in read || Number.isSafeInteger(read.contentSizeBytes);
    }),
  );
  fc.assert(property, { seed: 1, numRuns: 3000 });
  t.end();
});
