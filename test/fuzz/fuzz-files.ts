/** Files that programs read again: journals after crashes, keys, and lists that users edit. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import type { P2mpError } from '../../src/base/errors.js';
import { readJournal } from '../../src/node/disk/parts/part-journal.js';
import { AuthorizedKeys } from '../../src/node/keys/authorized-keys.js';
import { formatPublicKey, loadKeyPair } from '../../src/node/keys/key-files.js';
import { KnownReceivers } from '../../src/node/keys/known-receivers.js';
import { demandRefusal } from './fuzz-decoders.js';
import { hostileBytes, hostileNumber } from './hostile-bytes.js';
import type { Tape } from './tape.js';
import { demand } from './watch.js';

let folder: string | undefined;

/** One file for all inputs, deleted when the process ends. */
function pathFor(name: string): string {
  if (folder === undefined) {
    const made = mkdtempSync(join(tmpdir(), 'p2mp-fuzz-'));
    process.once('exit', () => rmSync(made, { recursive: true, force: true }));
    folder = made;
  }
  return join(folder, name);
}

const key = { partId: 'ab'.repeat(32), contentSizeBytes: 100_000 };

/** With valid checksums: disks do not produce these, but users with access to the folder can. */
export async function fuzzJournal(tape: Tape): Promise<number> {
  const header = Buffer.alloc(56);
  let at = header.write('p2mp part 1\n', 0, 'latin1');
  at += header.write(key.partId, at, 'hex');
  at = header.writeDoubleBE(key.contentSizeBytes, at);
  header.writeUInt32BE(crc32(header.subarray(0, at)), at);
  const records = Array.from({ length: tape.below(8) }, () => {
    const record = Buffer.alloc(24);
    record.writeUInt32BE(tape.isOneIn(8) ? tape.uint32() : 1 + tape.below(3), 0);
    const [start, end] = [position(tape), position(tape)];
    record.writeDoubleBE(tape.isOneIn(8) ? end : Math.min(start, end), 4);
    record.writeDoubleBE(Math.max(start, end), 12);
    record.writeUInt32BE(crc32(record.subarray(0, 20), crc32(header)), 20);
    return record;
  });
  const whole = new Uint8Array(Buffer.concat([header, ...records]));
  const path = pathFor('journal');
  writeFileSync(path, tape.isOneIn(2) ? hostileBytes(tape, whole) : whole);
  const { held, written } = (await readJournal(path, key)) ?? {};
  for (const { start, end } of [...(held?.ranges() ?? []), ...(written?.ranges() ?? [])]) {
    const isRight = Number.isSafeInteger(start) && start < end && end <= key.contentSizeBytes;
    demand(isRight && start >= 0, () => `recorded from ${start} to ${end}`);
  }
  return 1;
}

function position(tape: Tape): number {
  switch (tape.below(8)) {
    case 0:
      return tape.pick([NaN, Infinity, -Infinity, -0, -1, 0.5, 1e-300, 99_999.5]);
    case 1:
      return hostileNumber(tape);
    default:
      return tape.below(1000) * 100;
  }
}

const hosts = [
  'host:7735',
  '[::1]:7735',
  '[fe80::1%eth0]:1',
  'host',
  ':1',
  '[::1:1',
  'a:99999',
  '#x:1',
];
const rightsTexts = ['send', 'fetch', 'send,delete', 'delete', 'send,', ',', 'SEND', ''];
const lineEnds = ['\n', '\r\n', '\r', '', '\n\n', '\0', '\u2028'];

/** @param starts what precedes the key in a line */
function hostileList(tape: Tape, starts: readonly string[]): Uint8Array {
  let text = tape.isOneIn(8) ? '\ufeff' : '';
  for (let i = tape.below(6); i > 0; i--) {
    const name = `${tape.pick(starts)} `;
    const line = formatPublicKey(tape.fill(tape.isOneIn(8) ? tape.byte() : 32), 'somebody');
    text += `${tape.isOneIn(4) ? '# ' : ''}${name}${line}${tape.pick(lineEnds)}`;
  }
  const bytes = new TextEncoder().encode(text);
  return tape.isOneIn(2) ? hostileBytes(tape, bytes) : bytes;
}

export async function fuzzAuthorizedKeys(tape: Tape): Promise<number> {
  const path = pathFor('authorized_keys');
  writeFileSync(path, hostileList(tape, rightsTexts));
  try {
    (await AuthorizedKeys.load(path)).find(new Uint8Array(32));
  } catch (error) {
    demandRefusal(error, 'TRUST_FILE_BAD');
  }
  return 1;
}

export async function fuzzKnownReceivers(tape: Tape): Promise<number> {
  const path = pathFor('known_receivers');
  writeFileSync(path, hostileList(tape, hosts));
  try {
    (await KnownReceivers.load(path)).check('host:7735', new Uint8Array(32));
  } catch (error) {
    demandRefusal(error, 'TRUST_FILE_BAD');
  }
  return 1;
}

const derPrefix = Buffer.from('302e020100300506032b656e04220420', 'hex');

export async function fuzzPrivateKey(tape: Tape): Promise<number> {
  const der = Buffer.concat([derPrefix, tape.fill(32)]);
  const body = (tape.isOneIn(2) ? Buffer.from(hostileBytes(tape, der)) : der).toString('base64');
  const pem = `-----BEGIN PRIVATE KEY-----\n${body}\n-----END PRIVATE KEY-----\n`;
  const bytes = new TextEncoder().encode(pem);
  const path = pathFor('key');
  writeFileSync(path, tape.isOneIn(2) ? hostileBytes(tape, bytes) : bytes, { mode: 0o600 });
  try {
    const { publicKey, secretKey } = await loadKeyPair(path);
    demand(publicKey.length === 32 && secretKey.length === 32, () => 'a key of another size');
  } catch (error) {
    demandRefusal(error, 'KEY_UNREADABLE');
    demand(
      (error as P2mpError).message.startsWith(path),
      () => 'a refusal that does not name the file',
    );
  }
  return 1;
}
