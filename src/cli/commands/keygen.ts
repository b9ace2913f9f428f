/** `p2mp keygen`: creates this host's key pair, or shows its public key. */
import { hostname, userInfo } from 'node:os';
import { join } from 'node:path';
import { P2mpError } from '../../base/errors.js';
import {
  defaultKeyFolder,
  fingerprint,
  formatPublicKey,
  generateKeyPair,
  loadComment,
  loadKeyPair,
  publicPathOf,
  saveKeyPair,
} from '../../node/keys/key-files.js';
import { createParser, flagOption, parse, single, textOption } from '../command.js';
import type { ExitCode } from '../exit-code.js';
import { exitCode } from '../exit-code.js';
import { Output } from '../output/output.js';

const usage = [
  '$0 [options]',
  '',
  'Creates a key pair. The private key stays on this host; give the public key to the hosts that',
  'should trust this one. Prints the names of both files, the fingerprint and the public key.',
].join('\n');

const exitCodes = 'Exit codes: 0 success; 2 usage error; 4 file error, or the key already exists.';

const keyOptions = {
  key: {
    ...textOption,
    alias: 'f',
    value: 'FILE',
    describe: 'File of the private key; the public key goes to FILE.pub',
    defaultDescription: join(defaultKeyFolder(), 'key'),
  },
  comment: {
    ...textOption,
    alias: 'C',
    value: 'TEXT',
    describe: "Comment that names the key's owner",
    defaultDescription: 'user@host',
  },
  force: { ...flagOption, describe: 'Overwrite an existing key; the old key is lost' },
  show: { ...flagOption, describe: 'Print the existing public key without creating one' },
} as const;

export function createKeygenParser() {
  return createParser({
    name: 'p2mp keygen',
    usage,
    groups: { Key: keyOptions },
    examples: [
      ['$0', "create this host's key pair"],
      ['$0 --show', 'print its public key again'],
    ],
    exitCodes,
  });
}

interface Shown {
  readonly path: string;
  readonly publicKey: Uint8Array;
  readonly comment: string;
}

export async function keygen(args: readonly string[]): Promise<ExitCode> {
  const argv = await parse(createKeygenParser(), args);
  if (typeof argv === 'number') return argv;
  const output = new Output({ isJson: argv.json, isQuiet: argv.quiet, color: argv.color });
  const { key, comment, force, show } = argv;
  if (argv._.length > 0) {
    throw new P2mpError('INVALID_ARGUMENT', `${argv._.length} arguments: expected none`);
  }
  const path = key === undefined ? join(defaultKeyFolder(), 'key') : single('key', key);
  if (path === '') throw new P2mpError('INVALID_ARGUMENT', '--key: empty file name; name a file');
  const given = comment === undefined ? undefined : single('comment', comment);
  if (show && (force || given !== undefined)) {
    throw new P2mpError(
      'INVALID_ARGUMENT',
      '--show creates no key; leave out --force and --comment',
    );
  }
  const shown = show ? await read(path) : await make(path, given ?? userAtHost(), force);
  print(output, shown, show ? 'shown' : 'made');
  output.flush();
  return exitCode.ok;
}

async function read(path: string): Promise<Shown> {
  const { publicKey } = await loadKeyPair(path);
  return { path, publicKey, comment: await loadComment(path, publicKey) };
}

async function make(path: string, comment: string, force: boolean): Promise<Shown> {
  const pair = await generateKeyPair();
  await saveKeyPair(path, pair, comment, { force });
  return { path, publicKey: pair.publicKey, comment };
}

function print(
  output: Output,
  { path, publicKey, comment }: Shown,
  status: 'made' | 'shown',
): void {
  const line = formatPublicKey(publicKey, comment);
  const publicPath = publicPathOf(path);
  output.json({
    event: 'result',
    status,
    keyFile: path,
    publicKeyFile: publicPath,
    publicKey: line,
    comment: comment.trim(),
    fingerprint: fingerprint(publicKey),
  });
  output.line(`Private key: ${path}`);
  output.line(`Public key:  ${publicPath}`);
  output.line(`Fingerprint: ${fingerprint(publicKey)}`);
  output.line(line);
}

function userAtHost(): string {
  const host = hostname();
  try {
    return `${userInfo().username}@${host}`;
  } catch {
    // In many containers, the user ID has no user name.
    return host;
  }
}
