/** `p2mp send <path>... --to <receiver>,...`: sends files and folders to many receivers. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { P2mpError } from '../../base/errors.js';
import { withoutUndefined } from '../../base/without-undefined.js';
import { parseInvitation } from '../../node/keys/invitation-code.js';
import type { KeyPair } from '../../node/keys/key-files.js';
import { defaultKeyFolder, loadKeyPair } from '../../node/keys/key-files.js';
import type { KnownReceivers } from '../../node/keys/known-receivers.js';
import { trustKnownReceivers } from '../../node/keys/trust.js';
import { send as sendObject } from '../../node/send.js';
import type { SendEvent, SendOptions, SendResult } from '../../node/send-options.js';
import type { ExistingFiles } from '../../wire/offer.js';
import { parseCount, parseSeconds, parseSegmentSize, parseSize } from '../arguments.js';
import { onInterrupt, parse, single } from '../command.js';
import { dryRun } from '../dry-run/dry-run.js';
import type { ExitCode } from '../exit-code.js';
import { exitCode, sendExitCode } from '../exit-code.js';
import { createFirstUsePrompt } from '../first-use-prompt.js';
import { parseInvitations } from '../invitation-list.js';
import { networkPathsOf } from '../network-paths-option.js';
import { Output } from '../output/output.js';
import { printInterrupted } from '../output/print-event.js';
import { printSendSummary, SendOutput, sendResultJson } from '../output/send-output.js';
import { loadOrCreateKey } from '../own-key.js';
import { trustAnnounced } from '../receivers/announced-trust.js';
import type { ChosenReceivers } from '../receivers/chosen-receivers.js';
import { announcedFingerprint, chooseReceivers } from '../receivers/chosen-receivers.js';
import { knownReceiversLoader } from '../receivers/known-receivers-option.js';
import { checkSeparation } from '../receivers/receiver-list.js';
import { tuneEngine } from '../tune-engine.js';
import { createSendParser } from './send-arguments.js';

export async function send(args: readonly string[]): Promise<ExitCode> {
  tuneEngine();
  const argv = await parse(createSendParser(), args);
  if (typeof argv === 'number') return argv;
  const output = new Output({ isJson: argv.json, isQuiet: argv.quiet, color: argv.color });
  if (argv._.length === 0) {
    throw new P2mpError(
      'INVALID_ARGUMENT',
      'nothing to send: name files or folders, or - for standard input',
    );
  }
  const existing = existingFiles(argv);
  checkSeparation(args, existsSync);
  const interruption = new AbortController();
  const events = new SendOutput(output, argv.verbose);
  const loadKnown = knownReceiversLoader(argv);
  const chosen = await chooseReceivers(argv, loadKnown, output);
  if (chosen === undefined) {
    output.line(`every receiver in ${argv['retry-failed']} is complete: nothing to send`);
    output.flush();
    return exitCode.ok;
  }
  const options: SendOptions = {
    paths: argv._,
    receivers: chosen.specs,
    multicast: single('multicast', argv.multicast),
    multicastTtl: parseCount('multicast-ttl', single('multicast-ttl', argv['multicast-ttl']), 255),
    ...(argv.rate === undefined
      ? {}
      : { rateBytesPerSec: parseSize('rate', single('rate', argv.rate)) }),
    livenessTimeoutMs: parseSeconds(
      'give-up-after',
      single('give-up-after', argv['give-up-after']),
    ),
    mssBytes: parseSegmentSize(single('mss', argv.mss)),
    ...networkPathsOf(argv),
    existing,
    inputName: single('stdin-name', argv['stdin-name']),
    ...selectionOf(argv),
    signal: interruption.signal,
    progressIntervalMs: output.isJson ? 1000 : 200,
    ...(await createTrust(argv, chosen, loadKnown, output, interruption.signal)),
    onEvent: (event) => events.handleEvent(event),
  };
  if (argv['dry-run'] && !argv.delete) return dryRun(output, options, chosen);
  onInterrupt(() => interruption.abort());
  if (argv.open)
    output.warn('--open: receivers are not authenticated; any host that answers gets the data');
  if (argv['dry-run']) return dryRun(output, options, chosen, events);
  const result = await sendUntilDone(output, options, interruption.signal);
  if (result === undefined) return printInterrupted(output, 'p2mp send');
  return printResult(output, options, result, chosen);
}

/** What to send from the paths, where it goes, and when to stop. */
function selectionOf(argv: {
  readonly exclude: readonly string[] | undefined;
  readonly include: readonly string[] | undefined;
  readonly 'exclude-from': readonly string[] | undefined;
  readonly dest: string | undefined;
  readonly delete: boolean;
  readonly 'dry-run': boolean;
  readonly 'fail-fast': boolean;
}): Pick<SendOptions, 'exclusions' | 'dest' | 'deletion' | 'failsFast'> {
  const { exclude, include, dest } = argv;
  return {
    exclusions: withoutUndefined({ exclude, include, excludeFrom: argv['exclude-from'] }),
    ...(dest === undefined ? {} : { dest: single('dest', dest) }),
    ...(argv.delete ? { deletion: argv['dry-run'] ? 'list' : 'delete' } : {}),
    failsFast: argv['fail-fast'],
  };
}

/** How receivers treat the files that they have. @throws P2mpError INVALID_ARGUMENT */
function existingFiles(argv: {
  readonly overwrite: boolean;
  readonly clobber: boolean;
  readonly checksum: boolean;
  readonly delete: boolean;
}): ExistingFiles {
  const chosen = [
    ...(argv.overwrite ? ['--overwrite'] : []),
    ...(argv.clobber ? [] : ['--no-clobber']),
    ...(argv.checksum ? ['--checksum'] : []),
    ...(argv.delete && !argv.clobber ? ['--delete'] : []),
  ];
  if (chosen.length > 1) {
    throw new P2mpError(
      'INVALID_ARGUMENT',
      `${chosen.join(' and ')} contradict each other; give only one`,
    );
  }
  if (argv.overwrite) return 'overwrite';
  if (!argv.clobber) return 'keep';
  return argv.checksum ? 'update' : 'quick';
}

/** Prints the result. @returns the exit code */
function printResult(
  output: Output,
  { paths, signal }: SendOptions,
  result: SendResult,
  chosen: ChosenReceivers,
): ExitCode {
  output.json(sendResultJson(result, (receiver) => announcedFingerprint(chosen, receiver)));
  printSendSummary(output, result);
  output.flush();
  if (result.error !== undefined) output.error(`p2mp send: ${result.error.message}`);
  const isInterrupted = signal?.aborted === true;
  if (isInterrupted) {
    const remedy = [paths].flat().includes('-')
      ? 'standard input cannot be resumed; send the data again'
      : 'to resume, run the same command again';
    output.error(`p2mp send: interrupted; ${remedy}`);
  }
  return sendExitCode(result, isInterrupted);
}

/** @returns undefined if the command was interrupted before any data was sent */
async function sendUntilDone(
  output: Output,
  options: SendOptions,
  signal: AbortSignal,
): Promise<SendResult | undefined> {
  let result: SendResult | undefined;
  const onEvent = (event: SendEvent): void => {
    if (event.type === 'end') result = event.result;
    options.onEvent?.(event);
  };
  try {
    return await sendObject({ ...options, onEvent });
  } catch (error) {
    if (signal.aborted && error === signal.reason) return result;
    throw error;
  } finally {
    output.endProgress();
  }
}

interface TrustArguments {
  readonly key: string | undefined;
  readonly 'accept-new': boolean;
  readonly open: boolean;
  readonly invite: readonly string[] | undefined;
  readonly 'dry-run': boolean;
  readonly _: readonly string[];
}

async function createTrust(
  argv: TrustArguments,
  { specs, fingerprints }: ChosenReceivers,
  loadKnown: () => Promise<KnownReceivers>,
  output: Output,
  signal: AbortSignal,
): Promise<Pick<SendOptions, 'keyPair' | 'invitations' | 'trustReceiver'>> {
  const codes = await parseInvitations(argv.invite, argv);
  const keyPath =
    argv.key === undefined ? join(defaultKeyFolder(), 'key') : single('key', argv.key);
  if (argv.open) {
    // If there is a key, use it, so that receivers can recognize this sender.
    const hasKey = argv.key !== undefined || existsSync(keyPath);
    const pair = hasKey ? { keyPair: await loadKeyPair(keyPath) } : {};
    return { ...pair, trustReceiver: () => true };
  }
  const known = await loadKnown();
  const ask = createFirstUsePrompt({
    role: 'receiver',
    acceptsNew: argv['accept-new'],
    isInputTaken: argv._.includes('-'),
    signal,
    output,
  });
  return {
    ...(await loadKey(argv, keyPath, output)),
    invitations: codes,
    trustReceiver: trustAnnounced(
      fingerprints,
      known,
      trustKnownReceivers(known, ask, {
        invitations: codes.map(parseInvitation),
        receiverCount: specs.length,
      }),
    ),
  };
}

/** Loads this sender's key, or creates it if it is missing. A dry run creates nothing. */
async function loadKey(
  argv: TrustArguments,
  path: string,
  output: Output,
): Promise<{ keyPair?: KeyPair }> {
  // A named file that is missing is probably mistyped.
  const mustExist = argv.key !== undefined && argv.invite === undefined;
  if (mustExist || existsSync(path)) return { keyPair: await loadKeyPair(path) };
  return argv['dry-run'] ? {} : { keyPair: await loadOrCreateKey(path, 'sender', output) };
}
