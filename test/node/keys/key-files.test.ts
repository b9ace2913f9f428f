/** Key pairs in files: always complete, never readable by others, never overwritten unasked. */
import { execFileSync } from 'node:child_process';
import { createPublicKey } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import t from 'tap';
import { P2mpError } from '../../../src/base/errors.js';
import {
  defaultKeyFolder,
  fingerprint,
  formatPublicKey,
  generateKeyPair,
  type KeyPair,
  loadComment,
  loadKeyPair,
  parsePublicKey,
  saveKeyPair,
} from '../../../src/node/keys/key-files.js';

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
const hexOf = ({ publicKey, secretKey }: KeyPair) => ({
  public: hex(publicKey),
  secret: hex(secretKey),
});
const pem = (base64: string) =>
  `-----BEGIN PRIVATE KEY-----\n${base64}\n-----END PRIVATE KEY-----\n`;
const modeOf = (path: string) => statSync(path).mode & 0o777;

const isWindows = process.platform === 'win32';
const skipOnWindows = isWindows && 'Windows has no such modes';
const isRoot = process.getuid?.() === 0 && 'root may read and write all';

/** Alice's keys in RFC 7748, 6.1. */
const alice = {
  public: '8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a',
  secret: '77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a',
};

t.test("the folder is the one that the user names, or the system's settings folder", (t) => {
  const home = homedir();
  const folder = (environment: Record<string, string>) => defaultKeyFolder(environment, 'linux');
  t.equal(folder({ P2MP_HOME: '/own', XDG_CONFIG_HOME: '/config' }), '/own');
  t.equal(folder({ P2MP_HOME: '', XDG_CONFIG_HOME: '/config' }), join('/config', 'p2mp'));
  t.equal(folder({}), join(home, '.config', 'p2mp'));
  t.equal(folder({ XDG_CONFIG_HOME: '' }), join(home, '.config', 'p2mp'));
  t.equal(
    folder({ XDG_CONFIG_HOME: 'relative' }),
    join(home, '.config', 'p2mp'),
    'as XDG specifies',
  );
  t.equal(defaultKeyFolder({ APPDATA: '/data' }, 'win32'), join('/data', 'p2mp'));
  t.equal(defaultKeyFolder({ APPDATA: '/data', P2MP_HOME: '/own' }, 'win32'), '/own');
  t.equal(defaultKeyFolder({}, 'win32'), join(home, 'AppData', 'Roaming', 'p2mp'));
  t.end();
});

t.test('a saved pair loads again, from files with the modes that SSH uses', async (t) => {
  const folder = join(t.testdir(), 'deep', 'er');
  const path = join(folder, 'key');
  const pair = await generateKeyPair();
  await saveKeyPair(path, pair, 'me@host');
  t.same(hexOf(await loadKeyPair(path)), hexOf(pair));
  t.equal(await loadComment(path, pair.publicKey), 'me@host');
  t.same(readdirSync(folder).sort(), ['key', 'key.pub'], 'nothing else remains');
  const line = formatPublicKey(pair.publicKey, 'me@host');
  t.equal(readFileSync(`${path}.pub`, 'utf8'), `${line}\n`);
  const { x } = createPublicKey(readFileSync(path)).export({ format: 'jwk' });
  t.equal(x, Buffer.from(pair.publicKey).toString('base64url'), 'others read the private file too');
});

t.test(
  'a pair written by other tools is read, and its public key is that of RFC 7748',
  async (t) => {
    const path = join(t.testdir(), 'key');
    const base64 = 'MC4CAQAwBQYDK2VuBCIEIHcHbQpzGKV9PBbBclGyZkXfTC+H68CZKrF3+6UduSwq';
    writeFileSync(path, pem(base64), { mode: 0o600 });
    t.same(hexOf(await loadKeyPair(path)), alice);
  },
);

t.test('modes do not depend on the umask', { skip: skipOnWindows }, async (t) => {
  const folder = t.testdir();
  for (const mask of [0, 0o022, 0o777]) {
    const path = join(folder, `key-${mask}`);
    const before = process.umask(mask);
    try {
      await saveKeyPair(path, await generateKeyPair(), '');
    } finally {
      process.umask(before);
    }
    t.equal(modeOf(path), 0o600);
    t.equal(modeOf(`${path}.pub`), 0o644);
  }
});

t.test('an existing key is kept unless overwriting is forced', async (t) => {
  const folder = t.testdir();
  const path = join(folder, 'key');
  const [first, second] = [await generateKeyPair(), await generateKeyPair()];
  await saveKeyPair(path, first, 'first');
  const exists = { code: 'KEY_EXISTS', message: /key: a key exists already; .*--force/ };
  await t.rejects(saveKeyPair(path, second, 'second'), exists);
  t.same(hexOf(await loadKeyPair(path)), hexOf(first));
  t.equal(await loadComment(path, first.publicKey), 'first');
  await saveKeyPair(path, second, 'second', { force: true });
  t.same(hexOf(await loadKeyPair(path)), hexOf(second));
  t.equal(await loadComment(path, second.publicKey), 'second');
  t.same(readdirSync(folder).sort(), ['key', 'key.pub']);
});

t.test('a public key alone is not overwritten either', async (t) => {
  const folder = t.testdir({ 'key.pub': 'precious' });
  const exists = { code: 'KEY_EXISTS', message: /key\.pub: / };
  await t.rejects(saveKeyPair(join(folder, 'key'), await generateKeyPair(), ''), exists);
  t.same(readdirSync(folder), ['key.pub']);
  t.equal(readFileSync(join(folder, 'key.pub'), 'utf8'), 'precious');
});

t.test(
  'of several processes that create a key at once, one succeeds, and the files match',
  async (t) => {
    const folder = t.testdir();
    const path = join(folder, 'key');
    const pairs = await Promise.all(Array.from({ length: 8 }, () => generateKeyPair()));
    const ends = await Promise.allSettled(pairs.map((pair, i) => saveKeyPair(path, pair, `c${i}`)));
    const winner = ends.findIndex(({ status }) => status === 'fulfilled');
    const losers = ends.filter(
      (end) => end.status === 'rejected' && end.reason.code === 'KEY_EXISTS',
    );
    t.equal(losers.length, 7);
    const pair = await loadKeyPair(path);
    t.same(hexOf(pair), hexOf(pairs[winner] as KeyPair));
    t.equal(await loadComment(path, pair.publicKey), `c${winner}`);
    t.same(readdirSync(folder).sort(), ['key', 'key.pub']);
  },
);

t.test('a dangling link is not written through', { skip: skipOnWindows }, async (t) => {
  const folder = t.testdir();
  symlinkSync(join(folder, 'elsewhere'), join(folder, 'key'));
  const saved = saveKeyPair(join(folder, 'key'), await generateKeyPair(), '');
  await t.rejects(saved, { code: 'KEY_EXISTS' });
  t.notOk(existsSync(join(folder, 'elsewhere')));
});

t.test('where a key cannot be stored, the message says so and nothing remains', async (t) => {
  const folder = t.testdir({ file: '', folder: {} });
  const pair = await generateKeyPair();
  const refused: [string, RegExp][] = [
    ['folder', /folder: is a folder; name a file/],
    ['file/key', /file: a file of that name exists; /],
    ['file/deep/key', /deep: a part of the path is not a folder; /],
  ];
  for (const [name, message] of refused) {
    for (const force of [false, true]) {
      const saved = saveKeyPair(join(folder, name), pair, '', { force });
      await t.rejects(saved, { code: 'TARGET_UNWRITABLE', message }, `${name}, ${force}`);
    }
  }
  const badComment = saveKeyPair(join(folder, 'key'), pair, 'two\nlines');
  await t.rejects(badComment, {
    code: 'INVALID_ARGUMENT',
    message: /^comment "two\\nlines" must be one line /,
  });
  t.same(readdirSync(folder).sort(), ['file', 'folder']);
});

t.test('into a folder without permission', { skip: isRoot || skipOnWindows }, async (t) => {
  const folder = join(t.testdir(), 'closed');
  mkdirSync(folder, { mode: 0o500 });
  const saved = saveKeyPair(join(folder, 'key'), await generateKeyPair(), '');
  await t.rejects(saved, { code: 'TARGET_UNWRITABLE', message: /key: permission denied; / });
});

t.test('a private key that others may access is refused', { skip: skipOnWindows }, async (t) => {
  const path = join(t.testdir(), 'key');
  await saveKeyPair(path, await generateKeyPair(), '');
  for (const mode of [0o640, 0o604, 0o620, 0o660, 0o644, 0o601]) {
    chmodSync(path, mode);
    const message = `${path}: other users can access it (mode 0${mode.toString(8)}); run chmod 600 ${path}`;
    await t.rejects(loadKeyPair(path), { code: 'KEY_UNREADABLE', message });
  }
  for (const mode of [0o600, 0o400, 0o700]) {
    chmodSync(path, mode);
    await t.resolves(loadKeyPair(path), mode.toString(8));
  }
});

t.test('a private key without permission', { skip: isRoot || skipOnWindows }, async (t) => {
  const path = join(t.testdir(), 'key');
  await saveKeyPair(path, await generateKeyPair(), '');
  chmodSync(path, 0);
  await t.rejects(loadKeyPair(path), {
    code: 'KEY_UNREADABLE',
    message: /key: permission denied; /,
  });
});

t.test('a pipe is refused without waiting for a writer', { skip: skipOnWindows }, async (t) => {
  const path = join(t.testdir(), 'pipe');
  execFileSync('mkfifo', [path]);
  await t.rejects(loadKeyPair(path), { code: 'KEY_UNREADABLE', message: /is not a regular file/ });
});

t.test('a file that is no private key is refused, with what to do', async (t) => {
  const folder = t.testdir({ folder: {} });
  const refuse = async (name: string, message: RegExp) => {
    await t.rejects(loadKeyPair(join(folder, name)), { code: 'KEY_UNREADABLE', message }, name);
  };
  await refuse('missing', /missing: no such key; create one with p2mp keygen/);
  await refuse('folder', /folder: is a folder; name a file/);
  const { publicKey } = await generateKeyPair();
  const contents: Record<string, string> = {
    empty: '',
    public: formatPublicKey(publicKey, 'me'),
    cut: pem('MC4CAQAwBQYDK2VuBCIEIHcHbQpzGKV9PBbBclGyZkU='),
    // Ed25519: the same size, another curve.
    ed25519: pem('MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC'),
    large: 'x'.repeat(70_000),
  };
  for (const [name, content] of Object.entries(contents)) {
    writeFileSync(join(folder, name), content, { mode: 0o600 });
    await refuse(name, new RegExp(`${name}: contains no p2mp private key; .*p2mp keygen`));
  }
});

t.test(
  'a link to a key is followed, and its target is checked',
  { skip: skipOnWindows },
  async (t) => {
    const folder = t.testdir({ folder: {} });
    const pair = await generateKeyPair();
    await saveKeyPair(join(folder, 'key'), pair, '');
    // As containers mount secrets.
    symlinkSync('key', join(folder, 'mounted'));
    t.same(await loadKeyPair(join(folder, 'mounted')), pair);
    chmodSync(join(folder, 'key'), 0o644);
    const open = { code: 'KEY_UNREADABLE', message: /mounted: other users can access it/ };
    await t.rejects(loadKeyPair(join(folder, 'mounted')), open);
    symlinkSync('folder', join(folder, 'to a folder'));
    symlinkSync('circle', join(folder, 'circle'));
    symlinkSync('nothing', join(folder, 'nowhere'));
    for (const [name, message] of [
      ['to a folder', /is a folder; name a file/],
      ['circle', /symbolic links form a loop/],
      ['nowhere', /no such key; create one/],
    ] as const) {
      await t.rejects(loadKeyPair(join(folder, name)), { code: 'KEY_UNREADABLE', message }, name);
    }
  },
);

t.test('any bytes give a key or a coded error', async (t) => {
  const path = join(t.testdir(), 'key');
  const pair = await generateKeyPair();
  await saveKeyPair(path, pair, '');
  const good = readFileSync(path);
  const spoilt = fc
    .tuple(fc.nat(good.length), fc.nat(40), fc.uint8Array({ maxLength: 20 }))
    .map(([start, size, bytes]) =>
      Buffer.concat([good.subarray(0, start), bytes, good.subarray(start + size)]),
    );
  const property = fc.asyncProperty(fc.oneof(spoilt, fc.uint8Array()), async (content) => {
    writeFileSync(path, content, { mode: 0o600 });
    try {
      const { publicKey, secretKey } = await loadKeyPair(path);
      return publicKey.length === 32 && secretKey.length === 32;
    } catch (error) {
      return error instanceof P2mpError && error.code === 'KEY_UNREADABLE';
    }
  });
  await fc.assert(property, { seed: 1, numRuns: 500 });
});

t.test('the comment comes from the public file, if that belongs to the same key', async (t) => {
  const folder = t.testdir();
  const path = join(folder, 'key');
  const [pair, other] = [await generateKeyPair(), await generateKeyPair()];
  await saveKeyPair(path, pair, 'mine');
  t.equal(await loadComment(path, other.publicKey), '');
  writeFileSync(`${path}.pub`, 'nonsense');
  t.equal(await loadComment(path, pair.publicKey), '');
  t.equal(await loadComment(join(folder, 'missing'), pair.publicKey), '');
});

const publicKey = fc.uint8Array({ minLength: 32, maxLength: 32 });

t.test('a parsed public line gives back its key and comment', (t) => {
  const property = fc.property(publicKey, fc.string({ unit: 'grapheme' }), (key, comment) => {
    let line: string;
    try {
      line = formatPublicKey(key, comment);
    } catch (error) {
      return (
        /\p{Cc}|\u2028|\u2029/u.test(comment) && (error as P2mpError).code === 'INVALID_ARGUMENT'
      );
    }
    const read = parsePublicKey(line);
    return hex(read.publicKey) === hex(key) && read.comment === comment.trim();
  });
  fc.assert(property, { seed: 1, numRuns: 1000 });
  t.equal(formatPublicKey(new Uint8Array(32), ''), `p2mp-x25519 ${'A'.repeat(43)}=`);
  t.equal(formatPublicKey(new Uint8Array(32), ' a b '), `p2mp-x25519 ${'A'.repeat(43)}= a b`);
  t.end();
});

t.test('a line that is no public key is refused, with the expected format', (t) => {
  const zeros = 'A'.repeat(43);
  const bad = [
    '',
    'p2mp-x25519',
    'p2mp-x25519 ',
    `p2mp-x25519 ${zeros}`,
    `p2mp-x25519 ${zeros}==`,
    `p2mp-x25519 ${'A'.repeat(42)}B=`,
    `p2mp-x25519 ${'A'.repeat(40)}`,
    `p2mp-x25519 ${'A'.repeat(44)}`,
    `p2mp-x25519 ${zeros}= bell\u0007`,
    `P2MP-X25519 ${zeros}=`,
    'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl me',
    '-----BEGIN PRIVATE KEY-----',
  ];
  for (const line of bad) {
    const error = {
      code: 'INVALID_ARGUMENT',
      message: /; expected "p2mp-x25519 <base64>/,
    };
    t.throws(() => parsePublicKey(line), error, JSON.stringify(line));
  }
  const accepted = parsePublicKey(`  p2mp-x25519\t${zeros}=   two words \r`);
  t.same([hex(accepted.publicKey), accepted.comment], ['00'.repeat(32), 'two words']);
  t.end();
});

t.test('a fingerprint has the format of SSH', (t) => {
  // SHA-256 of 32 zero bytes, as `head -c 32 /dev/zero | openssl sha256 -binary | base64` gives it.
  t.equal(fingerprint(new Uint8Array(32)), 'SHA256:Zmh6rfhivXdsj8GLjp+OIAiXFIVu4jOzkCpZHQ1fKSU');
  t.end();
});
