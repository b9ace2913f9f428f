/** Receivers in `--to`: on the command line and in files. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { checkSeparation, parseReceivers } from '../../../src/cli/receivers/receiver-list.js';

async function read(...texts: string[]) {
  const receivers = await parseReceivers(texts, 7000);
  return receivers.map(({ name, host, port }) => [name, host, port]);
}

t.test('names, addresses and ports, separated by commas or in several options', async (t) => {
  t.same(await read('a,b:1, 10.0.0.1 ', '[::1]:2', '::1,[fe80::1%eth0]'), [
    ['a', 'a', 7000],
    ['b:1', 'b', 1],
    ['10.0.0.1', '10.0.0.1', 7000],
    ['[::1]:2', '::1', 2],
    ['::1', '::1', 7000],
    ['[fe80::1%eth0]', 'fe80::1%eth0', 7000],
  ]);
  t.same(await read(',a,,'), [['a', 'a', 7000]]);
});

t.test('a file has one receiver per line; comments and blank lines are ignored', async (t) => {
  const plain = join(t.testdir(), 'the hosts');
  writeFileSync(plain, '\n# all\r\na:1#first\r\n\t b \n  # [\n[::1]:2 # last');
  const expected = [
    ['a:1', 'a', 1],
    ['b', 'b', 7000],
    ['[::1]:2', '::1', 2],
  ];
  t.same(await read(`@${plain}`), expected);
  t.same(await read(`c, @${plain} ,d`), [['c', 'c', 7000], ...expected, ['d', 'd', 7000]]);
});

t.test('a bad line is reported with file and line number', async (t) => {
  const path = join(t.testdir(), 'hosts');
  for (const [content, line, reason] of [
    ['a\n\n# x\nb c:0\n', 4, 'port 0: must be a whole number from 1 to 65535, such as 7735'],
    ['a:b:c', 1, 'a:b:c: must be one host, host:port or [IPv6 address]:port'],
    ['a\r\n[a]:1\r\n', 2, '[a]:1: must be host, host:port or [IPv6 address]:port'],
  ] as const) {
    writeFileSync(path, content);
    const message = `${path}:${line}: ${reason}`;
    await t.rejects(read('good', `@${path}`), { code: 'INVALID_ARGUMENT', message });
  }
});

t.test('no receiver and a missing file are refused', async (t) => {
  const folder = t.testdir({ empty: '# nobody\n' });
  for (const texts of [[], [''], [' , '], [`@${join(folder, 'empty')}`]]) {
    await t.rejects(read(...texts), {
      code: 'INVALID_ARGUMENT',
      message: /no receiver; name at least one/,
    });
  }
  const missing = join(folder, 'missing');
  await t.rejects(read(`@${missing}`), {
    code: 'SOURCE_UNREADABLE',
    message: new RegExp(`^${missing.replaceAll('\\', '\\\\')}: does not exist; `),
  });
  await t.rejects(read(`@${folder}`), { code: 'SOURCE_UNREADABLE' });
});

t.test('blanks and semicolons between receivers', async (t) => {
  for (const text of ['a b', 'a:1;b', 'a;  b']) {
    const words = text.split(/[ ;]+/).join(',');
    await t.rejects(read(text), {
      code: 'INVALID_ARGUMENT',
      message: `--to ${text}: separate receivers by commas: --to ${words}`,
    });
  }
});

t.test('receivers given as separate arguments', async (t) => {
  const check = (...args: string[]) => checkSeparation(args, (path) => path === 'file');
  const refused = [
    [['file', '--to', 'a', 'b'], 'b', 'a,b'],
    [['file', '--to=a', 'b', 'c', '--open'], 'b', 'a,b,c'],
    [['--to', 'a,', 'b', 'file'], 'b', 'a,b'],
    [['file', '--to', 'a', '--to', 'b', 'c'], 'c', 'b,c'],
  ] as const;
  for (const [args, first, all] of refused) {
    t.throws(() => check(...args), {
      code: 'INVALID_ARGUMENT',
      message: `${first}: no such file; if it is a receiver, separate receivers by commas: --to ${all}`,
    });
  }
  check('--to', 'a', 'file');
  check('file', '--to', 'a', '--open');
  check('--to', 'a', '-');
  check('missing', '--to', 'a');
});
