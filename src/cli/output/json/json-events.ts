/**
 * The events that `--json` and `--log json` print, as a schema. The output code takes its types from the
 * schema, so code that prints any other event does not compile. The schema is written to
 * docs/events.schema.json for users, and the tests check each line that a command prints against it. Commands
 * import only the types, because loading zod takes longer than a small transfer.
 */
import * as z from 'zod';
import { coordinateEvents, joinEvents } from './json-exchange-events.js';
import { fetchEvents } from './json-fetch-events.js';
import {
  benefit,
  contentRoot,
  count,
  deletedNames,
  error,
  event,
  invitationEvent,
  invitedFields,
  manifestDigest,
  offload,
  seconds,
  text,
  texts,
  turnedAwayFields,
} from './json-fields.js';
import { listEvents, relayEvents, serveEvents } from './json-serve-events.js';
import { originFingerprint, receiverFields, sessionFields } from './json-session-fields.js';

const seeds = { seed: text };

const faultCounts = z.record(text, count).describe('Unexpected datagrams: their number by kind.');

const skipped = z.array(z.strictObject({ name: text, reason: text })).readonly();

const diagnosisFields = {
  sender: text.describe('IP and port.'),
  kind: z.enum(['format', 'type', 'checksum', 'numbering']),
  arrived: text,
  required: text,
  cause: text,
};

const diagnoses = z.array(z.strictObject(diagnosisFields)).readonly();

const announcedFields = {
  fingerprint: text
    .optional()
    .describe('Fingerprint of the key that the receiver announced, if @lan found the receiver.'),
};

/** A receiver or server that discovery has found. Only a handshake shows whether it has the key that it announces. */
const peerFields = {
  address: text.describe('IP and port at which this host would send to it.'),
  addresses: texts.describe('All addresses at which it has answered so far.'),
  trust: z
    .enum(['trusted', 'unknown', 'changed'])
    .describe('Whether the list of known receivers has its key, or another key for its address.'),
  knownAs: texts.describe('The names that the list of known receivers has for its key.'),
  fingerprint: text,
  publicKey: text,
  role: z.enum(['receiver', 'server']).describe('`p2mp receive` or `p2mp serve`.'),
  name: text.describe('Its name for itself.'),
};

/** Printed by several commands. */
const sharedEvents = [
  event('fault', { kind: text, from: text.describe('IP and port.'), packet: text }),
  event('send-error', { message: text }),
  event('other-address', { receiver: text, address: text, insteadOf: text }),
  event('port-refused', { receiver: text, reason: text }),
  event('unreachable', { receiver: text, reason: text }),
  event('diagnosis', diagnosisFields),
  event('peer', peerFields),
  event('result', { error }),
] as const;

const clientEvents = [
  event('timeout', { sequence: count, round: count, pendingCount: count }),
  event('progress', {
    heldBytes: count.describe('Acknowledged by all receivers.'),
    bytes: count.describe('Size of the file.'),
    seconds,
    pending: texts.describe('The receivers that have not acknowledged all of it.'),
  }),
  event('receiver-result', {
    receiver: text,
    status: z.enum(['complete', 'failed', 'aborted']),
    reason: text.optional(),
  }),
  event('result', {
    file: text,
    status: z.enum(['complete', 'incomplete']),
    bytes: count,
    segments: count,
    seconds,
    goodputBytesPerSec: count.optional(),
    rounds: count,
    timeouts: count,
    datagrams: count,
    retransmissions: count,
    acks: count,
    faults: faultCounts,
    sha256: text.optional(),
    error: error.optional(),
    receivers: z.array(
      z.strictObject({
        receiver: text,
        address: text,
        status: z.enum(['complete', 'failed', 'aborted']),
        confirmed: z.boolean().describe('A receiver of p2mp acknowledged the end.'),
        identified: z.boolean().describe('The receiver said that it is one of p2mp.'),
        heldBytes: count.describe('Acknowledged.'),
        seconds,
        datagrams: count,
        retransmissions: count,
        rttMs: z.number().nonnegative().optional(),
        reason: text.optional(),
      }),
    ),
  }),
] as const;

const serverEvents = [
  event('listening', { addresses: texts, ...seeds }),
  event('connect', { sender: text }),
  event('loss', { sequence: count }),
  event('result', {
    sender: text,
    status: z.enum(['complete', 'failed', 'aborted']),
    reason: text.optional(),
    error: error.optional(),
    end: z.enum(['end-marker', 'marked-last', 'end-packet', 'silence']).optional(),
    certain: z.boolean().describe('False if silence after a full segment was taken for the end.'),
    bytes: count,
    segments: count,
    seconds,
    goodputBytesPerSec: count.optional(),
    dataPackets: count,
    acks: count,
    losses: count,
    faults: faultCounts,
    diagnoses: diagnoses,
    ...seeds,
    sha256: text.optional(),
  }),
  event('result', {
    status: z.literal('idle').describe('The server was stopped before any transfer.'),
    diagnoses: diagnoses,
    ...seeds,
  }),
] as const;

const sendEvents = [
  event('unused-pattern', {
    pattern: text.describe('An --exclude or --include that matches nothing.'),
  }),
  event('skipped', { name: text, reason: text }),
  event('start', {
    label: text,
    bytes: count,
    entries: count,
    group: text.optional(),
    mssBytes: count,
    offload,
  }),
  event('resize', { mssBytes: count, reason: text }),
  event('connect', { receiver: text, name: text }),
  event('progress', receiverFields),
  event('silent', { receiver: text }),
  event('deferred', { receiver: text, reason: text }),
  event('receiver-result', { ...receiverFields, benefit }),
  event('result', {
    status: z.enum(['complete', 'incomplete']),
    label: text,
    skipped: skipped.optional(),
    entries: count,
    bytes: count,
    seconds,
    manifestDigest,
    contentRoot: contentRoot.optional(),
    mssBytes: count,
    datagrams: count,
    multicastDatagrams: count,
    bytesSent: count,
    repairs: count,
    reports: count,
    faults: faultCounts,
    error: error.optional(),
    receivers: z
      .array(z.strictObject({ ...receiverFields, ...announcedFields, benefit }))
      .readonly(),
  }),
  event('result', {
    status: z.literal('dry-run'),
    entries: count,
    names: texts,
    bytes: count,
    skipped,
    receivers: z.array(
      z.strictObject({
        receiver: text,
        address: text,
        status: z
          .enum(['planned', 'failed', 'refused', 'aborted'])
          .describe('planned: nothing is known that prevents sending.'),
        reason: text.optional(),
        ...announcedFields,
        toDelete: count.optional().describe('With --delete: entries that it would delete.'),
        toDeleteNames: texts.optional().describe('The first 1,000 of them.'),
      }),
    ),
    group: text.optional(),
    mssBytes: count,
  }),
] as const;

const receiveEvents = [
  event('listening', { addresses: texts, offload }),
  event('metrics', { address: text }),
  event('not-announced', { reason: text.describe('Why discovery does not find this receiver.') }),
  event('draining', { sessions: count }),
  event('connect', {
    ...{ sender: text, label: text, bytes: count, fingerprint: text },
    origin: originFingerprint,
  }),
  event('progress', sessionFields),
  event('bad-block', { sender: text, label: text, block: count, names: texts }),
  event('internal-error', { label: text.optional(), stack: text }),
  invitationEvent,
  event('invited', { sender: text, ...invitedFields }),
  event('invited-relay', {
    sender: text.describe('IP and port of the relay.'),
    fingerprint: text.describe('Of the key of the relay.'),
    origin: text.describe('The fingerprint of the key of the sender whose object it brings.'),
    listFile: text.describe('The file of authorized keys, which has both keys now.'),
    reason: text.optional().describe('Why they could not be saved.'),
    lines: texts.optional().describe('The lines to add to the list then.'),
  }),
  event('turned-away', { sender: text, ...turnedAwayFields }),
  event('session-result', {
    ...sessionFields,
    status: z
      .enum(['complete', 'failed', 'refused', 'listed'])
      .describe('listed: the sender only asked what it would delete.'),
    reason: text.optional(),
    deletedNames,
    undeletedNames: z.array(z.strictObject({ name: text, reason: text })).optional(),
    skipped: skipped.optional().describe('Entries that the sender could no longer read.'),
  }),
  event('no-group', { group: text, reason: text }),
  event('on-complete', {
    sender: text,
    label: text,
    manifestDigest,
    contentRoot: contentRoot.optional(),
    status: z.enum(['done', 'failed', 'killed', 'stopped', 'refused']),
    reason: text.optional(),
  }),
  event('classic-result', { sender: text, status: text, bytes: count }),
  event('message', { message: text.describe('Text for people, with --log json only.') }),
  event('result', {
    status: z.literal('stopped'),
    completeSessions: count,
    failedSessions: count,
  }),
] as const;

/** `p2mp relay --to`: what it receives, and what comes of it at the receivers. */
const sendOnEvents = [
  event('draining', { sessions: count }),
  event('connect', {
    ...{ sender: text, label: text, bytes: count, fingerprint: text },
    origin: originFingerprint,
  }),
  event('progress', sessionFields),
  event('resize', { mssBytes: count, reason: text }),
  event('port-refused', { receiver: text, reason: text }),
  event('unreachable', { receiver: text, reason: text }),
  event('receiver-result', { label: text, ...receiverFields, benefit }),
  event('reloaded', {
    receivers: texts.optional().describe('All receivers, as their files name them now.'),
    reason: text.optional().describe('Why they stay as they are.'),
  }),
  event('session-result', {
    ...sessionFields,
    status: z.enum(['complete', 'failed', 'refused']),
    reason: text.optional(),
  }),
  event('no-group', { group: text, reason: text }),
  event('result', {
    status: z.literal('stopped'),
    completeSessions: count,
    failedSessions: count,
  }),
] as const;

const peersEvents = [
  event('result', {
    status: z.enum(['found', 'none', 'interrupted']),
    peers: z.array(z.strictObject(peerFields)),
    leftOut: count.describe('Answers of receivers for which there was no room.'),
    interfaces: texts.describe('The interfaces that were searched.'),
  }),
] as const;

const digestEvents = [
  event('skipped', { name: text, reason: text }),
  event('file', { path: text, bytes: count, sha256: text }),
  event('file', {
    path: text,
    status: z.enum(['same', 'differs', 'unreadable']),
    reason: text.optional(),
  }),
  event('result', {
    status: z.enum(['complete', 'incomplete']),
    contentRoot,
    bytes: count,
    entries: count,
    skipped: skipped.optional(),
  }),
  event('result', {
    status: z.enum(['same', 'differs']),
    files: count,
    differing: count,
    unreadable: count,
  }),
  event('result', { status: z.literal('interrupted') }),
] as const;

const keygenEvents = [
  event('result', {
    status: z.enum(['made', 'shown']),
    keyFile: text,
    publicKeyFile: text,
    publicKey: text,
    comment: text,
    fingerprint: text,
  }),
] as const;

const experimentEvents = [
  event('progress', { doneRuns: count, runs: count, etaSeconds: z.number().nonnegative() }),
  event('run', {
    run: count,
    mode: text,
    ...seeds,
    seconds,
    rounds: count,
    timeouts: count,
    complete: z.boolean(),
  }),
  event('result', { status: z.literal('dry-run'), points: count, runs: count }),
  event('result', { status: z.literal('interrupted'), folder: text, runs: count }),
  event('result', {
    status: z.enum(['complete', 'incomplete']),
    folder: text,
    runs: count,
    keptRuns: count,
    effort: z
      .strictObject({
        simulatedRuns: count,
        simulatedSegments: count,
        virtualSeconds: seconds,
        simulationSeconds: seconds,
        realRuns: count,
        realSeconds: seconds,
      })
      .optional(),
    findings: texts.optional(),
  }),
] as const;

const completionEvents = [
  event('result', { status: z.literal('printed'), shell: text, script: text }),
] as const;

/** Each command's events, without the fields that all lines have. */
const eventsOfCommands = {
  p2mpclient: clientEvents,
  p2mpserver: serverEvents,
  'p2mp-send': sendEvents,
  'p2mp-receive': receiveEvents,
  'p2mp-serve': serveEvents,
  'p2mp-relay': [...relayEvents, ...sendOnEvents],
  'p2mp-list': listEvents,
  'p2mp-fetch': fetchEvents,
  'p2mp-exchange-coordinate': coordinateEvents,
  'p2mp-exchange-join': joinEvents,
  'p2mp-peers': peersEvents,
  'p2mp-digest': digestEvents,
  'p2mp-keygen': keygenEvents,
  'p2mp-experiment': experimentEvents,
  'p2mp-completion': completionEvents,
  'several-commands': sharedEvents,
} as const;

/** An event of any command, without `time` and `level`, which the output adds. */
export type JsonEvent = z.infer<(typeof eventsOfCommands)[keyof typeof eventsOfCommands][number]>;

/** Fields at the start of each line. */
const lineFields = {
  time: z.iso.datetime().describe('When the event was printed, in UTC.'),
  level: z.enum(['error', 'warn', 'info', 'debug']).optional().describe('With --log json only.'),
};

/** One schema for the lines of each command. */
function lineSchemas() {
  return Object.fromEntries(
    Object.entries(eventsOfCommands).map(([command, events]) => [
      command,
      z.union(events.map((one) => one.extend(lineFields))),
    ]),
  );
}

/** The schema of every line that any command prints with --json. */
export function jsonLineSchema() {
  return z.union(Object.values(lineSchemas()));
}

/** The JSON Schema of the lines. It has one definition for each command; a line must match one of them. */
export function eventsJsonSchema(): object {
  const $defs = Object.fromEntries(
    Object.entries(lineSchemas()).map(([command, schema]) => {
      const { $schema: _, ...definition } = z.toJSONSchema(schema);
      return [command, definition];
    }),
  );
  const anyOf = Object.keys($defs).map((command) => ({ $ref: `#/$defs/${command}` }));
  const title = 'A line that a command of p2mp prints with --json';
  return { $schema: 'https://json-schema.org/draft/2020-12/schema', title, anyOf, $defs };
}
