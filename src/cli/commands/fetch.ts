/** `p2mp fetch <name> --from <host>,...`: fetches a file or folder from one or many servers. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { P2mpError } from '../../base/errors.js';
import { withoutUndefined } from '../../base/without-undefined.js';
import type { FetchFilesOptions } from '../../node/fetch/fetch-options.js';
import type { Fetching } from '../../node/fetch/fetching.js';
import { startFetch } from '../../node/fetch.js';
import { defaultKeyFolder, loadKeyPair } from '../../node/keys/key-files.js';
import type { FetchResult } from '../../roles/fetch/fetch-result.js';
import { parseSeconds } from '../arguments.js';
import { onInterrupt, parse, single } from '../command.js';
import type { ExitCode } from '../exit-code.js';
import { exitCode } from '../exit-code.js';
import { parseInvitations } from '../invitation-list.js';
import { networkPathsOf } from '../network-paths-option.js';
import { FetchOutput, fetchResultJson, printFetchSummary } from '../output/fetch-output.js';
import { Output } from '../output/output.js';
import { printInterrupted } from '../output/print-event.js';
import { loadOrCreateKey } from '../own-key.js';
import { type ChosenReceivers, chooseNamed } from '../receivers/chosen-receivers.js';
import { knownReceiversLoader } from '../receivers/known-receivers-option.js';
import { originOf } from '../receivers/origin-option.js';
import { createServerTrust } from '../receivers/server-trust.js';
import { tuneEngine } from '../tune-engine.js';
import { createFetchParser } from './fetch-arguments.js';

const rootPattern = /^[0-9a-f]{64}$/i;

export async function fetch(args: readonly string[]): Promise<ExitCode> {
  tuneEngine();
  const argv = await parse(createFetchParser(), args);
  if (typeof argv === 'number') return argv;
  const output = new Output({ isJson: argv.json, isQuiet: argv.quiet, color: argv.color });
  const what = whatOf(argv._, argv.root === undefined ? undefined : single('root', argv.root));
  if (argv.from === undefined) {
    throw new P2mpError(
      'INVALID_ARGUMENT',
      'no source: name at least one with --from host[:port],...',
    );
  }
  const { from } = argv;
  const invitations = await parseInvitations(argv.invite, argv);
  const loadKnown = knownReceiversLoader(argv);
  const origin = await originOf(argv, what.root, loadKnown);
  const choose = () => chooseNamed('server', from, argv, loadKnown, output);
  const logPath = argv.log === undefined ? undefined : single('log', argv.log);
  const report = new FetchOutput(output, argv.verbose, logPath);
  const interruption = new AbortController();
  const { signal } = interruption;
  const reloads = new Reloads(choose);
  onInterrupt(
    () => interruption.abort(),
    () => void report.handleReload(reloads.reload()),
  );
  if (argv.open)
    output.warn('--open: sources are not authenticated; give a root to know what you get');
  let result: FetchResult;
  try {
    const { specs: sources, fingerprints } = await reloads.chooseNext();
    const chosen = { specs: sources, fingerprints };
    const fetching = await startFetch({
      ...{ ...what, sources, signal, ...origin, ...transferOf(argv) },
      ...(await loadKey(argv, output)),
      invitations,
      trustSource: await createServerTrust({
        ...{ argv, chosen, loadKnown },
        ...{ output, signal, invitations },
      }),
      progressIntervalMs: output.isJson ? 1000 : 200,
      onEvent: (event) => report.handleEvent(event),
    });
    reloads.begin(fetching);
    result = await fetching.result;
  } catch (error) {
    if (!signal.aborted || error !== signal.reason) throw error;
    return printInterrupted(output, 'p2mp fetch', 'fetched');
  } finally {
    report.end();
  }
  output.json(fetchResultJson(result));
  printFetchSummary(output, result);
  output.flush();
  if (result.status === 'complete') return exitCode.ok;
  output.error(`p2mp fetch: ${result.reason ?? 'failed'}`);
  return signal.aborted ? exitCode.interrupted : exitCode.none;
}

/** Chooses the sources at the start and after each SIGHUP, one time after another. */
class Reloads {
  /** The keys that sources of all choices have announced. */
  private readonly fingerprints = new Map<string, string>();
  private handleStart: (fetching: Fetching) => void = () => undefined;
  private readonly started = new Promise<Fetching>((resolve) => {
    this.handleStart = resolve;
  });
  private last: Promise<unknown> = this.started;

  constructor(private readonly choose: () => Promise<ChosenReceivers>) {}

  async chooseNext(): Promise<ChosenReceivers> {
    const { specs, fingerprints } = await this.choose();
    for (const [name, key] of fingerprints) this.fingerprints.set(name, key);
    return { specs, fingerprints: this.fingerprints };
  }

  begin(fetching: Fetching): void {
    this.handleStart(fetching);
  }

  /** A signal that comes before the fetch has begun is handled then. @returns the sources */
  reload(): Promise<ChosenReceivers['specs']> {
    const reloaded = this.last.then(async () => {
      const { specs } = await this.chooseNext();
      await (await this.started).setSources(specs);
      return specs;
    });
    this.last = reloaded.catch(() => undefined);
    return reloaded;
  }
}

/** What to fetch: a name, a root, or both. @throws P2mpError INVALID_ARGUMENT */
function whatOf(
  names: readonly string[],
  root: string | undefined,
): Pick<FetchFilesOptions, 'name' | 'root'> {
  const [first, second] = names;
  if (second !== undefined) {
    throw new P2mpError('INVALID_ARGUMENT', `${second}: fetch one object at a time`);
  }
  if (root !== undefined && !rootPattern.test(root)) {
    const message = `--root ${root}: must be 64 hexadecimal digits, as p2mp digest prints them`;
    throw new P2mpError('INVALID_ARGUMENT', message);
  }
  if (first === undefined && root === undefined) {
    throw new P2mpError(
      'INVALID_ARGUMENT',
      'nothing to fetch: name an object, as p2mp serve offers it, or its root',
    );
  }
  const isRoot = first !== undefined && root === undefined && rootPattern.test(first);
  return isRoot ? { root: first } : withoutUndefined({ name: first, root });
}

function transferOf(argv: TransferArguments) {
  return {
    dir: single('dir', argv.dir),
    split: splitOf(single('split', argv.split)),
    patienceMs: parseSeconds('give-up-after', single('give-up-after', argv['give-up-after'])),
    verifiesDisk: argv['verify-disk'],
    ...networkPathsOf(argv),
  };
}

interface TransferArguments {
  readonly dir: string;
  readonly split: string;
  readonly 'give-up-after': string;
  readonly 'verify-disk': boolean;
  readonly path: readonly string[] | undefined;
}

function splitOf(text: string): 'speed' | 'equal' {
  if (text === 'speed' || text === 'equal') return text;
  throw new P2mpError('INVALID_ARGUMENT', `--split ${text}: must be speed or equal`);
}

interface KeyArguments {
  readonly key: string | undefined;
  readonly open: boolean;
  readonly invite: readonly string[] | undefined;
}

/** With `--open`, a key is used if there is one, and none is created. */
async function loadKey(
  argv: KeyArguments,
  output: Output,
): Promise<Pick<FetchFilesOptions, 'keyPair'>> {
  const keyPath =
    argv.key === undefined ? join(defaultKeyFolder(), 'key') : single('key', argv.key);
  if (argv.key === undefined && argv.open && !existsSync(keyPath)) return {};
  // A named file that is missing is probably mistyped.
  const mustExist = argv.open || (argv.key !== undefined && argv.invite === undefined);
  return {
    keyPair: mustExist
      ? await loadKeyPair(keyPath)
      : await loadOrCreateKey(keyPath, 'client', output),
  };
}
