/** `p2mp keygen` for users and programs. */
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { hostname, tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { fingerprint, loadKeyPair, parsePublicKey } from '../../../src/node/keys/key-files.js';
import { type Exit, parseResult, startCommand } from '../../support/processes.js';

t.jobs = 4;

const isWindows = process.platform === 'win32';

/** Runs the command in a folder, which is also the default folder of keys. */
function keygen(t: Test, folder: string, ...args: string[]): Promise<Exit> {
  const options = { cwd: folder, env: { P2MP_HOME: join(folder, 'home') } };
  return startCommand(t, 'p2mp', ['keygen', ...args], options).exited;
}

t.test('keygen creates a pair and prints the public key', { buffered: true }, async (t) => {
  const folder = t.testdir();
  const path = join(folder, 'home', 'key');
  const made = await keygen(t, folder);
  t.match(made, { code: 0, stderr: '' });
  const { publicKey } = await loadKeyPair(path);
  const line = readFileSync(`${path}.pub`, 'utf8').trimEnd();
  t.equal(parsePublicKey(line).comment, `${userInfo().username}@${hostname()}`);
  t.same(made.stdout.split('\n'), [
    `Private key: ${path}`,
    `Public key:  ${path}.pub`,
    `Fingerprint: ${fingerprint(publicKey)}`,
    line,
    '',
  ]);
  if (!isWindows) t.equal(statSync(path).mode & 0o777, 0o600);

  const shown = await keygen(t, folder, '--show');
  t.same([shown.code, shown.stdout], [0, made.stdout], '--show prints it again');
  t.same(readdirSync(join(folder, 'home')).sort(), ['key', 'key.pub']);
});

t.test('--json prints one object, and never the private key', { buffered: true }, async (t) => {
  const folder = t.testdir();
  const path = join(folder, 'mine');
  const made = await keygen(t, folder, '--json', '--key', path, '--comment', 'the plant, hall 3');
  t.equal(made.code, 0);
  const { publicKey, secretKey } = await loadKeyPair(path);
  const expected = {
    event: 'result',
    status: 'made',
    keyFile: path,
    publicKeyFile: `${path}.pub`,
    publicKey: readFileSync(`${path}.pub`, 'utf8').trimEnd(),
    comment: 'the plant, hall 3',
    fingerprint: fingerprint(publicKey),
  };
  t.match(parseResult(made), expected);
  for (const encoding of ['base64', 'base64url', 'hex'] as const) {
    const secret = Buffer.from(secretKey).toString(encoding);
    t.notOk(`${made.stdout}${made.stderr}`.includes(secret.slice(0, 40)), encoding);
  }
  const shown = await keygen(t, folder, '--json', '--quiet', '--key', path, '--show');
  t.match(parseResult(shown), { ...expected, status: 'shown' });
  t.same((await keygen(t, folder, '--quiet', '--key', path, '--show')).stdout, '');
  t.notOk(existsSync(join(folder, 'home')), 'the default folder is not used');
});

t.test('an empty comment means no comment', { buffered: true }, async (t) => {
  const folder = t.testdir();
  const made = await keygen(t, folder, '--key', 'key', '--comment', '');
  t.equal(made.code, 0, made.stderr);
  t.match(readFileSync(join(folder, 'key.pub'), 'utf8'), /^p2mp-x25519 \S{44}\n$/);
});

t.test('a key is overwritten only with --force', { buffered: true }, async (t) => {
  const folder = t.testdir();
  const path = join(folder, 'home', 'key');
  await keygen(t, folder);
  const before = readFileSync(path, 'utf8');
  const refused = await keygen(t, folder);
  t.match(refused, { code: 4, stdout: '' });
  t.equal(
    refused.stderr,
    `p2mp keygen: ${path}: a key exists already; ` +
      'choose another file, or overwrite it with --force, which destroys the old key\n',
  );
  t.equal(readFileSync(path, 'utf8'), before);
  t.equal((await keygen(t, folder, '--force')).code, 0);
  t.not(readFileSync(path, 'utf8'), before);
});

t.test('a public file without its private one is named', { buffered: true }, async (t) => {
  const folder = t.testdir();
  const path = join(folder, 'home', 'key');
  await keygen(t, folder);
  rmSync(path);
  const refused = await keygen(t, folder);
  t.match(refused, { code: 4, stdout: '' });
  const reason = `its private key ${path} is missing`;
  t.match(
    refused.stderr,
    `p2mp keygen: ${path}.pub: ${reason}; restore the private key, or delete this file`,
  );
  rmSync(`${path}.pub`);
  t.equal((await keygen(t, folder)).code, 0);
});

t.test('--show works without the public file, but the comment is lost', async (t) => {
  const folder = t.testdir();
  await keygen(t, folder, '--key', 'key');
  const { publicKey } = await loadKeyPair(join(folder, 'key'));
  writeFileSync(join(folder, 'key.pub'), 'nonsense');
  const shown = await keygen(t, folder, '--key', 'key', '--show');
  const base64 = Buffer.from(publicKey).toString('base64');
  t.match(shown.stdout, `Fingerprint: ${fingerprint(publicKey)}\np2mp-x25519 ${base64}\n`);
});

const refusals: { args: string[]; code: 2 | 4; line: string | RegExp }[] = [
  { args: ['name'], code: 2, line: '1 arguments: expected none' },
  { args: ['--key'], code: 2, line: 'key' },
  { args: ['--key', ''], code: 2, line: '--key: empty file name; name a file' },
  { args: ['--key', 'a', '--key', 'b'], code: 2, line: '--key: given more than once' },
  { args: ['--comment', 'a', '--comment', 'b'], code: 2, line: '--comment: given more than once' },
  { args: ['--comment', 'two\nlines'], code: 2, line: 'comment "two\\nlines" must be one line' },
  { args: ['--show', '--force'], code: 2, line: '--show creates no key; ' },
  { args: ['--show', '--comment', 'x'], code: 2, line: '--show creates no key; ' },
  { args: ['--bogus'], code: 2, line: 'bogus' },
  { args: ['--key', 'folder'], code: 4, line: 'folder: is a folder; name a file' },
  { args: ['--key', 'file/key'], code: 4, line: 'file: a file of that name exists; ' },
  { args: ['--show'], code: 4, line: /home.key: no such key; create one with p2mp keygen/ },
  { args: ['--show', '--key', 'file'], code: 4, line: 'file: contains no p2mp private key; ' },
];

for (const { args, code, line } of refusals) {
  t.test(`p2mp keygen ${JSON.stringify(args)}`, { buffered: true }, async (t) => {
    // The test runner names folders after tests, and these names would collide.
    const folder = mkdtempSync(join(tmpdir(), 'p2mp-'));
    t.teardown(() => rmSync(folder, { recursive: true }));
    mkdirSync(join(folder, 'folder'));
    writeFileSync(join(folder, 'file'), 'content', { mode: 0o600 });
    const exit = await keygen(t, folder, ...args);
    t.equal(exit.code, code, 'exit code');
    t.equal(exit.stdout, '', 'nothing on standard output');
    t.match(exit.stderr, /^p2mp keygen: [^\n]+\n$/, 'one line');
    t.match(exit.stderr.slice('p2mp keygen: '.length), line);
    t.same(readdirSync(folder).sort(), ['file', 'folder'], 'no file is created or deleted');
    t.same(readdirSync(join(folder, 'folder')), []);
  });
}

const skip = isWindows && 'Windows has no such modes';

t.test('a private key that others can read is not used', { buffered: true, skip }, async (t) => {
  const folder = t.testdir();
  await keygen(t, folder, '--key', 'key');
  chmodSync(join(folder, 'key'), 0o644);
  const exit = await keygen(t, folder, '--key', 'key', '--show');
  t.match(exit, { code: 4, stdout: '' });
  t.equal(
    exit.stderr,
    'p2mp keygen: key: other users can access it (mode 0644); run chmod 600 key\n',
  );
});
