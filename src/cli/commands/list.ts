/** `p2mp list HOST`: shows what a server offers. */
import { join } from 'node:path';
import { P2mpError } from '../../base/errors.js';
import { formatBytes, formatPlural } from '../../base/format.js';
import { withoutUndefined } from '../../base/without-undefined.js';
import { defaultPort } from '../../classic/config.js';
import { defaultKeyFolder } from '../../node/keys/key-files.js';
import { KnownReceivers } from '../../node/keys/known-receivers.js';
import { trustKnownReceivers } from '../../node/keys/trust.js';
import { type ListedObjects, listObjects } from '../../node/serve/list-objects.js';
import type { ListedObject } from '../../wire/asks.js';
import { toHex } from '../../wire/byte-codec.js';
import { parsePort, parseSeconds, parseServer } from '../arguments.js';
import { createParser, flagOption, onInterrupt, parse, single, textOption } from '../command.js';
import type { ExitCode } from '../exit-code.js';
import { exitCode } from '../exit-code.js';
import { createFirstUsePrompt } from '../first-use-prompt.js';
import { Output } from '../output/output.js';
import { loadOrCreateKey } from '../own-key.js';
import { knownPathOf, knownReceiversOption } from '../receivers/known-receivers-option.js';

const usage = [
  '$0 HOST [options]',
  '',
  'Shows the files and folders that p2mp serve offers on a host: their names, sizes and content roots.',
  'HOST is a name or an address, with :port if the port is another one. The key of this host must have',
  'the right fetch there.',
].join('\n');

const askOptions = {
  port: {
    ...textOption,
    value: 'PORT',
    alias: 'p',
    default: String(defaultPort),
    describe: 'UDP port of the server, unless HOST names one',
  },
  timeout: {
    ...textOption,
    value: 'SECONDS',
    default: '15',
    describe: 'How long to wait for a silent server',
  },
} as const;

const trustOptions = {
  key: {
    ...textOption,
    value: 'FILE',
    describe: "File with this host's private key; created if missing",
    defaultDescription: join(defaultKeyFolder(), 'key'),
  },
  ...knownReceiversOption,
  'accept-new': {
    ...flagOption,
    describe: 'Trust an unknown server and add its key to --known-receivers',
  },
  open: { ...flagOption, describe: 'Trust any server that answers' },
} as const;

export function createListParser() {
  return createParser({
    name: 'p2mp list',
    usage,
    groups: { Server: askOptions, Trust: trustOptions },
    examples: [['$0 lab1', 'what lab1 offers']],
    exitCodes:
      'Exit codes: 0 listed; 1 the server refused, or did not answer; 2 usage error; 4 host, port or\nkey error; 130 interrupted.',
  });
}

type ListArguments = Exclude<Awaited<ReturnType<typeof parseArguments>>, ExitCode>;

function parseArguments(args: readonly string[]) {
  return parse(createListParser(), args);
}

export async function list(args: readonly string[]): Promise<ExitCode> {
  const argv = await parseArguments(args);
  if (typeof argv === 'number') return argv;
  const [host, ...others] = argv._;
  if (host === undefined || others.length > 0) {
    throw new P2mpError('INVALID_ARGUMENT', `${argv._.length} hosts: name the one to ask`);
  }
  const output = new Output({ isJson: argv.json, isQuiet: argv.quiet, color: argv.color });
  const server = parseServer(host, parsePort(single('port', argv.port), 1));
  const keyPath =
    argv.key === undefined ? join(defaultKeyFolder(), 'key') : single('key', argv.key);
  const interruption = new AbortController();
  const { signal } = interruption;
  onInterrupt(() => interruption.abort());
  let listed: ListedObjects;
  try {
    listed = await listObjects({
      server,
      livenessTimeoutMs: parseSeconds('timeout', single('timeout', argv.timeout)),
      keyPair: await loadOrCreateKey(keyPath, 'client', output),
      trustServer: await createTrust(argv, signal),
      signal,
    });
  } catch (error) {
    if (!signal.aborted) throw error;
    output.json({ event: 'result', status: 'interrupted' });
    output.flush();
    return exitCode.interrupted;
  }
  print(output, host, listed);
  output.flush();
  return listed.status === 'listed' ? exitCode.ok : exitCode.none;
}

async function createTrust(argv: ListArguments, signal: AbortSignal) {
  if (argv.open) return () => true;
  const known = await KnownReceivers.load(knownPathOf(argv));
  const ask = createFirstUsePrompt({ acceptsNew: argv['accept-new'], signal });
  return trustKnownReceivers(known, ask, { receiverCount: 1, inviteCommand: 'none' });
}

function print(output: Output, host: string, listed: ListedObjects): void {
  if (listed.status !== 'listed') {
    const { status, reason } = listed;
    output.json({ event: 'result', server: host, status, reason });
    if (!output.isJson) output.error(`${host}: ${status}: ${reason}`);
    return;
  }
  const { objects } = listed;
  output.json({
    ...{ event: 'result', server: host, status: 'listed' },
    objects: objects.map(objectJson),
  });
  if (objects.length === 0) {
    output.line(`${host} offers nothing now`);
    return;
  }
  const rows = objects.map(({ name, contentSizeBytes, root }) => [
    name,
    formatBytes(contentSizeBytes),
    root === undefined ? '-' : toHex(root),
  ]);
  output.table([['name', 'size', 'content root'], ...rows], ['content root']);
  output.line(`${formatPlural(objects.length, 'object')}`);
}

function objectJson({ name, contentSizeBytes: bytes, manifestDigest, root }: ListedObject) {
  const contentRoot = root === undefined ? undefined : toHex(root);
  return {
    ...{ name, bytes, manifestDigest: toHex(manifestDigest) },
    ...withoutUndefined({ contentRoot }),
  };
}
