/** Lines on a narrow terminal break between words, and what is to be copied stays whole. */
import t from 'tap';
import { wrapWords } from '../../../src/cli/output/word-wrap.js';

const key = 'p2mp-x25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ5pQ2m5iW1kO0uH0gqA';

t.test('lines that fit stay as they are, with their spaces', async (t) => {
  const table = '  source  received   rate  \n  lab1     6.00 MB  6.00 MB/s';
  t.equal(wrapWords(table, 40), table);
});

t.test('longer lines break between words, and the rest is indented', async (t) => {
  const text = 'relay1:7736: no answer for 10 s; it is asked again until it answers';
  t.same(wrapWords(text, 30).split('\n'), [
    'relay1:7736: no answer for',
    '  10 s; it is asked again',
    '  until it answers',
  ]);
  t.same(wrapWords(`  ${text}`, 50).split('\n'), [
    '  relay1:7736: no answer for 10 s; it is asked',
    '    again until it answers',
  ]);
});

t.test('a number and its unit are not separated', async (t) => {
  for (const quantity of ['3.79 s', '15 ms', '50.0 MB', '13.2 MB/s', '12 B', '5 %'])
    for (let columns = 24; columns < 60; columns++) {
      const text = `object to 10.0.0.1:48644: complete, ${quantity}, and ${quantity} more; ${quantity}`;
      const lines = wrapWords(text, columns).split('\n');
      const found = lines.join('\n').split(quantity).length - 1;
      t.equal(found, 3, `${quantity}, ${columns} columns`);
      t.ok(lines.every((line) => line.length <= columns));
    }
  const other = 'there are many, 12 senders';
  t.equal(wrapWords(other, 20), 'there are many, 12\n  senders', 'a word is no unit');
});

t.test('a word that is wider than the terminal is left to the terminal', async (t) => {
  const path = '/'.repeat(64);
  t.equal(wrapWords(`the folder ${path} of it`, 40), `the folder\n  ${path}\n  of it`);
});

t.test(
  'a digest that is wider than the terminal is shortened, unless it begins its line',
  async (t) => {
    const root = '0123456789abcdef'.repeat(4);
    const short = `${root.slice(0, 16)}…${root.slice(-16)}`;
    t.equal(wrapWords(`  content root ${root}`, 60), `  content root ${short}`);
    t.equal(wrapWords(`content root ${root} of it`, 40), `content root\n  ${short} of\n  it`);
    t.equal(
      wrapWords(`content root ${root}`, 70),
      `content root\n  ${root}`,
      'it has a line of its own',
    );
    t.equal(wrapWords(`  ${root} at lab1, lab2`, 60), `  ${root}\n    at lab1, lab2`);
  },
);

t.test('a line for a file of keys can be copied', async (t) => {
  for (const line of [`fetch ${key} a comment`, `lab1 ${key}`]) {
    const lines = wrapWords(`it may not fetch; add this line to its list: ${line}`, 40).split('\n');
    t.equal(lines.at(-1), `  ${line}`);
  }
});

t.test('colors go on in the next line', async (t) => {
  const lines = wrapWords('\x1b[33mone two three four five six seven\x1b[39m', 20).split('\n');
  t.equal(lines.length, 2);
  for (const line of lines) {
    t.ok(line.trimStart().startsWith('\x1b[33m'));
    t.ok(line.endsWith('\x1b[39m'));
  }
});

t.test('hardly any columns', async (t) => {
  t.equal(wrapWords('one two three four five', 10), 'one two three four five');
});
