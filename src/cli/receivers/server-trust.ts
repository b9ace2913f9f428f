/** Which servers `p2mp fetch`, `p2mp list` and `p2mp relay` trust, and which coordinator `p2mp exchange join` trusts. */
import { parseInvitation } from '../../node/keys/invitation-code.js';
import type { KnownReceivers } from '../../node/keys/known-receivers.js';
import { trustKnownReceivers } from '../../node/keys/trust.js';
import type { TrustReceiver } from '../../node/send-options.js';
import { listOption } from '../command.js';
import { createFirstUsePrompt } from '../first-use-prompt.js';
import type { Output } from '../output/output.js';
import { trustAnnounced } from './announced-trust.js';
import type { ChosenReceivers } from './chosen-receivers.js';

interface TrustArguments {
  readonly 'accept-new': boolean;
  readonly open: boolean;
}

/** The options by which a client of a server uses an invitation. */
export const serverInvitationOptions = {
  invite: {
    ...listOption,
    value: 'CODE',
    describe: 'Invitation that p2mp serve --invite printed, or @FILE; may be repeated',
  },
} as const;

export interface ServerTrustOptions {
  readonly argv: TrustArguments;
  readonly chosen: ChosenReceivers;
  readonly loadKnown: () => Promise<KnownReceivers>;
  readonly output: Output;
  readonly signal: AbortSignal;
  /** The codes of this host's invitations. */
  readonly invitations: readonly string[];
  /** Whether the command takes invitations from servers; true by default. */
  readonly takesInvitations?: boolean;
  readonly role?: 'server' | 'coordinator';
}

/** @returns decides about a server that is named `host:port` */
export async function createServerTrust({
  argv,
  chosen: { specs, fingerprints },
  loadKnown,
  output,
  signal,
  invitations,
  takesInvitations = true,
  role = 'server',
}: ServerTrustOptions): Promise<TrustReceiver> {
  if (argv.open) return () => true;
  const known = await loadKnown();
  const ask = createFirstUsePrompt({
    ...{ role, acceptsNew: argv['accept-new'], output, signal },
  });
  const trustOthers = trustKnownReceivers(known, ask, {
    receiverCount: specs.length,
    ...{ role, takesInvitations },
    invitations: invitations.map(parseInvitation),
  });
  return trustAnnounced(fingerprints, known, trustOthers);
}
