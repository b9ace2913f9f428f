/** Authorized keys and known receivers: lists that people edit while programs read them. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  appendFileSync,
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import * as fc from 'fast-check';
import t from 'tap';
import { P2mpError } from '../../../src/base/errors.js';
import {
  AuthorizedKeys,
  formatAuthorizedKey,
  rights,
} from '../../../src/node/keys/authorized-keys.js';
import { formatPublicKey } from '../../../src/node/keys/key-files.js';
import { KnownReceivers } from '../../../src/node/keys/known-receivers.js';
import { distFolder } from '../../support/processes.js';

const keyOf = (n: number) => new Uint8Array(32).fill(n);
const lineOf = (n: number, comment = '') => formatPublicKey(keyOf(n), comment);
const sendLineOf = (n: number, comment = '') => formatAuthorizedKey(['send'], keyOf(n), comment);
const sends = new Set(['send']);
const isWindows = process.platform === 'win32';
const isRoot = process.getuid?.() === 0 && 'root may read and write all';

/** Sets a time old enough that any later change shows in the file's time. */
function age(path: string): void {
  const old = Date.now() / 1000 - 60;
  utimesSync(path, old, old);
}

t.test('keys are found with their rights; blank lines and comments are ignored', async (t) => {
  const path = join(t.testdir(), 'authorized_keys');
  const content = [
    '# who',
    '',
    sendLineOf(1, 'alice@desk'),
    `  send,delete\t${lineOf(2)}\r`,
    '   ',
    `fetch ${lineOf(1, 'again')}`,
    `delete,fetch,send,send ${lineOf(4)}`,
  ];
  for (const end of ['', '\n', '\r\n\n']) {
    writeFileSync(path, `\ufeff${content.join('\n')}${end}`);
    const keys = await AuthorizedKeys.load(path);
    t.same(keys.find(keyOf(1)), { rights: new Set(['send', 'fetch']), comment: 'alice@desk' });
    t.same(keys.find(Buffer.from(keyOf(2))), { rights: new Set(['send', 'delete']), comment: '' });
    t.equal(keys.find(keyOf(3)), undefined);
    const may = (n: number) => rights.filter((right) => keys.may(keyOf(n), right)).join();
    t.same([1, 2, 3, 4].map(may), ['send,fetch', 'send,delete', '', 'send,fetch,delete']);
  }
  writeFileSync(path, '');
  t.equal((await AuthorizedKeys.load(path)).find(keyOf(1)), undefined);
});

t.test('rights that are added count at once, beside those of the file', async (t) => {
  const path = join(t.testdir(), 'authorized_keys');
  writeFileSync(path, `fetch ${lineOf(1, 'alice')}`);
  const keys = await AuthorizedKeys.load(path);
  const saved = keys.add(['send'], keyOf(1), 'invited');
  for (const time of ['at once', 'from the file']) {
    t.same(keys.find(keyOf(1)), { rights: new Set(['fetch', 'send']), comment: 'alice' }, time);
    await saved;
  }
  t.equal(readFileSync(path, 'utf8'), `fetch ${lineOf(1, 'alice')}\n${sendLineOf(1, 'invited')}\n`);
  writeFileSync(path, `fetch ${lineOf(1)}`);
  t.equal(await keys.refresh(), undefined);
  t.notOk(keys.may(keyOf(1), 'send'), 'removing the line ends the right');
});

t.test('a bad line is reported, with what to do', async (t) => {
  const path = join(t.testdir(), 'list');
  const bad: [Buffer | string, RegExp][] = [
    ['send ssh-ed25519 AAAA me', /not a p2mp public key: "ssh-ed25519"; expected "p2mp-/],
    [sendLineOf(1).slice(0, -3), /truncated or altered key: "AQEB/],
    [`${sendLineOf(1)} \u001b[2J`, /the comment contains control characters/],
    [Buffer.from([0x66, 0xff]), /is not valid UTF-8/],
    ['send f\u0000', /not a p2mp public key: "f\\u0000"/],
    [lineOf(1), /names no rights; begin the line with what the key may do, such as "send"/],
    [`sends ${lineOf(1)}`, /does not begin with rights \(send, fetch, delete, relay, exchange\)/],
    [`send, fetch ${lineOf(1)}`, /separated by commas without blanks/],
    [`\u001b[2J ${lineOf(1)}`, /does not begin with rights/],
    ['send', /not a p2mp public key: ""/],
    [`fetch,delete ${lineOf(1)}`, /"delete" has no effect without "send"; write "send,delete"/],
  ];
  for (const [line, reason] of bad) {
    writeFileSync(path, Buffer.concat([Buffer.from(`#\n${sendLineOf(1)}\n\n`), Buffer.from(line)]));
    const error = await AuthorizedKeys.load(path).then(
      () => undefined,
      (error: unknown) => error,
    );
    t.match(error, { code: 'TRUST_FILE_BAD', message: reason });
    const { message } = error as P2mpError;
    t.ok(message.startsWith(`${path}:4: `), message);
    t.match(message, /; correct the line, or comment it out with #$/);
    t.notMatch(message, /\p{Cc}/u, 'control characters do not reach the terminal');
  }
});

t.test('a file that is no list at all is refused', async (t) => {
  const folder = t.testdir({ folder: {}, large: '' });
  truncateSync(join(folder, 'large'), 5 * 1024 * 1024);
  const refused: [string, RegExp][] = [
    [
      'missing',
      /missing: the list of authorized keys does not exist; --invite lets a first host in and makes it; or create it with one line per key, such as "send,fetch p2mp-/,
    ],
    ['folder', /folder: is a folder; name a file/],
    ['large', /large: is too large for a list of keys \(5242880 bytes\)/],
  ];
  for (const [name, message] of refused) {
    const loaded = AuthorizedKeys.load(join(folder, name));
    await t.rejects(loaded, { code: 'TRUST_FILE_BAD', message }, name);
    if (name === 'missing') continue;
    const known = KnownReceivers.load(join(folder, name));
    await t.rejects(known, { code: 'TRUST_FILE_BAD', message }, name);
  }
});

t.test('a list that anybody can change is not trusted', { skip: isWindows }, async (t) => {
  const path = join(t.testdir({ list: `${sendLineOf(1)}\n` }), 'list');
  for (const mode of [0o666, 0o602, 0o777]) {
    chmodSync(path, mode);
    const message = `${path}: any user on this host can change it (mode 0${mode.toString(8)}); run chmod o-w ${path}`;
    await t.rejects(AuthorizedKeys.load(path), { code: 'TRUST_FILE_BAD', message });
  }
  writeFileSync(path, `localhost:1 ${lineOf(1)}\n`);
  await t.rejects(KnownReceivers.load(path), { message: /any user on this host can change it/ });
  // Groups with one user are common, and read access by others is harmless.
  chmodSync(path, 0o664);
  await t.resolves(KnownReceivers.load(path));
});

t.test('a list without permission is refused', { skip: isRoot || isWindows }, async (t) => {
  const path = join(t.testdir({ list: '' }), 'list');
  chmodSync(path, 0);
  const error = { code: 'TRUST_FILE_BAD', message: /list: permission denied; / };
  await t.rejects(AuthorizedKeys.load(path), error);
  await t.rejects(KnownReceivers.load(path), error);
});

t.test('a changed list is read again; a broken one is not used', async (t) => {
  const path = join(t.testdir(), 'list');
  writeFileSync(path, sendLineOf(1, 'one'));
  age(path);
  const keys = await AuthorizedKeys.load(path);
  t.equal(await keys.refresh(), undefined);

  writeFileSync(path, sendLineOf(2, 'two'));
  t.equal(keys.find(keyOf(2)), undefined, 'not before it is asked for');
  t.equal(await keys.refresh(), undefined);
  t.same(keys.find(keyOf(2)), { rights: sends, comment: 'two' });
  t.equal(keys.find(keyOf(1)), undefined, 'a removed key has no rights');

  writeFileSync(path, 'nonsense');
  for (const time of ['at first', 'again']) {
    const error = await keys.refresh();
    t.match(error, { code: 'TRUST_FILE_BAD', message: `${path}:1: ` }, time);
    t.same(
      keys.find(keyOf(2)),
      { rights: sends, comment: 'two' },
      'the previous list remains in use',
    );
  }
  rmSync(path);
  t.match(await keys.refresh(), {
    code: 'TRUST_FILE_BAD',
    message: /the list of authorized keys does not exist/,
  });
  t.same(keys.find(keyOf(2)), { rights: sends, comment: 'two' });

  // As editors do: another file takes the name.
  writeFileSync(`${path}.new`, sendLineOf(3, 'three'));
  renameSync(`${path}.new`, path);
  t.equal(await keys.refresh(), undefined);
  t.same(keys.find(keyOf(3)), { rights: sends, comment: 'three' });
});

t.test('an immediate change of the same size is noticed', async (t) => {
  const path = join(t.testdir(), 'list');
  writeFileSync(path, sendLineOf(1));
  const keys = await AuthorizedKeys.load(path);
  const { mtime } = statSync(path);
  for (let n = 2; n < 20; n++) {
    writeFileSync(path, sendLineOf(n));
    // As on a disk that stores whole seconds.
    utimesSync(path, mtime, mtime);
    t.equal(await keys.refresh(), undefined);
    t.ok(keys.find(keyOf(n)), `change ${n}`);
  }
});

t.test('an unchanged list is not read again', { skip: isRoot || isWindows }, async (t) => {
  const path = join(t.testdir(), 'list');
  writeFileSync(path, sendLineOf(1));
  age(path);
  const keys = await AuthorizedKeys.load(path);
  chmodSync(path, 0);
  t.equal(await keys.refresh(), undefined);
});

t.test('concurrent refreshes all end with the newest content', async (t) => {
  const path = join(t.testdir(), 'list');
  writeFileSync(path, sendLineOf(1));
  const keys = await AuthorizedKeys.load(path);
  const refreshes: Promise<unknown>[] = [];
  for (let n = 2; n < 30; n++) {
    writeFileSync(`${path}.new`, `${sendLineOf(n)}\n${'# filling\n'.repeat(1000 * (n % 2))}`);
    renameSync(`${path}.new`, path);
    refreshes.push(keys.refresh());
  }
  t.same(await Promise.all(refreshes), new Array(28).fill(undefined));
  t.ok(keys.find(keyOf(29)));
});

const known = { status: 'known' } as const;
const unknown = { status: 'unknown' } as const;

t.test('a receiver met before is known; one with another key has changed', async (t) => {
  const path = join(t.testdir(), 'deep', 'known_receivers');
  const receivers = await KnownReceivers.load(path);
  t.same(receivers.check('host:7735', keyOf(1)), unknown);
  t.notOk(existsSync(path), 'a lookup creates no file');
  for (const [n, name] of ['host:7735', 'host:7736', '[::1]:7735', '192.0.2.1:1'].entries()) {
    t.same(await receivers.add(name, keyOf(n)), known, name);
  }
  t.equal(
    readFileSync(path, 'utf8'),
    `host:7735 ${lineOf(0)}\nhost:7736 ${lineOf(1)}\n[::1]:7735 ${lineOf(2)}\n192.0.2.1:1 ${lineOf(3)}\n`,
  );
  for (const list of [receivers, await KnownReceivers.load(path)]) {
    t.same(list.check('host:7735', keyOf(0)), known);
    t.same(list.check('HOST:7735', keyOf(0)), known, 'host names are case-insensitive');
    t.same(list.check('[::1]:7735', keyOf(1)), { status: 'changed', lineNumber: 3 });
    t.same(list.check('[::2]:7735', keyOf(2)), unknown);
  }
  const before = readFileSync(path, 'utf8');
  t.same(await receivers.add('host:7735', keyOf(0)), known);
  t.same(await receivers.add('host:7735', keyOf(9)), { status: 'changed', lineNumber: 1 });
  t.equal(readFileSync(path, 'utf8'), before, 'nothing is added twice');
  await t.rejects(receivers.add('no port', keyOf(1)), /internal error: .* host:port/);
});

t.test(
  'only the owner can access a new list',
  { skip: isWindows && 'no such modes' },
  async (t) => {
    const path = join(t.testdir(), 'folder', 'list');
    await (await KnownReceivers.load(path)).add('host:1', keyOf(1));
    t.equal(statSync(path).mode & 0o077, 0);
    t.equal(statSync(join(path, '..')).mode & 0o077, 0);
  },
);

t.test('lines are added to a list that people edit', async (t) => {
  const path = join(t.testdir(), 'list');
  writeFileSync(path, `# mine\n\nhost:1 ${lineOf(1, 'comment')}\r\nother:2\t${lineOf(2)}`);
  const receivers = await KnownReceivers.load(path);
  t.same(receivers.check('host:1', keyOf(1)), known);
  t.same(receivers.check('other:2', keyOf(1)), { status: 'changed', lineNumber: 4 });
  t.same(await receivers.add('third:3', keyOf(3)), known, 'on a line of its own');
  t.same(receivers.check('other:2', keyOf(2)), known);
  appendFileSync(path, `late:4 ${lineOf(4)}\n`);
  t.same(await receivers.add('late:4', keyOf(4)), known);
  t.equal(readFileSync(path, 'utf8').match(/late/g)?.length, 1, 'lines that others added are seen');
});

t.test('if a receiver has two lines, the first counts', async (t) => {
  const path = join(t.testdir(), 'list');
  writeFileSync(path, `host:1 ${lineOf(1)}\nhost:1 ${lineOf(2)}\n`);
  const receivers = await KnownReceivers.load(path);
  t.same(receivers.check('host:1', keyOf(1)), known);
  t.same(receivers.check('host:1', keyOf(2)), { status: 'changed', lineNumber: 1 });
});

t.test('a bad line of known receivers is reported', async (t) => {
  const path = join(t.testdir(), 'list');
  const bad: [string, RegExp][] = [
    [`host ${lineOf(1)}`, /does not begin with host:port/],
    [`::1:7735 ${lineOf(1)}`, /does not begin with host:port/],
    [`host: ${lineOf(1)}`, /does not begin with host:port/],
    [lineOf(1), /does not begin with host:port/],
    ['host:1', /not a p2mp public key: ""/],
    ['host:1 ssh-ed25519 AAAA', /not a p2mp public key: "ssh-ed25519"/],
  ];
  for (const [line, reason] of bad) {
    writeFileSync(path, `host:2 ${lineOf(2)}\n${line}\n`);
    const message = await KnownReceivers.load(path).then(
      () => 'loaded',
      (error: P2mpError) => (error.code === 'TRUST_FILE_BAD' ? error.message : error.code),
    );
    t.ok(message.startsWith(`${path}:2: `), message);
    t.match(message, reason, line);
  }
});

t.test('a failure to add is reported with its reason', async (t) => {
  const folder = t.testdir({ file: '' });
  const inFile = await KnownReceivers.load(join(folder, 'list'));
  rmSync(folder, { recursive: true });
  writeFileSync(folder, 'it is a file now');
  await t.rejects(inFile.add('host:1', keyOf(1)), { code: 'TRUST_FILE_BAD', message: /list: / });
  rmSync(folder);
  mkdirSync(folder);
});

/** Adds the given number of receivers, as a separate sender would. */
const adderScript = `
  const { KnownReceivers } = await import(process.argv[1]);
  const [path, name, countText] = process.argv.slice(2);
  const receivers = await KnownReceivers.load(path);
  const statuses = [];
  process.send('ready');
  process.once('message', async () => {
    for (let n = 1; n <= Number(countText); n++) {
      const key = new Uint8Array(32).fill(n);
      const own = await receivers.add(name + ':' + n, key);
      const shared = await receivers.add('shared:' + n, new Uint8Array(32).fill(name.length));
      statuses.push(own.status, shared.status);
    }
    process.send(statuses, () => process.disconnect());
  });`;

t.test('concurrent senders lose no line, and agree on the receivers that both met', async (t) => {
  const path = join(t.testdir(), 'list');
  const module = pathToFileURL(join(distFolder, 'node/keys/known-receivers.js')).href;
  const { NODE_OPTIONS: _, ...env } = process.env;
  const [names, count] = [['a', 'bb', 'ccc'], 15];
  const children = names.map((name) => {
    const args = ['--input-type=module', '-e', adderScript, module, path, name, String(count)];
    const stdio = ['ignore', 'inherit', 'inherit', 'ipc'] as const;
    const child = spawn(process.execPath, args, { stdio: [...stdio], env });
    t.teardown(() => child.kill());
    return child;
  });
  await Promise.all(children.map((child) => once(child, 'message')));
  const ends = children.map(async (child) => {
    const [statuses] = (await once(child, 'message')) as [string[]];
    return statuses;
  });
  for (const child of children) child.send('go');
  const statuses = await Promise.all(ends);
  const receivers = await KnownReceivers.load(path);
  for (let n = 1; n <= count; n++) {
    for (const name of names) t.same(receivers.check(`${name}:${n}`, keyOf(n)), known);
    const winners = names.filter((_, i) => statuses[i]?.[2 * n - 1] === 'known');
    const kept = names.filter(
      (name) => receivers.check(`shared:${n}`, keyOf(name.length)).status === 'known',
    );
    t.equal(winners.length, 1, 'one of them met it first');
    t.same(winners, kept, 'the file has that one');
  }
});

const line = fc.oneof(
  fc.constantFrom(
    '',
    '#',
    ' # note',
    lineOf(1, 'a b'),
    `host:1 ${lineOf(1)}`,
    `[::1]:2 ${lineOf(2)}`,
  ),
  fc.string({ unit: 'binary' }),
);
const content = fc.oneof(
  fc.uint8Array({ maxLength: 200 }),
  fc
    .array(line, { maxLength: 6 })
    .chain((lines) => fc.constantFrom('\n', '\r\n').map((end) => Buffer.from(lines.join(end)))),
);

t.test('any bytes give a list or a coded error', async (t) => {
  const path = join(t.testdir(), 'list');
  const seen = new Map<string, number>();
  for (const kind of [AuthorizedKeys, KnownReceivers]) {
    const property = fc.asyncProperty(content, async (bytes) => {
      writeFileSync(path, bytes);
      let end = 'a list';
      try {
        const list = await kind.load(path);
        if (list instanceof AuthorizedKeys) list.find(keyOf(1));
        else list.check('host:1', keyOf(1));
      } catch (error) {
        if (!(error instanceof P2mpError) || error.code !== 'TRUST_FILE_BAD') throw error;
        const { message } = error;
        if (!/:\d+: /.test(message) || /\p{Cc}/u.test(message)) throw error;
        end = 'an error';
      }
      const key = `${kind.name}: ${end}`;
      seen.set(key, (seen.get(key) ?? 0) + 1);
    });
    await fc.assert(property, { seed: 1, numRuns: 700 });
  }
  t.equal(seen.size, 4, 'both outcomes occur for both lists');
  for (const [end, count] of seen) t.ok(count > 20, `${end}: ${count} times`);
});
