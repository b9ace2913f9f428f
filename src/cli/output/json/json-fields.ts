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
  .strictObject({ send: z.boolean(), receive: z.boolean(), reason: text.optional() })
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

/** A host that may not do what it wants here, and how to let it. */
export const turnedAwayFields = {
  cause: text,
  fingerprint: text,
  reason: text,
  unreported: count.describe('Refusals since the last report.'),
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
