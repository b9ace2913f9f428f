/** `@lan`: all receivers, or all servers, on the network that this host trusts. */
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
import type { AnnouncedRole } from '../../wire/discovery.js';
import { parseInvitations } from '../invitation-list.js';
import type { Output } from '../output/output.js';
import { howToTrust, peerJson } from '../output/peers-output.js';
import { addressOf, sortReceivers, trustOf } from './announced-trust.js';

/** Stands for all trusted hosts on the network, in any case of letters. A list of hosts in a file of that name is `@./lan`. */
export const lanName = '@lan';

export interface LanArguments {
  readonly invite?: readonly string[] | undefined;
  readonly 'accept-new': boolean;
  readonly open: boolean;
}

/** A receiver that discovery has found. */
export interface LanReceiver {
  readonly spec: ServerSpec;
  /** Fingerprint of the key that the receiver announced. */
  readonly fingerprint: string;
}

/** The words of messages. */
const words = {
  receiver: {
    ...{ start: 'p2mp receive', option: '--to', unused: 'nothing is sent to it' },
    rest: 'sending only to the receivers named',
  },
  server: {
    ...{ start: 'p2mp serve', option: '--from', unused: 'it is not asked' },
    rest: 'asking only the servers named',
  },
} as const;

/** Maximum number of receivers that messages list. */
const maxListed = 10;

/**
 * Finds the trusted hosts with this role, and reports the others.
 * @param named receivers that the user has named as well; they are not returned again
 * @returns none only if there are named ones
 * @throws P2mpError UNKNOWN_HOST if there is no trusted one and no named one
 */
export async function findLanReceivers(
  role: AnnouncedRole,
  argv: LanArguments,
  known: KnownReceivers,
  named: readonly ServerSpec[],
  output: Output,
): Promise<LanReceiver[]> {
  const isTrusted = await createTrustCheck(argv, known);
  const { receivers, interfaces } = await findReceivers({
    role,
    isPreferred: (receiverKey) => known.namesOf(receiverKey).length > 0,
  });
  const isNamed = await createNamedCheck(named, known);
  const others = sortReceivers(receivers, known).filter((receiver) => !isNamed(receiver));
  for (const each of others) output.json({ event: 'peer', ...peerJson(each, known) });
  const trusted = others.filter(isTrusted);
  const untrusted = others.filter((receiver) => !isTrusted(receiver));
  if (!output.isJson)
    report(output, known, role, argv.open ? role : `trusted ${role}`, { trusted, untrusted });
  output.flush();
  if (trusted.length === 0 && named.length === 0) {
    const searched = `on ${interfaces.join(', ')}`;
    const { start, option } = words[role];
    throw new P2mpError(
      'UNKNOWN_HOST',
      untrusted.length === 0
        ? `${lanName}: no ${role} answered ${searched}; start ${start} there, or name ${role}s with ${option} HOST`
        : `${lanName}: ${untrusted.length === 1 ? `the only ${role}` : `none of the ${untrusted.length} ${role}s`} that answered ${searched} is ${untrusted.length === 1 ? 'not ' : ''}trusted here. ${howToTrust(role)}`,
    );
  }
  if (trusted.length === 0 && !output.isJson) {
    output.warn(`${lanName}: no trusted ${role} answered; ${words[role].rest}`);
  }
  return trusted.map((receiver) => {
    const { host, port } = addressOf(receiver, known);
    const name = port === defaultPort ? host : formatAddress({ host, port });
    return { spec: { host, port, name }, fingerprint: fingerprint(receiver.receiverKey) };
  });
}

/** @returns whether this sender would send to a receiver if it proves the key that it announces */
async function createTrustCheck(argv: LanArguments, known: KnownReceivers) {
  const { invite } = argv;
  const invitations = (await parseInvitations(invite, argv)).map(parseInvitation);
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
  role: AnnouncedRole,
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
      `${lanName}: ${describe(receiver)}: ${words[role].unused}: ${reason}; its key is ${fingerprint(receiver.receiverKey)}`,
    );
  }
  if (untrusted.length > maxListed) {
    output.warn(
      `${lanName}: ${untrusted.length - maxListed} more are not trusted; p2mp peers lists them`,
    );
  }
}
