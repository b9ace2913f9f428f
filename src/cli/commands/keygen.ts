/** `p2mp keygen`: makes the key pair of this host, or shows the public key of the one it has. */
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
import { createParser, parse, single } from '../command.js';
import type { ExitCode } from '../exit-code.js';
import { exitCode } from '../exit-code.js';
import { Output } from '../output/output.js';

const usage = [
  '$0 [options]',
  '',
  'Makes a key pair: the private key stays on this host, the public one is for those who are to',
  'trust it. Prints where the pair is, the line to hand to others, and its fingerprint.',
].join('\n');

const exitCodes = 'Exit codes: 0 done; 2 wrong use; 4 a key that is there already, or a file.';

function createKeygenParser() {
  return createParser('p2mp keygen', usage, exitCodes)
    .option('key', {
      type: 'string',
      describe: 'File of the private key; the public one is FILE.pub',
      defaultDescription: join(defaultKeyFolder(), 'key'),
    })
    .option('comment', {
      type: 'string',
      describe: 'Whose key it is, for people',
      defaultDescription: 'user@host',
    })
    .option('force', {
      type: 'boolean',
      default: false,
      describe: 'Overwrite the key that is there, for good',
    })
    .option('show', {
      type: 'boolean',
      default: false,
      describe: 'Print the public key that is there, and make none',
    })
    .requiresArg(['key', 'comment'])
    .example('$0', 'make the pair of this host')
    .example('$0 --show', 'print its public key again');
}

interface Shown {
  readonly path: string;
  readonly publicKey: Uint8Array;
  readonly comment: string;
}

export async function keygen(args: readonly string[]): Promise<ExitCode> {
  const argv = await parse(createKeygenParser(), args);
  if (typeof argv === 'number') return argv;
  const output = new Output({ isJson: argv.json, isQuiet: argv.quiet });
  const { key, comment, force, show } = argv;
  if (argv._.length > 0) {
    throw new P2mpError('INVALID_ARGUMENT', `${argv._.length} arguments: none are needed`);
  }
  const path = key === undefined ? join(defaultKeyFolder(), 'key') : single('key', key);
  if (path === '') throw new P2mpError('INVALID_ARGUMENT', '--key: is empty; name a file');
  const given = comment === undefined ? undefined : single('comment', comment);
  if (show && (force || given !== undefined)) {
    throw new P2mpError('INVALID_ARGUMENT', '--show makes no key: leave out --force and --comment');
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

function print(output: Output, { path, publicKey, comment }: Shown, status: string): void {
  const line = formatPublicKey(publicKey, comment);
  const publicPath = publicPathOf(path);
  output.json({
    event: 'result',
    status,
    key: path,
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
    // Containers run under numbers that have no name.
    return host;
  }
}
