/** What several events of `--json` have in common: plain values, errors, and what a receiver got and deleted. */
import * as z from 'zod';

export const count = z.int().nonnegative();
export const seconds = z.number().nonnegative();
export const text = z.string();

export const texts = z.array(text).readonly();

export const error = z.strictObject({
  code: text.describe('One of the error codes in docs/COMMANDS.md.'),
  message: text,
});

export const offload = z
  .strictObject({
    send: z.boolean(),
    receive: z.boolean(),
    reason: text.optional(),
    routedHosts: texts
      .optional()
      .describe('Addresses of paths for which the routing chooses the interface.'),
  })
  .describe('Whether the system segments and coalesces batches of datagrams, and why not.');

export const manifestDigest = text.describe('SHA-256 of the manifest.');
export const contentRoot = text.describe("Root of the tree over the content's blocks.");

export function event<Name extends string, Fields extends z.core.$ZodLooseShape>(
  name: Name,
  fields: Fields,
) {
  return z.strictObject({ event: z.literal(name), ...fields });
}

/** Of commands with `--invite`. */
export const invitationEvent = event('invitation', {
  code: text.describe('A secret.'),
  command: text.describe("For the other host's shell."),
  otherHosts: texts.describe('Further addresses of this host.'),
  uses: count,
  expires: z.iso.datetime(),
});

/** A host that an invitation has let in. */
export const invitedFields = {
  fingerprint: text,
  listFile: text.describe('The file of authorized keys, which has the key now.'),
  usesLeft: count,
  reason: text.optional().describe('Why the key could not be saved.'),
  line: text.optional().describe('The line to add to the list then.'),
};

export const unreported = count.describe('Refusals since the last report.');

/** A host that may not do what it wants here, and how to let it. */
export const turnedAwayFields = {
  cause: text,
  fingerprint: text,
  reason: text,
  unreported,
  listFile: text.optional().describe('The file of authorized keys.'),
  line: text.optional().describe('The line to add to it.'),
};

/** How much of a session's content has arrived at one receiver, and how. */
export const deliveryFields = {
  receivedBytes: count.describe('Content that arrived in the session.'),
  seconds: seconds.describe('Time since the receiver first took part.'),
  loss: z.number().min(0).max(1).describe('Share of the data datagrams that did not arrive.'),
  lost: count.describe('Number of the data datagrams that did not arrive.'),
  datagrams: count.describe('Data datagrams sent to the receiver, or arrived at it.'),
  rttMs: z.number().nonnegative().optional(),
  multicast: z.boolean().describe('Whether multicast reaches the receiver.'),
  unchanged: count.describe('Files that were unchanged by size and time, and not compared.'),
  deleted: count.describe('Entries that the receiver deleted.'),
  undeleted: count.describe('Entries that the receiver should have deleted, and did not.'),
};

/** The paths to a receiver or client. */
export const paths = z
  .array(
    z.strictObject({
      path: count.describe('0 is the one of the handshake.'),
      address: text.describe('IP and port of the receiver.'),
      from: text.optional().describe('IP of this host; missing if the system chooses.'),
      state: z
        .enum(['new', 'open', 'silent', 'closed'])
        .describe('Not proven yet, in order, without answers now, or never answered.'),
      isInUse: z.boolean().describe('Whether data goes by this path.'),
      receivedBytes: count.describe('Content that arrived by this path.'),
      share: z.number().min(0).max(1).describe('Its part of what arrived by all paths.'),
      datagrams: count.describe('Data datagrams sent by this path.'),
      arrived: count.describe('Those of them that arrived.'),
      loss: z.number().min(0).max(1),
      rate: count.describe('Bytes per second that arrived lately.'),
      bestRate: count.describe('Estimate of what the path alone could carry, in bytes per second.'),
      rttMs: z.number().nonnegative().optional(),
    }),
  )
  .readonly()
  .optional()
  .describe('Missing if there is only one path.');

/** The aggregation benefit of several paths. */
export const benefit = z
  .number()
  .optional()
  .describe(
    'With several paths: 1 if they were as fast as the sum of their best rates, 0 if as fast as the best of them, and below 0 if slower.',
  );

/** The paths from a sender. */
export const incomingPaths = z
  .array(
    z.strictObject({
      path: count.describe('0 is the one of the handshake.'),
      datagrams: count.describe('Data datagrams that arrived by this path.'),
      receivedBytes: count.describe('Payload that arrived by this path, repeats included.'),
      share: z.number().min(0).max(1).describe('Its part of what arrived by all paths.'),
      from: text.optional().describe('IP and port of the sender, once proven.'),
    }),
  )
  .readonly()
  .optional()
  .describe('Missing if there is only one path.');

export const arrivalFields = {
  heldBytes: count.describe('Content that the receiver holds.'),
  heldBeforeBytes: count.describe('The part of it that the receiver held before the session.'),
  ...deliveryFields,
};

export const deletedNames = texts
  .optional()
  .describe('The first 1,000 entries that the receiver deleted; folders end with a slash.');

/** What a receiver of `p2mp send` did not delete. */
export const undeletedCauses = z
  .array(z.strictObject({ name: text, cause: z.enum(['changed', 'denied', 'failed']) }))
  .readonly()
  .optional()
  .describe('The first entries that the receiver should have deleted, and did not.');
