/** The events of `p2mp serve` and `p2mp list`. */
import * as z from 'zod';
import {
  benefit,
  contentRoot,
  count,
  deliveryFields,
  event,
  invitationEvent,
  invitedFields,
  manifestDigest,
  offload,
  paths,
  seconds,
  text,
  texts,
  turnedAwayFields,
  unreported,
} from './json-fields.js';

const name = text.describe('The name under which the object is offered.');
const client = text.describe('IP and port.');

/** A client that fetches an object. */
const clientFields = {
  client,
  name,
  bytes: count.describe('Size of the content.'),
  activity: text.describe('The current activity for people: the texts may change.'),
  ...deliveryFields,
  repairs: count.describe('Datagrams with segments that the client missed the first time.'),
  paths,
};

export const serveEvents = [
  event('listening', { addresses: texts, offload }),
  event('not-announced', { reason: text.describe('Why discovery does not find this server.') }),
  event('metrics', { address: text }),
  event('draining', { clients: count }),
  event('indexing', { name, doneBytes: count, bytes: count }),
  event('indexed', {
    name,
    contentRoot,
    bytes: count,
    files: count,
    hashedBytes: count.describe('What was read; 0 if the index of an earlier run is still right.'),
    seconds,
  }),
  event('skipped', { name: text, reason: text }),
  event('changed', { name }),
  event('unservable', { name, reason: text }),
  event('unsaved', { name, reason: text.describe('Why the index could not be saved.') }),
  event('connect', { client, name, fingerprint: text }),
  event('refused', { client, name, fingerprint: text, reason: text, unreported }),
  invitationEvent,
  event('invited', { client, ...invitedFields }),
  event('turned-away', { client, ...turnedAwayFields }),
  event('progress', clientFields),
  event('client-result', {
    ...clientFields,
    status: z.enum(['complete', 'failed', 'refused', 'aborted']),
    reason: text.optional(),
    benefit,
  }),
  event('message', { message: text.describe('Text for people, with --log json only.') }),
  event('result', {
    status: z.literal('stopped'),
    completeClients: count,
    incompleteClients: count,
    receivedBytes: count.describe('Content that clients received.'),
  }),
] as const;

const root = contentRoot;
const bytes = count.describe('Size of the content.');
const upstream = text.describe('As given on the command line.');

/** Of `p2mp relay`, beside those of a server. */
export const relayEvents = [
  ...serveEvents,
  event('cache', { objects: count, bytes: count.describe('What the cache takes at most.') }),
  event('upstream-away', { upstream, reason: text }),
  event('upstream-answers', { upstream }),
  event('upstream-joined', { name, upstream }),
  event('upstream-left', {
    ...{ name, upstream, reason: text },
    isRetried: z.boolean().describe('Whether the upstream server is asked again.'),
  }),
  event('hit', { name, contentRoot: root, bytes }),
  event('miss', { name, contentRoot: root, bytes }),
  event('fill', {
    ...{ name, contentRoot: root, bytes },
    isCached: z.boolean().describe('Whether the cache keeps the object.'),
  }),
  event('filled', { name, contentRoot: root, bytes, fetchedBytes: count, seconds }),
  event('fill-stopped', {
    ...{ name, contentRoot: root, bytes, fetchedBytes: count, seconds, reason: text },
  }),
  event('fill-failed', { name, contentRoot: root, bytes, reason: text }),
  event('evicted', { name, bytes }),
  event('cache-error', { name: text.describe('Empty for the cache as a whole.'), reason: text }),
  event('cache-result', { hits: count, misses: count, fetchedBytes: count }),
  event('cached', {
    ...{ name, contentRoot: root, bytes },
    isWhole: z.boolean().describe('Whether all of the content is there.'),
  }),
  event('result', { status: z.enum(['listed', 'cleared']), objects: count }),
] as const;

const listedObjects = z.array(
  z.strictObject({ name, bytes: count, manifestDigest, contentRoot: contentRoot.optional() }),
);

export const listEvents = [
  event('result', {
    server: text.describe('As given on the command line.'),
    status: z.literal('listed'),
    objects: listedObjects,
  }),
  event('result', { server: text, status: z.enum(['refused', 'failed']), reason: text }),
  event('result', {
    status: z.literal('searched').describe('The servers of @lan.'),
    servers: z
      .array(
        z.union([
          z.strictObject({ server: text, status: z.literal('listed'), objects: listedObjects }),
          z.strictObject({ server: text, status: z.enum(['refused', 'failed']), reason: text }),
        ]),
      )
      .readonly(),
  }),
  event('result', { status: z.literal('interrupted') }),
] as const;
