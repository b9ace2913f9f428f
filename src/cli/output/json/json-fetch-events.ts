/** The events of `p2mp fetch`. */
import * as z from 'zod';
import {
  contentRoot,
  count,
  event,
  incomingPaths,
  manifestDigest,
  seconds,
  text,
  texts,
} from './json-fields.js';

const source = text.describe('As given on the command line.');
const rate = z.number().describe('Bytes per second.');
const replaced = z
  .enum(['slow', 'left', 'bad-block'])
  .optional()
  .describe('Why blocks that were asked of the source were asked of others.');

/** What the sources contribute; missing before blocks are asked for. */
const reportFields = {
  missingBlocks: count.optional(),
  deliveredBytes: count.optional(),
  duplicateBytes: count.optional().describe('Bytes of blocks that arrived again.'),
  rate: rate.optional(),
  possibleRate: rate.optional().describe('What the sources could deliver, in bytes per second.'),
  sources: z
    .array(
      z.strictObject({
        source,
        state: z.enum(['waiting', 'starting', 'delivering', 'stalled', 'left']),
        reason: text.optional().describe('Why it left.'),
        replaced,
        deliveredBytes: count,
        share: z.number().describe('Its part of what was delivered, 0 to 1.'),
        rate: rate.optional(),
        rttMs: z.number(),
        loss: z.number().optional().describe('The share of its datagrams that were lost, 0 to 1.'),
        inFlight: count.describe('Blocks that were asked of it and are not here.'),
        replacedBlocks: count,
        paths: incomingPaths,
      }),
    )
    .readonly()
    .optional(),
};

const groups = z
  .array(z.strictObject({ contentRoot, contentSizeBytes: count, sources: texts }))
  .readonly()
  .describe('What the sources offered; several if they hold different content under the name.');

export const fetchEvents = [
  event('chosen', { label: text, contentRoot, bytes: count }),
  event('joined', { source }),
  event('reloaded', {
    sources: texts.optional().describe('All sources, as their files name them now.'),
    reason: text.optional().describe('Why the files could not be read again.'),
  }),
  event('left', {
    source,
    reason: text,
    isRetried: z.boolean().describe('Whether the source is asked again later.'),
  }),
  event('deferred', { source, reason: text.describe('Why the source asks to wait.') }),
  event('port-refused', { receiver: source, reason: text }),
  event('unreachable', { receiver: source, reason: text }),
  event('no-group', { group: text, reason: text }),
  event('segment', {
    source,
    firstByte: count,
    bytes: count.describe('What this source delivered of the segment.'),
    seconds,
    retries: count.describe('How many other sources had lost these blocks before.'),
    replaced,
  }),
  event('progress', {
    activity: text.describe('The current activity for people: the texts may change.'),
    seconds,
    bytes: count.optional(),
    ...reportFields,
  }),
  event('message', { message: text.describe('Text for people.') }),
  event('result', {
    status: z.enum(['complete', 'failed']),
    reason: text.optional(),
    seconds,
    groups,
    label: text.optional(),
    bytes: count.optional(),
    contentRoot: contentRoot.optional(),
    manifestDigest: manifestDigest.optional(),
    ...reportFields,
  }),
] as const;
