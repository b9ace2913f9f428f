/** The key of this host: loaded, or created at the first use, as sshd does it. */
import { P2mpError } from '../base/errors.js';
import type { KeyPair } from '../node/keys/key-files.js';
import { fingerprint, generateKeyPair, loadKeyPair, saveKeyPair } from '../node/keys/key-files.js';
import type { Output } from './output/output.js';

/**
 * @param owner for the message and for the comment in the public file: `receiver`, `sender`, `server`, `client`, `relay`, `coordinator` or `peer`
 * @throws P2mpError KEY_UNREADABLE, KEY_EXISTS, TARGET_UNWRITABLE
 */
export async function loadOrCreateKey(
  path: string,
  owner: 'receiver' | 'sender' | 'server' | 'client' | 'relay' | 'coordinator' | 'peer',
  output: Output,
): Promise<KeyPair> {
  try {
    return await loadKeyPair(path);
  } catch (error) {
    const cause = error instanceof P2mpError ? (error.cause as NodeJS.ErrnoException) : undefined;
    if (cause?.code !== 'ENOENT') throw error;
  }
  const pair = await generateKeyPair();
  const comment = {
    receiver: 'p2mp receive',
    sender: 'p2mp send',
    server: 'p2mp serve',
    client: 'p2mp fetch',
    relay: 'p2mp relay',
    coordinator: 'p2mp exchange coordinate',
    peer: 'p2mp exchange join',
  }[owner];
  try {
    await saveKeyPair(path, pair, comment, { force: false });
  } catch (error) {
    if (!(error instanceof P2mpError) || error.code !== 'KEY_EXISTS') throw error;
    // Another command of this user created the key at the same time, or only the public file exists.
    return loadKeyPair(path).catch(() => Promise.reject(error));
  }
  output.warn(`Created this ${owner}'s key, ${path}: ${fingerprint(pair.publicKey)}`);
  return pair;
}
