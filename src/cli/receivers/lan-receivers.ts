/** `--to @lan`: all receivers on the network that this sender trusts. */
import { formatAddress } from '../../base/address.js';
import { escapeControls } from '../../base/control-characters.js';
import { P2mpError } from '../../base/errors.js';
import { formatPlural } from '../../base/format.js';
import { defaultPort } from '../../classic/config.js';
import type { AnnouncedReceiver } from '../../discovery/receiver-search.js';
import { findReceivers } from '../../node/find-receivers.js';
import { parseInvitation } from '../../node/keys/invitation-code.js';
import { fingerprint } from '../../node/keys/key-files.js';
import type { KnownReceivers } from '../../node/keys/known-receivers.js';
import { resolveHost } from '../../node/net/resolve-host.js';
import type { ServerSpec } from '../../node/net/resolve-receivers.js';
import { secretFor } from '../../security/invitations.js';
import { parseInvitations } from '../invitation-list.js';
import type { Output } from '../output/output.js';
import { howToTrust, peerJson } from '../output/peers-output.js';
import { addressOf, sortReceivers, trustOf } from './announced-trust.js';

/** Stands for all trusted receivers on the network, in any case of letters. A list of receivers in a file of that name is `@./lan`. */
export const lanName = '@lan';

export interface LanArguments {
  readonly invite: readonly string[] | undefined;
  readonly 'accept-new': boolean;
  readonly open: boolean;
}

/** A receiver that discovery has found. */
export interface LanReceiver {
  readonly spec: ServerSpec;
  /** Fingerprint of the key that the receiver announced. */
  readonly fingerprint: string;
}

/** Maximum number of receivers that messages list. */
const maxListed = 10;

/**
 * Finds the trusted receivers, and reports the others.
 * @param named receivers that the user has named as well; they are left out
 * @returns none only if there are named ones
 * @throws P2mpError UNKNOWN_HOST if there is no trusted one and no named one
 */
export async function findLanReceivers(
  argv: LanArguments,
  known: KnownReceivers,
  named: readonly ServerSpec[],
  output: Output,
): Promise<LanReceiver[]> {
  const isTrusted = await createTrustCheck(argv, known);
  const { receivers, interfaces } = await findReceivers({
    isPreferred: (receiverKey) => known.namesOf(receiverKey).length > 0,
  });
  const isNamed = await createNamedCheck(named, known);
  const others = sortReceivers(receivers, known).filter((receiver) => !isNamed(receiver));
  for (const each of others) output.json({ event: 'peer', ...peerJson(each, known) });
  const trusted = others.filter(isTrusted);
  const untrusted = others.filter((receiver) => !isTrusted(receiver));
  if (!output.isJson)
    report(output, known, argv.open ? 'receiver' : 'trusted receiver', { trusted, untrusted });
  output.flush();
  if (trusted.length === 0 && named.length === 0) {
    const searched = `on ${interfaces.join(', ')}`;
    throw new P2mpError(
      'UNKNOWN_HOST',
      untrusted.length === 0
        ? `${lanName}: no receiver answered ${searched}; start p2mp receive there, or name receivers with --to HOST`
        : `${lanName}: ${untrusted.length === 1 ? 'the only receiver' : `none of the ${untrusted.length} receivers`} that answered ${searched} is ${untrusted.length === 1 ? 'not ' : ''}trusted here. ${howToTrust}`,
    );
  }
  if (trusted.length === 0 && !output.isJson) {
    output.warn(`${lanName}: no trusted receiver answered; sending only to the receivers named`);
  }
  return trusted.map((receiver) => {
    const { host, port } = addressOf(receiver, known);
    const name = port === defaultPort ? host : formatAddress({ host, port });
    return { spec: { host, port, name }, fingerprint: fingerprint(receiver.receiverKey) };
  });
}

/** @returns whether this sender would send to a receiver if it proves the key that it announces */
async function createTrustCheck(argv: LanArguments, known: KnownReceivers) {
  const invitations = (await parseInvitations(argv)).map(parseInvitation);
  return (receiver: AnnouncedReceiver): boolean => {
    if (argv.open) return true;
    const trust = trustOf(receiver, known);
    if (trust === 'trusted') return true;
    if (trust === 'changed') return false;
    return argv['accept-new'] || secretFor(invitations, receiver.receiverKey) !== undefined;
  };
}

/** @returns whether a receiver is one that the user has named, by its address or by its key */
async function createNamedCheck(named: readonly ServerSpec[], known: KnownReceivers) {
  const addresses = new Set<string>();
  for (const { host, port } of named) {
    // An unknown name is reported when the command resolves its receivers.
    const resolved = await resolveHost(host, port).catch(() => []);
    for (const address of resolved) addresses.add(formatAddress(address));
  }
  return ({ receiverKey, addresses: found }: AnnouncedReceiver): boolean =>
    found.some((address) => addresses.has(formatAddress(address))) ||
    named.some(
      ({ host, port }) =>
        known.check(formatAddress({ host, port }), receiverKey).status === 'known',
    );
}

function report(
  output: Output,
  known: KnownReceivers,
  noun: string,
  { trusted, untrusted }: Readonly<Record<'trusted' | 'untrusted', readonly AnnouncedReceiver[]>>,
): void {
  const describe = (receiver: AnnouncedReceiver) => {
    const name = receiver.name === '' ? '' : ` (${escapeControls(receiver.name)})`;
    return `${formatAddress(addressOf(receiver, known))}${name}`;
  };
  if (trusted.length > 0) {
    const listed = trusted.slice(0, maxListed).map(describe);
    const more = trusted.length > maxListed ? `, and ${trusted.length - maxListed} more` : '';
    output.line(`${lanName}: ${formatPlural(trusted.length, noun)}: ${listed.join(', ')}${more}`);
  }
  for (const receiver of untrusted.slice(0, maxListed)) {
    const reason =
      trustOf(receiver, known) === 'changed'
        ? `${known.path} has another key for this address`
        : 'not trusted here';
    output.warn(
      `${lanName}: ${describe(receiver)}: nothing is sent to it: ${reason}; its key is ${fingerprint(receiver.receiverKey)}`,
    );
  }
  if (untrusted.length > maxListed) {
    output.warn(
      `${lanName}: ${untrusted.length - maxListed} more are not trusted; p2mp peers lists them`,
    );
  }
}
