/** `p2mp exchange join`: brings files and folders to all other peers, and gets theirs. */
import { join as joinPath } from 'node:path';
import { P2mpError } from '../../../base/errors.js';
import { defaultIndexFolder } from '../../../node/disk/index/index-folder.js';
import { joinExchange } from '../../../node/exchange/exchange.js';
import type { JoinExchangeResult } from '../../../node/exchange/join-options.js';
import { defaultKeyFolder, loadKeyPair } from '../../../node/keys/key-files.js';
import type { ServerSpec } from '../../../node/net/resolve-receivers.js';
import { nameOfferedPaths } from '../../../node/serve/offered-names.js';
import { isFolderName } from '../../../roles/exchange/folder-name.js';
import { parseCount, parsePort, parseServer, parseSize } from '../../arguments.js';
import { onInterrupt, single } from '../../command.js';
import type { ExitCode } from '../../exit-code.js';
import { exitCode } from '../../exit-code.js';
import { parseInvitations } from '../../invitation-list.js';
import { JoinOutput, joinResultJson, printJoinSummary } from '../../output/exchange/join-output.js';
import { Output } from '../../output/output.js';
import { printInterrupted } from '../../output/print-event.js';
import { loadOrCreateKey } from '../../own-key.js';
import { knownReceiversLoader } from '../../receivers/known-receivers-option.js';
import { createServerTrust } from '../../receivers/server-trust.js';
import type { ExchangeArguments } from './exchange-arguments.js';

export async function join(
  argv: ExchangeArguments,
  [host, ...paths]: readonly string[],
): Promise<ExitCode> {
  if (host === undefined) throw refuse('no coordinator: name the host that runs it');
  if (argv.dir === undefined)
    throw refuse('no folder: say with --dir where the files of others go');
  if (paths.length > 0) nameOfferedPaths(paths);
  const coordinator = parseServer(host, parsePort(single('port', argv.port), 1));
  const { json: isJson, quiet: isQuiet, color, verbose } = argv;
  const output = new Output({ isJson, isQuiet, color });
  const report = new JoinOutput(output, verbose);
  const interruption = new AbortController();
  const { signal } = interruption;
  onInterrupt(() => interruption.abort());
  if (argv.open) output.warn('--open: the coordinator and the peers are not authenticated');
  let result: JoinExchangeResult;
  try {
    result = await joinExchange({
      ...{ coordinator, paths, dir: single('dir', argv.dir), signal },
      ...limitsOf(argv),
      ...(await trustOf(argv, coordinator, output, signal)),
      reportsChunks: isJson && verbose,
      progressIntervalMs: isJson ? 1000 : 200,
      onEvent: (event) => report.handleEvent(event),
    });
  } catch (error) {
    if (!signal.aborted || error !== signal.reason) throw error;
    return printInterrupted(output, 'p2mp exchange join', 'exchanged');
  } finally {
    report.end();
  }
  output.json(joinResultJson(result));
  printJoinSummary(output, result);
  output.flush();
  if (result.status === 'complete') return exitCode.ok;
  output.error(`p2mp exchange join: ${result.reason ?? 'not complete'}`);
  if (signal.aborted) return exitCode.interrupted;
  const isAny = result.objects.some(({ state }) => state === 'stored');
  return isAny ? exitCode.some : exitCode.none;
}

function limitsOf(argv: ExchangeArguments) {
  const { name, rate, index, logs } = argv;
  return {
    ...(name === undefined ? {} : { name: peerName(single('name', name)) }),
    ...(rate === undefined ? {} : { rateBytesPerSec: parseSize('rate', single('rate', rate)) }),
    ...(logs === undefined ? {} : { logFolder: single('logs', logs) }),
    indexFolder: index === undefined ? defaultIndexFolder() : single('index', index),
    multicast: single('multicast', argv.multicast),
    multicastTtl: parseCount('multicast-ttl', single('multicast-ttl', argv['multicast-ttl']), 255),
    maxOpenFiles: parseCount('max-open-files', single('max-open-files', argv['max-open-files'])),
  };
}

/** @throws P2mpError INVALID_ARGUMENT */
function peerName(name: string): string {
  if (isFolderName(name)) return name;
  const rule = 'must be a name that a folder can have on any system';
  throw new P2mpError('INVALID_ARGUMENT', `--name ${name}: ${rule}`);
}

async function trustOf(
  argv: ExchangeArguments,
  coordinator: ServerSpec,
  output: Output,
  signal: AbortSignal,
) {
  const invite = argv.invite === undefined ? undefined : [single('invite', argv.invite)];
  const invitations = await parseInvitations(invite, argv);
  const chosen = { specs: [coordinator], fingerprints: new Map<string, string>() };
  const loadKnown = knownReceiversLoader(argv);
  return {
    invitations,
    keyPair: await loadKey(argv, output),
    trustCoordinator: await createServerTrust({
      ...{ argv, chosen, loadKnown },
      ...{ output, signal, invitations, role: 'coordinator' },
    }),
  };
}

/** By its key, a peer that returns is known, also with `--open`. */
async function loadKey(argv: ExchangeArguments, output: Output) {
  if (argv.key === undefined || argv.invite !== undefined) {
    const path = argv.key === undefined ? joinPath(defaultKeyFolder(), 'key') : argv.key;
    return loadOrCreateKey(single('key', path), 'peer', output);
  }
  // A named file that is missing is probably mistyped.
  return loadKeyPair(single('key', argv.key));
}

function refuse(message: string): P2mpError {
  return new P2mpError('INVALID_ARGUMENT', message);
}
