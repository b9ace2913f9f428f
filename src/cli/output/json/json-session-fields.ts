/** What events of `p2mp send`, `p2mp receive` and `p2mp relay` say about sessions and receivers. */
import * as z from 'zod';
import {
  arrivalFields,
  contentRoot,
  count,
  deletedNames,
  incomingPaths,
  manifestDigest,
  paths,
  text,
  texts,
  undeletedCauses,
} from './json-fields.js';

const activity = text.describe('The current activity for people: the texts may change.');

/** A receiver of `p2mp send`. */
export const receiverFields = {
  receiver: text.describe('As given on the command line.'),
  address: text.describe('IP and port.'),
  via: texts.optional().describe('The relays that it is behind, the nearest to this host first.'),
  name: text.optional().describe("The receiver's name for itself."),
  status: z.enum([
    'connecting',
    'identifying',
    'offered',
    'active',
    'complete',
    'failed',
    'refused',
    'aborted',
  ]),
  activity,
  reason: text.optional().describe('Why the receiver is not complete.'),
  ...arrivalFields,
  deletedNames,
  undeletedNames: undeletedCauses,
  repairs: count.describe('Datagrams with segments that the receiver missed the first time.'),
  paths,
};

export const originFingerprint = text
  .optional()
  .describe('If the sender is a relay: fingerprint of the key of the host that sends the object.');

/** A session of `p2mp receive`. */
export const sessionFields = {
  sender: text.describe('IP and port.'),
  fingerprint: text.optional().describe('If the sender is a relay: fingerprint of its key.'),
  origin: originFingerprint,
  label: text.describe("The sender's name for the object."),
  manifestDigest,
  contentRoot: contentRoot.optional(),
  bytes: count.describe('Size of the content.'),
  activity,
  ...arrivalFields,
  duplicates: count,
  paths: incomingPaths,
  allowedBytesPerSec: count
    .optional()
    .describe('What the sender may send, while several senders overload the link to this host.'),
  badBlocks: count.describe('Blocks that were damaged on the way or on disk.'),
  updatedBlocks: count.describe("Blocks that were held before, and differed from the sender's."),
};
