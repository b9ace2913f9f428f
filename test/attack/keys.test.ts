/** A local user who can write to the folder of a key or key list could replace the file. */
import { chmodSync, chownSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import t, { type Test } from 'tap';
import { AuthorizedKeys } from '../../src/node/keys/authorized-keys.js';
import {
  formatPublicKey,
  generateKeyPair,
  loadKeyPair,
  saveKeyPair,
} from '../../src/node/keys/key-files.js';
import { KnownReceivers } from '../../src/node/keys/known-receivers.js';

const skip = process.platform === 'win32' && 'Windows ignores these modes';
const noRoot = process.getuid?.() !== 0 && 'only root can change the owner of files';
const pair = await generateKeyPair();
const line = formatPublicKey(pair.publicKey, '');

type Load = (folder: string) => Promise<unknown>;

/** Creates a folder with a key and both lists, and another folder with links to them. */
async function createPlace(t: Test) {
  const root = t.testdir({ files: {}, links: {} });
  const [files, links] = [join(root, 'files'), join(root, 'links')];
  await saveKeyPair(join(files, 'key'), pair, '');
  writeFileSync(join(files, 'authorized'), `send ${line}\n`);
  writeFileSync(join(files, 'receivers'), `localhost:1 ${line}\n`);
  mkdirSync(links, { recursive: true });
  for (const name of ['key', 'authorized', 'receivers']) {
    symlinkSync(join(files, name), join(links, name));
  }
  const load = {
    key: (folder: string) => loadKeyPair(join(folder, 'key')),
    authorized: (folder: string) => AuthorizedKeys.load(join(folder, 'authorized')),
    receivers: (folder: string) => KnownReceivers.load(join(folder, 'receivers')),
  };
  return { files, links, load: Object.entries<Load>(load) };
}

t.test('a key or list in a world-writable folder is refused', { skip }, async (t) => {
  const { files, links, load } = await createPlace(t);
  chmodSync(files, 0o777);
  for (const [name, from] of load) {
    const reason = `any user on this host can replace it in ${files} (mode 0777); move it to a folder of your own`;
    await t.rejects(from(files), { message: `${join(files, name)}: ${reason}` });
    await t.rejects(from(links), { message: `${join(links, name)}: ${reason}` }, 'through a link');
  }
  chmodSync(files, 0o775);
  for (const [name, from] of load)
    await t.resolves(from(files), `${name}: a group-writable folder is allowed`);
  chmodSync(links, 0o777);
  for (const [, from] of load) await t.rejects(from(links), { message: `replace it in ${links}` });
});

t.test('a world-writable folder further up is refused as well', { skip }, async (t) => {
  const { files, links, load } = await createPlace(t);
  const root = dirname(files);
  chmodSync(root, 0o777);
  for (const [, from] of load) {
    await t.rejects(from(files), { message: `replace it in ${root} (mode 0777)` });
    await t.rejects(from(links), { message: `replace it in ${root} (mode 0777)` });
  }
  chmodSync(root, 0o1777);
  for (const [name, from] of load) await t.resolves(from(files), `${name}: a sticky folder`);
  chmodSync(root, 0o755);
});

t.test("another user's folder inside a sticky one is refused", { skip: noRoot }, async (t) => {
  const { files, load } = await createPlace(t);
  const root = dirname(files);
  chmodSync(root, 0o1777);
  chownSync(files, 1000, 1000);
  for (const [, from] of load) {
    await t.rejects(from(files), { message: `replace it in ${root} (mode 1777)` });
  }
});

t.test("in a sticky folder, the user's own files are allowed", { skip }, async (t) => {
  const { files, load } = await createPlace(t);
  chmodSync(files, 0o1777);
  for (const [name, from] of load) await t.resolves(from(files), name);
});

t.test("in a sticky folder, another user's files are refused", { skip: noRoot }, async (t) => {
  const { files, load } = await createPlace(t);
  chmodSync(files, 0o1777);
  for (const [name, from] of load) {
    chownSync(join(files, name), 1000, 1000);
    await t.rejects(from(files), { message: /can replace it in .* \(mode 1777\)/ });
  }
});
