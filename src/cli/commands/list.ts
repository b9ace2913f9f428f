/** `p2mp list HOST`: shows what a server offers, or what all servers on the network offer. */
import { join } from 'node:path';
import { P2mpError } from '../../base/errors.js';
import { formatBytes, formatPlural } from '../../base/format.js';
import { withoutUndefined } from '../../base/without-undefined.js';
import { defaultPort } from '../../classic/config.js';
import { defaultKeyFolder } from '../../node/keys/key-files.js';
import { type ListedObjects, listObjects } from '../../node/serve/list-objects.js';
import type { ListedObject } from '../../wire/asks.js';
import { toHex } from '../../wire/byte-codec.js';
import { parsePort, parseSeconds, parseServer } from '../arguments.js';
import { createParser, flagOption, onInterrupt, parse, single, textOption } from '../command.js';
import type { ExitCode } from '../exit-code.js';
import { exitCode } from '../exit-code.js';
import { parseInvitations } from '../invitation-list.js';
import { Output } from '../output/output.js';
import { loadOrCreateKey } from '../own-key.js';
import type { ChosenReceivers } from '../receivers/chosen-receivers.js';
import { chooseNamed } from '../receivers/chosen-receivers.js';
import { knownReceiversLoader, knownReceiversOption } from '../receivers/known-receivers-option.js';
import { lanName } from '../receivers/lan-receivers.js';
import { createServerTrust, serverInvitationOptions } from '../receivers/server-trust.js';

const usage = [
  '$0 HOST [options]',
  '',
  'Shows the files and folders that p2mp serve offers on a host: their names, sizes and content roots.',
  'HOST is a name or an address, with :port if the port is another one; @lan stands for all trusted',
  'servers on this network. HOST must let this host fetch: the first time, run p2mp serve --invite there,',
  'and give the code here.',
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
  ...serverInvitationOptions,
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
    examples: [
      ['$0 lab1', 'what lab1 offers'],
      ['$0 @lan', 'what the trusted servers on this network offer'],
    ],
    exitCodes:
      'Exit codes: 0 listed; 1 the server refused, or did not answer; 2 usage error; 4 host, port or\nkey error; 130 interrupted.',
  });
}

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
  const isLan = host.toLowerCase() === lanName;
  const keyPath =
    argv.key === undefined ? join(defaultKeyFolder(), 'key') : single('key', argv.key);
  const livenessTimeoutMs = parseSeconds('timeout', single('timeout', argv.timeout));
  const server = isLan ? undefined : parseServer(host, parsePort(single('port', argv.port), 1));
  const invitations = await parseInvitations(argv.invite, argv);
  const interruption = new AbortController();
  const { signal } = interruption;
  onInterrupt(() => interruption.abort());
  let listed: (readonly [server: string, objects: ListedObjects])[];
  try {
    const loadKnown = knownReceiversLoader(argv);
    const chosen: ChosenReceivers =
      server === undefined
        ? await chooseNamed('server', [host], argv, loadKnown, output)
        : { specs: [server], fingerprints: new Map() };
    const keyPair = await loadOrCreateKey(keyPath, 'client', output);
    const trustServer = await createServerTrust({
      ...{ argv, chosen, loadKnown },
      ...{ output, signal, invitations },
    });
    listed = await Promise.all(
      chosen.specs.map(async (spec) => {
        const trust = { keyPair, trustServer, invitations };
        const options = { server: spec, livenessTimeoutMs, ...trust, signal };
        return [spec.name ?? spec.host, await listObjects(options)] as const;
      }),
    );
  } catch (error) {
    if (!signal.aborted) throw error;
    output.json({ event: 'result', status: 'interrupted' });
    output.flush();
    return exitCode.interrupted;
  }
  const [only] = listed;
  if (isLan) {
    const servers = listed.map(([name, each]) => ({ server: name, ...listedJson(each) }));
    output.json({ event: 'result', status: 'searched', servers });
  } else if (only !== undefined) {
    output.json({ event: 'result', server: host, ...listedJson(only[1]) });
  }
  for (const [name, each] of listed) print(output, name, each, isLan);
  output.flush();
  return listed.some(([, { status }]) => status === 'listed') ? exitCode.ok : exitCode.none;
}

function listedJson(listed: ListedObjects) {
  return listed.status === 'listed'
    ? { status: listed.status, objects: listed.objects.map(objectJson) }
    : { status: listed.status, reason: listed.reason };
}

function print(output: Output, server: string, listed: ListedObjects, isNamed: boolean): void {
  if (listed.status !== 'listed') {
    if (!output.isJson) output.error(`${server}: ${listed.status}: ${listed.reason}`);
    return;
  }
  const { objects } = listed;
  if (objects.length === 0) {
    output.line(`${server} offers nothing now`);
    return;
  }
  if (isNamed) output.line(`${server}:`);
  const rows = objects.map(({ name, contentSizeBytes, root }) => [
    name,
    formatBytes(contentSizeBytes),
    root === undefined ? '-' : toHex(root),
  ]);
  output.table([['name', 'size', 'content root'], ...rows], []);
  output.line(`${formatPlural(objects.length, 'object')}`);
}

function objectJson({ name, contentSizeBytes: bytes, manifestDigest, root }: ListedObject) {
  const contentRoot = root === undefined ? undefined : toHex(root);
  return {
    ...{ name, bytes, manifestDigest: toHex(manifestDigest) },
    ...withoutUndefined({ contentRoot }),
  };
}
