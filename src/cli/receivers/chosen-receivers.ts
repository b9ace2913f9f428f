/** The hosts that a command line chooses: by `--to` or `--from`, which may have `@lan`, or by `--retry-failed`. */
import { formatAddress } from '../../base/address.js';
import { P2mpError } from '../../base/errors.js';
import type { KnownReceivers } from '../../node/keys/known-receivers.js';
import type { ServerSpec } from '../../node/net/resolve-receivers.js';
import type { AnnouncedRole } from '../../wire/discovery.js';
import { parsePort } from '../arguments.js';
import { single } from '../command.js';
import type { Output } from '../output/output.js';
import type { LanArguments } from './lan-receivers.js';
import { findLanReceivers, lanName } from './lan-receivers.js';
import { parseReceivers } from './receiver-list.js';
import { readFailedReceivers } from './retry-failed.js';

export interface ChosenReceivers {
  readonly specs: readonly ServerSpec[];
  /** Fingerprints of the keys that receivers of `@lan` announced, by `host:port`. */
  readonly fingerprints: ReadonlyMap<string, string>;
}

interface ReceiverArguments extends LanArguments {
  readonly to: readonly string[] | undefined;
  readonly 'retry-failed': string | undefined;
  readonly port: string;
}

/**
 * @param loadKnown called only if it is needed
 * @returns undefined if no receiver of the earlier run failed
 * @throws P2mpError INVALID_ARGUMENT, SOURCE_UNREADABLE, UNKNOWN_HOST if `@lan` finds no trusted receiver
 */
export async function chooseReceivers(
  argv: ReceiverArguments,
  loadKnown: () => Promise<KnownReceivers>,
  output: Output,
): Promise<ChosenReceivers | undefined> {
  const { to, 'retry-failed': earlier } = argv;
  if (earlier !== undefined) {
    if (to !== undefined) {
      throw new P2mpError('INVALID_ARGUMENT', '--to and --retry-failed: give only one of them');
    }
    const failed = await readFailedReceivers(single('retry-failed', earlier));
    return failed.length === 0 ? undefined : gather(failed);
  }
  if (to === undefined) {
    throw new P2mpError(
      'INVALID_ARGUMENT',
      'no receiver: name at least one with --to host[:port],..., or all trusted ones on this network with --to @lan',
    );
  }
  return chooseNamed('receiver', to, argv, loadKnown, output);
}

/**
 * Chooses hosts by their names, or by `@lan`.
 * @param role what hosts that `@lan` finds must do
 * @param texts values of `--to` or `--from`
 * @param loadKnown called only if it is needed
 * @throws P2mpError INVALID_ARGUMENT, SOURCE_UNREADABLE, UNKNOWN_HOST if `@lan` finds no trusted host
 */
export async function chooseNamed(
  role: AnnouncedRole,
  texts: readonly string[],
  argv: LanArguments & { readonly port: string },
  loadKnown: () => Promise<KnownReceivers>,
  output: Output,
): Promise<ChosenReceivers> {
  const port = parsePort(single('port', argv.port), 1);
  const items = texts.flatMap((each) => each.split(',')).map((each) => each.trim());
  const others = items.filter((item) => item.toLowerCase() !== lanName);
  const hasLan = others.length < items.length;
  const isOnlyLan = hasLan && others.every((item) => item === '');
  const option = role === 'receiver' ? '--to' : '--from';
  const named = isOnlyLan ? [] : await parseReceivers(others, port, option);
  const found = hasLan ? await findLanReceivers(role, argv, await loadKnown(), named, output) : [];
  return gather([...named.map((spec) => ({ spec })), ...found]);
}

/** @returns the fingerprint that a receiver announced; undefined if it was not found by `@lan` */
export function announcedFingerprint(
  { specs, fingerprints }: ChosenReceivers,
  receiver: string,
): string | undefined {
  const spec = specs.find(({ host, name = host }) => name === receiver);
  return spec === undefined ? undefined : fingerprints.get(formatAddress(spec));
}

function gather(
  receivers: readonly { readonly spec: ServerSpec; readonly fingerprint?: string }[],
): ChosenReceivers {
  const fingerprints = new Map<string, string>();
  for (const { spec, fingerprint } of receivers) {
    if (fingerprint !== undefined) fingerprints.set(formatAddress(spec), fingerprint);
  }
  return { specs: receivers.map(({ spec }) => spec), fingerprints };
}
