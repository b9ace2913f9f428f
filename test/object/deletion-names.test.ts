/** What a sender remembers of the lists of its receivers, which may lie. */
import t from 'tap';
import { DeletionNames } from '../../src/object/deletion-names.js';

const nothingSpared = () => false;
const listOf = (part: number, ...names: string[]) => ({
  kind: 'extras' as const,
  part,
  extras: names.map((name) => ({ name, isFolder: false })),
});

t.test('names that no object can contain are spared, and never shown', (t) => {
  const lies = [
    '..',
    '../x',
    '/etc',
    'a/../..',
    'a//b',
    './a',
    '',
    'a\0',
    'a/',
    `${'x'.repeat(256)}`,
  ];
  const names = new DeletionNames();
  const asked: string[] = [];
  const spared = names.take(listOf(0, 'a/ok', ...lies), (name) => {
    asked.push(name);
    return false;
  });
  t.strictSame(
    spared,
    lies.map((_, i) => i + 1),
  );
  t.strictSame(names.names, ['a/ok']);
  t.strictSame(asked, ['a/ok'], 'no filter gets an invalid name');
  t.end();
});

t.test('a part that is repeated counts once', (t) => {
  const names = new DeletionNames();
  names.take(listOf(1, 'b'), nothingSpared);
  names.take(listOf(0, 'a'), nothingSpared);
  names.take(listOf(1, 'b'), nothingSpared);
  t.strictSame(names.names, ['a', 'b'], 'in the order of the parts');
  names.clear();
  t.strictSame(names.names, []);
  t.end();
});

t.test('the memory is bounded, whatever a receiver sends', (t) => {
  const names = new DeletionNames();
  const isSpared = (name: string) => name.includes('spared');
  for (let part = 0; part < 20_000; part++) {
    names.take(listOf(part, `a/${part}`), isSpared);
    // Without names, the part would stay.
    if (part % 2 === 0) names.take(listOf(part), isSpared);
    if (part % 3 === 0) names.take(listOf(part, `a/${part}/spared`), isSpared);
  }
  t.ok(names['parts'].size <= 1000, `${names['parts'].size} parts`);
  t.ok(names['nameCount'] <= 1000);
  t.ok(names['keptFolders'].size <= 2000);
  t.ok(names.names.length <= 1000);
  t.end();
});
