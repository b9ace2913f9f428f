/**
 * `--invite` of `p2mp receive`, `p2mp serve`, `p2mp relay` and `p2mp exchange coordinate`: makes an invitation, prints the command for the other host,
 * and records the keys of the hosts that come.
 */
import type { Address } from '../../base/address.js';
import { P2mpError } from '../../base/errors.js';
import { defaultPort } from '../../classic/config.js';
import type { AuthorizedKeys } from '../../node/keys/authorized-keys.js';
import { checkInvitationTerms } from '../../node/keys/invitation-code.js';
import { findReachableHosts } from '../../node/net/reachable-hosts.js';
import type { ReceiveEvent } from '../../node/receive-options.js';
import type { InvitationTerms } from '../../security/invitations.js';
import { parseCount, parseDuration } from '../arguments.js';
import { single, textOption } from '../command.js';
import type { InvitedHost, InvitedRelay, InvitedRole } from '../output/invitation-output.js';
import {
  invitationJson,
  printInvitation,
  printInvited,
  printInvitedRelay,
  rightOf,
} from '../output/invitation-output.js';
import type { LogLevel } from '../output/log-output.js';
import type { Output } from '../output/output.js';

export const inviteTtlOption = {
  'invite-ttl': {
    ...textOption,
    value: 'TIME',
    default: '1h',
    describe: 'How long the invitation is good, such as 30m, 1h or 2d',
  },
} as const;

/**
 * @param role of the hosts that the invitation lets in
 * @param who the same in words
 */
export function invitationOptions(role: InvitedRole, who: string = role) {
  return {
    invite: {
      type: 'string',
      value: '[=COUNT]',
      describe: `Print a command that lets a ${who} in without its key; --invite=N for N ${role}s`,
    },
    ...inviteTtlOption,
  } as const;
}

interface InvitationArguments {
  readonly invite: string | undefined;
  readonly 'invite-ttl': string;
  readonly open: boolean;
}

/**
 * @returns undefined without `--invite`
 * @throws P2mpError INVALID_ARGUMENT
 */
export function parseInvitationTerms(
  argv: InvitationArguments,
  level: LogLevel,
  role: InvitedRole,
): InvitationTerms | undefined {
  const lifetimeMs = parseDuration('invite-ttl', single('invite-ttl', argv['invite-ttl']));
  if (argv.invite === undefined) return undefined;
  if (argv.open) {
    throw refuse(
      `--invite and --open contradict each other; with --open, no ${role} needs an invitation`,
    );
  }
  if (level === 'error' || level === 'warn') {
    throw refuse(
      '--invite: needs a place to print the invitation; leave out --quiet, or set --log-level info',
    );
  }
  const text = single('invite', argv.invite);
  const terms = { uses: text === '' ? 1 : parseCount('invite', text), lifetimeMs };
  checkInvitationTerms(terms);
  return terms;
}

/** What can invite others. */
interface Inviting {
  readonly addresses: readonly Address[];
  invite(terms: InvitationTerms): string;
}

/**
 * Makes the invitation and prints the command that the other host runs.
 * @param what the words for what the other host sends or fetches, in its command
 */
export async function invite(
  inviting: Inviting,
  terms: InvitationTerms,
  role: InvitedRole,
  what: string,
  output: Output,
): Promise<void> {
  const code = inviting.invite(terms);
  const hosts = await findReachableHosts(inviting.addresses.map(({ host }) => host));
  const port = inviting.addresses[0]?.port ?? defaultPort;
  const begin = {
    sender: `p2mp send ${what} --to`,
    client: `p2mp fetch ${what} --from`,
    peer: 'p2mp exchange join',
  }[role];
  const end = role === 'peer' ? ` ${what}` : '';
  const [command = '', ...otherHosts] = hosts.map((host, i) =>
    i === 0 ? `${begin} ${hostText({ host, port })}${end} --invite ${code}` : host,
  );
  const invitation = { code, command, otherHosts, role, ...terms };
  output.json(invitationJson(invitation));
  printInvitation(output, invitation);
}

/** Records the key of an invited host. It is trusted from this call on. */
export function admitInvited(
  authorized: AuthorizedKeys,
  invited: InvitedHost,
  output: Output,
): void {
  const { from, key, role } = invited;
  const saved = authorized.add([rightOf(role)], key, `${invitedToday()}, came from ${from.host}`);
  report(saved, (failure) => printInvited(output, invited, authorized.path, failure));
}

/** Records the keys of an invited relay and of the sender whose object it brings. */
function admitInvitedRelay(
  authorized: AuthorizedKeys,
  invited: InvitedRelay,
  output: Output,
): void {
  const { from, relayKey, originKey } = invited;
  const isKnown = authorized.may(originKey, 'send');
  const [day, relay] = [invitedToday(), from.host];
  const saved = [authorized.add(['relay'], relayKey, `${day}, came from ${relay}`)];
  if (!isKnown) saved.push(authorized.add(['send'], originKey, `${day}, came through ${relay}`));
  report(Promise.all(saved), (failure) =>
    printInvitedRelay(output, invited, authorized.path, failure),
  );
}

function invitedToday(): string {
  return `invited ${new Date().toISOString().slice(0, 10)}`;
}

/** @param print gets the reason if the keys could not be saved */
function report(saved: Promise<unknown>, print: (failure?: string) => void): void {
  saved.then(
    () => print(),
    (error: unknown) => {
      if (!(error instanceof P2mpError)) throw error;
      print(error.message);
    },
  );
}

/** Records the keys of the hosts that an invitation has let in. */
export function recordInvited(
  authorized: AuthorizedKeys | undefined,
  event: ReceiveEvent,
  output: Output,
): void {
  if (authorized === undefined) return;
  if (event.type === 'invited') {
    const { from, senderKey: key, usesLeft } = event;
    admitInvited(authorized, { role: 'sender', from, key, usesLeft }, output);
  } else if (event.type === 'invited-relay') {
    admitInvitedRelay(authorized, event, output);
  }
}

/** What follows `--to` or `--from` for this host, without brackets, because a shell would expand them. */
function hostText({ host, port }: Address): string {
  if (port === defaultPort) return host;
  return host.includes(':') ? `${host} --port ${port}` : `${host}:${port}`;
}

function refuse(message: string): P2mpError {
  return new P2mpError('INVALID_ARGUMENT', message);
}
