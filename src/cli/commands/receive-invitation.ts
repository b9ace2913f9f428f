/** `p2mp receive --invite`: makes an invitation, prints the sender's command, and records the senders that come. */
import type { Address } from '../../base/address.js';
import { P2mpError } from '../../base/errors.js';
import { defaultPort } from '../../classic/config.js';
import type { AuthorizedKeys } from '../../node/keys/authorized-keys.js';
import { checkInvitationTerms } from '../../node/keys/invitation-code.js';
import { findReachableHosts } from '../../node/net/reachable-hosts.js';
import type { Receiving } from '../../node/receive.js';
import type { InvitationTerms } from '../../security/invitations.js';
import type { InvitedEvent } from '../../session/receiver-events.js';
import { parseCount, parseDuration } from '../arguments.js';
import { single } from '../command.js';
import { invitationJson, printInvitation, printInvited } from '../output/invitation-output.js';
import type { LogLevel } from '../output/log-output.js';
import type { Output } from '../output/output.js';

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
): InvitationTerms | undefined {
  const lifetimeMs = parseDuration('invite-ttl', single('invite-ttl', argv['invite-ttl']));
  if (argv.invite === undefined) return undefined;
  if (argv.open) {
    throw refuse(
      '--invite and --open contradict each other; with --open, no sender needs an invitation',
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

/** Makes the invitation and prints the command that a sender runs. */
export async function invite(
  receiving: Receiving,
  terms: InvitationTerms,
  output: Output,
): Promise<void> {
  const code = receiving.invite(terms);
  const hosts = await findReachableHosts(receiving.addresses.map(({ host }) => host));
  const port = receiving.addresses[0]?.port ?? defaultPort;
  const [command = '', ...otherHosts] = hosts.map((host, i) =>
    i === 0 ? `p2mp send PATH --to ${receiverText({ host, port })} --invite ${code}` : host,
  );
  const invitation = { code, command, otherHosts, ...terms };
  output.json(invitationJson(invitation));
  printInvitation(output, invitation);
}

/** Records the key of an invited sender. It is trusted from this call on. */
export function admitInvited(
  authorized: AuthorizedKeys,
  event: InvitedEvent,
  output: Output,
): void {
  const { from, senderKey } = event;
  const day = new Date().toISOString().slice(0, 10);
  const saved = authorized.add(['send'], senderKey, `invited ${day}, came from ${from.host}`);
  saved.then(
    () => printInvited(output, event, authorized.path),
    (error: unknown) => {
      if (!(error instanceof P2mpError)) throw error;
      printInvited(output, event, authorized.path, error.message);
    },
  );
}

/** What follows `--to` for this receiver, without brackets, because a shell would expand them. */
function receiverText({ host, port }: Address): string {
  if (port === defaultPort) return host;
  return host.includes(':') ? `${host} --port ${port}` : `${host}:${port}`;
}

function refuse(message: string): P2mpError {
  return new P2mpError('INVALID_ARGUMENT', message);
}
