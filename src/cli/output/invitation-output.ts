/** Prints an invitation, and the senders that it admits. */
import { formatAddress } from '../../base/address.js';
import { formatPlural } from '../../base/format.js';
import { formatAuthorizedKey } from '../../node/keys/authorized-keys.js';
import { fingerprint } from '../../node/keys/key-files.js';
import type { InvitationTerms } from '../../security/invitations.js';
import type { InvitedEvent } from '../../session/receiver-events.js';
import type { Output } from './output.js';

export interface PrintedInvitation extends InvitationTerms {
  readonly code: string;
  /** The command that the sender runs. */
  readonly command: string;
  /** Further addresses of this host. */
  readonly otherHosts: readonly string[];
}

export function invitationJson({ code, command, otherHosts, uses, lifetimeMs }: PrintedInvitation) {
  const expires = new Date(Date.now() + lifetimeMs).toISOString();
  return { event: 'invitation' as const, code, command, otherHosts, uses, expires };
}

export function printInvitation(output: Output, invitation: PrintedInvitation): void {
  const { command, otherHosts, uses, lifetimeMs } = invitation;
  const use = uses === 1 ? 'works once' : `works for ${uses} senders`;
  output.line(
    `To send here, run this on the other machine within ${words(lifetimeMs)}; it ${use}:`,
  );
  output.line(output.isLog ? command : `\n  ${command}\n`);
  if (otherHosts.length > 0) {
    output.line(`This machine also has these addresses: ${otherHosts.join(', ')}`);
  }
}

/** @param failure why the key could not be saved; undefined if it was */
export function printInvited(
  output: Output,
  { from, senderKey, usesLeft }: InvitedEvent,
  path: string,
  failure?: string,
): void {
  const sender = formatAddress(from);
  const key = fingerprint(senderKey);
  const line = formatAuthorizedKey(['send'], senderKey, from.host);
  output.json({
    ...{ event: 'invited', sender, fingerprint: key, listFile: path, usesLeft },
    ...(failure === undefined ? {} : { reason: failure, line }),
  });
  if (output.isJson) return;
  const rest =
    usesLeft === 0
      ? 'The invitation is used up.'
      : `The invitation is good for ${formatPlural(usesLeft, 'more sender')}.`;
  if (failure === undefined) {
    output.line(`${sender}: invited: its key ${key} is now in ${path}. ${rest}`);
  } else {
    output.warn(
      `${sender}: invited: its key ${key} is trusted until this receiver ends, but could not be saved: ${failure}; add this line to ${path} yourself: ${line}. ${rest}`,
    );
  }
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
