/** Prints an invitation, and the hosts that it admits. */
import type { Address } from '../../base/address.js';
import { formatAddress } from '../../base/address.js';
import { formatPlural } from '../../base/format.js';
import { formatAuthorizedKey, type Right } from '../../node/keys/authorized-keys.js';
import { fingerprint } from '../../node/keys/key-files.js';
import type { InvitationTerms } from '../../security/invitations.js';
import type { Output } from './output.js';

/** What the invited host will be here. */
export type InvitedRole = 'sender' | 'client' | 'peer';

/** A host that an invitation has let in. */
export interface InvitedHost {
  readonly role: InvitedRole;
  readonly from: Address;
  readonly key: Uint8Array;
  /** How many more hosts the invitation admits. */
  readonly usesLeft: number;
}

const rightsByRole = { sender: 'send', client: 'fetch', peer: 'exchange' } as const;

const purposes = {
  sender: 'send here',
  client: 'fetch from here',
  peer: 'take part in the exchange',
} as const;

/** The right that an invitation gives. */
export function rightOf(role: InvitedRole): Right {
  return rightsByRole[role];
}

export interface PrintedInvitation extends InvitationTerms {
  readonly role: InvitedRole;
  readonly code: string;
  /** The command that the other host runs. */
  readonly command: string;
  /** Further addresses of this host. */
  readonly otherHosts: readonly string[];
}

export function invitationJson({ code, command, otherHosts, uses, lifetimeMs }: PrintedInvitation) {
  const expires = new Date(Date.now() + lifetimeMs).toISOString();
  return { event: 'invitation' as const, code, command, otherHosts, uses, expires };
}

export function printInvitation(output: Output, invitation: PrintedInvitation): void {
  const { command, otherHosts, role, uses, lifetimeMs } = invitation;
  const use = uses === 1 ? 'works once' : `works for ${uses} ${role}s`;
  const purpose = purposes[role];
  output.line(
    `To ${purpose}, run this on the other machine within ${words(lifetimeMs)}; it ${use}:`,
  );
  output.line(output.isLog ? command : `\n  ${command}\n`);
  if (otherHosts.length > 0) {
    output.line(`This machine also has these addresses: ${otherHosts.join(', ')}`);
  }
}

/** @param failure why the key could not be saved; undefined if it was */
export function printInvited(
  output: Output,
  { role, from, key: publicKey, usesLeft }: InvitedHost,
  path: string,
  failure?: string,
): void {
  const host = formatAddress(from);
  const key = fingerprint(publicKey);
  const line = formatAuthorizedKey([rightOf(role)], publicKey, from.host);
  const named = {
    sender: { sender: host },
    client: { client: host },
    peer: { peer: host },
  }[role];
  output.json({
    ...{ event: 'invited' as const, ...named, fingerprint: key, listFile: path, usesLeft },
    ...(failure === undefined ? {} : { reason: failure, line }),
  });
  if (output.isJson) return;
  const rest =
    usesLeft === 0
      ? 'The invitation is used up.'
      : `The invitation is good for ${formatPlural(usesLeft, `more ${role}`)}.`;
  if (failure === undefined) {
    output.line(`${host}: invited: its key ${key} is now in ${path}. ${rest}`);
  } else {
    output.warn(
      `${host}: invited: its key ${key} is trusted until this command ends, but could not be saved: ${failure}; add this line to ${path} yourself: ${line}. ${rest}`,
    );
  }
}

/** What an invited relay has been given, and the sender whose object it brings. */
export interface InvitedRelay {
  readonly from: Address;
  readonly relayKey: Uint8Array;
  readonly originKey: Uint8Array;
}

/** @param failure why the keys could not be saved; undefined if they were */
export function printInvitedRelay(
  output: Output,
  { from, relayKey, originKey }: InvitedRelay,
  path: string,
  failure?: string,
): void {
  const host = formatAddress(from);
  const [key, origin] = [fingerprint(relayKey), fingerprint(originKey)];
  const lines = [
    formatAuthorizedKey(['relay'], relayKey, from.host),
    formatAuthorizedKey(['send'], originKey, `through ${from.host}`),
  ];
  output.json({
    ...{ event: 'invited-relay' as const, sender: host, fingerprint: key, origin, listFile: path },
    ...(failure === undefined ? {} : { reason: failure, lines }),
  });
  if (output.isJson) return;
  const text = `${host}: invited as a relay: it brings what the sender with the key ${origin} sends`;
  if (failure === undefined) output.line(`${text}. ${path} has both keys now`);
  else
    output.warn(
      `${text}. Both keys are trusted until this command ends, but could not be saved: ${failure}; add these lines to ${path} yourself: ${lines.join('; ')}`,
    );
}

/** 1 hour, 90 minutes, 2 days */
function words(durationMs: number): string {
  const units = [
    ['day', 24 * 3600],
    ['hour', 3600],
    ['minute', 60],
  ] as const;
  const seconds = durationMs / 1000;
  const [unit, size] = units.find(([, size]) => seconds % size === 0) ?? ['second', 1];
  return formatPlural(seconds / size, unit);
}
