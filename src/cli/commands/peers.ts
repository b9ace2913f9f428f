/** `p2mp peers`: finds the receivers and servers on this host's networks. */
import { P2mpError } from '../../base/errors.js';
import { withoutUndefined } from '../../base/without-undefined.js';
import { findReceivers } from '../../node/find-receivers.js';
import { KnownReceivers } from '../../node/keys/known-receivers.js';
import { parseSeconds } from '../arguments.js';
import { createParser, listOption, onInterrupt, parse, single, textOption } from '../command.js';
import type { ExitCode } from '../exit-code.js';
import { exitCode } from '../exit-code.js';
import { Output } from '../output/output.js';
import { peerJson, printPeers } from '../output/peers-output.js';
import { sortReceivers } from '../receivers/announced-trust.js';
import { knownPathOf, knownReceiversOption } from '../receivers/known-receivers-option.js';

const usage = [
  '$0 [options]',
  '',
  'Lists the receivers and servers on the same network, with the fingerprints of their keys, and whether',
  'this host trusts them. p2mp send --to @lan sends to all receivers that it trusts, and p2mp fetch --from',
  '@lan asks all servers. Hosts that run with --no-announce, or behind a router, are not found; they can be',
  'reached by name or address.',
].join('\n');

const searchOptions = {
  interface: {
    ...listOption,
    value: 'NAME',
    alias: 'i',
    describe: 'Network interface to search on, by name or address; may be repeated',
    defaultDescription: 'all',
  },
  wait: {
    ...textOption,
    value: 'SECONDS',
    alias: 'w',
    default: '1.5',
    describe: 'How long to wait for answers',
  },
  ...knownReceiversOption,
} as const;

export function createPeersParser() {
  return createParser({
    name: 'p2mp peers',
    usage,
    groups: { Search: searchOptions },
    examples: [
      ['$0', 'every receiver and server on the networks of this host'],
      ['$0 --interface eth0 --wait 5', 'on one network, with more time for slow hosts'],
    ],
    exitCodes:
      'Exit codes: 0 found a host; 1 found none; 2 usage error; 4 network or key error; 130 interrupted.',
  });
}

export async function peers(args: readonly string[]): Promise<ExitCode> {
  const argv = await parse(createPeersParser(), args);
  if (typeof argv === 'number') return argv;
  if (argv._.length > 0) {
    const message = `${argv._[0]}: unexpected argument; name an interface with --interface`;
    throw new P2mpError('INVALID_ARGUMENT', message);
  }
  const output = new Output({ isJson: argv.json, isQuiet: argv.quiet, color: argv.color });
  const waitMs = parseSeconds('wait', single('wait', argv.wait));
  const known = await KnownReceivers.load(knownPathOf(argv));
  const interruption = new AbortController();
  onInterrupt(() => interruption.abort());
  const found = await findReceivers({
    waitMs,
    ...withoutUndefined({ interfaces: argv.interface }),
    isPreferred: (receiverKey) => known.namesOf(receiverKey).length > 0,
    signal: interruption.signal,
    onFound: (receiver) => output.json({ event: 'peer', ...peerJson(receiver, known) }),
  });
  const { leftOutCount, interfaces } = found;
  const receivers = sortReceivers(found.receivers, known);
  const isInterrupted = interruption.signal.aborted;
  output.json({
    event: 'result',
    status: isInterrupted ? 'interrupted' : receivers.length === 0 ? 'none' : 'found',
    peers: receivers.map((receiver) => peerJson(receiver, known)),
    leftOut: leftOutCount,
    interfaces,
  });
  if (!isInterrupted || receivers.length > 0)
    printPeers(output, { ...found, receivers }, known, waitMs);
  output.flush();
  if (isInterrupted) return exitCode.interrupted;
  return receivers.length === 0 ? exitCode.none : exitCode.ok;
}
