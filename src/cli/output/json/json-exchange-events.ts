/** The events of `p2mp exchange coordinate` and `p2mp exchange join`. */
import * as z from 'zod';
import {
  count,
  event,
  invitationEvent,
  invitedFields,
  seconds,
  text,
  texts,
  turnedAwayFields,
} from './json-fields.js';

const peer = text.describe('The name of a peer.');
const owner = text.describe('The name of the peer that brings the object.');
const object = text.describe('The name of a file or folder that a peer brings.');
const bytes = count.describe('Size of the content.');
const milliseconds = z.number();

const absentEvent = event('absent', {
  peer,
  presence: z.enum(['silent', 'left']).describe('Whether it has said that it leaves.'),
});

const awaitedEvent = event('awaited', {
  peers: texts.describe('Lost peers that may come back; none if nobody is waited for any more.'),
  seconds: seconds.describe('The exchange ends after this time without them.'),
});

const peers = z
  .array(
    z.strictObject({
      peer,
      address: text.describe('IP and port.'),
      presence: z.enum(['present', 'silent', 'left']),
      heldBytes: count.describe('Content of others that it holds.'),
      bytes: count.describe('Content of others that it is to get.'),
      storedObjects: count,
      objects: count,
    }),
  )
  .readonly();

export const coordinateEvents = [
  event('listening', { addresses: texts }),
  invitationEvent,
  event('invited', { peer: text.describe('IP and port.'), ...invitedFields }),
  event('turned-away', { peer: text.describe('IP and port.'), ...turnedAwayFields }),
  event('joined', {
    peer,
    address: text.describe('IP and port.'),
    objects: z.array(z.strictObject({ object, bytes, files: count })).readonly(),
  }),
  absentEvent,
  event('back', { peer }),
  awaitedEvent,
  event('start', { peers: texts, inMs: milliseconds }),
  event('stored', { peer, owner, object, bytes, seconds }),
  event('progress', { seconds: seconds.optional().describe('Since the start.'), peers }),
  event('result', {
    status: z.enum(['complete', 'incomplete']),
    reason: text.optional(),
    seconds: seconds.describe('From the start until somebody last got anything.'),
    peers,
  }),
] as const;

const objects = z
  .array(
    z.strictObject({
      owner,
      object,
      bytes,
      heldBytes: count,
      state: z.enum(['waiting', 'fetching', 'storing', 'stored']),
      sources: texts.describe('The peers that are asked for it.'),
    }),
  )
  .readonly();

const chunkFields = {
  owner,
  file: text,
  chunk: count.describe('Its number within the file, from 0; 256 KiB each.'),
  bytes: count,
  sources: texts.describe('None if it was on the disk before.'),
  startMs: milliseconds.describe('Since the start of the exchange.'),
  endMs: milliseconds,
};

export const joinEvents = [
  event('indexed', {
    object,
    bytes,
    files: z
      .array(z.strictObject({ file: text, bytes: count, md5: text, sha256: text }))
      .readonly(),
  }),
  event('welcome', { expectedPeers: count }),
  event('coordinator-lost', { reason: text }),
  event('joined', {
    peer,
    address: text.describe('IP and port.'),
    objects: z.array(z.strictObject({ object, bytes })).readonly(),
  }),
  absentEvent,
  event('back', { peer }),
  awaitedEvent,
  event('start', {
    inMs: milliseconds,
    uncertaintyMs: milliseconds.describe('By how much the clock may be wrong.'),
  }),
  event('source', { owner, object, source: peer }),
  event('left', { owner, object, source: peer, reason: text }),
  event('chunk', chunkFields),
  event('file', { owner, file: text, bytes: count, md5: text, sha256: text, seconds }),
  event('failed', { owner, object, reason: text }),
  event('stored', { owner, object, bytes, seconds }),
  event('withdrawn', { object, reason: text }),
  event('port-refused', { receiver: text, reason: text }),
  event('unreachable', { receiver: text, reason: text }),
  event('no-group', { group: text, reason: text }),
  event('progress', {
    seconds: seconds.optional().describe('Since the start.'),
    objects,
    clients: count.describe('Peers that fetch from this one now.'),
  }),
  event('result', {
    status: z.enum(['complete', 'incomplete', 'refused']),
    reason: text.optional(),
    seconds,
    datagrams: count.describe('Datagrams of content that this peer has sent.'),
    objects,
  }),
] as const;
