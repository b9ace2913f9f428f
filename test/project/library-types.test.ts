/**
 * Guarantees of the library's types. `npm run typecheck` checks that this file compiles, and that
 * the lines after @ts-expect-error do not; running it checks that values match their types.
 */
import { join } from 'node:path';
import t from 'tap';
import {
  type ErrorCode,
  generateKeyPair,
  type IncomingResult,
  type KeyPair,
  P2mpError,
  type ReceiveEvent,
  type ReceiveOptions,
  receive,
  type SendEvent,
  type SendOptions,
  type SendResult,
  type SessionReceiverOutcome,
  send,
} from '../../src/index.js';
import { writeRandomFile } from '../support/loopback.js';
import { SessionHost, sendTo } from '../support/session-host.js';

/** Compiles only if all cases are handled. */
function never(value: never): never {
  throw new Error(`not in the types: ${JSON.stringify(value)}`);
}

/** Describes each event by its `type` and its own fields. */
function describeSent(event: SendEvent): string {
  // @ts-expect-error: the kind of event is not known yet
  event.label;
  switch (event.type) {
    case 'start': {
      const label: string = event.label;
      const group: string | undefined = event.group;
      return `${label} of ${event.contentSizeBytes + event.entryCount} ${group}`;
    }
    case 'connect': {
      // @ts-expect-error: no outcome yet
      event.outcome;
      const names: readonly string[] = [event.receiver, event.selfName];
      return names.join();
    }
    case 'receiver': {
      const outcome: SessionReceiverOutcome = event.outcome;
      const status: 'complete' | 'failed' | 'refused' | 'aborted' = outcome.status;
      const reason: string | undefined = outcome.reason;
      return `${outcome.receiver} ${status} ${reason}`;
    }
    case 'progress':
      return event.receivers.map(({ status, heldBytes }) => `${status} ${heldBytes}`).join();
    case 'silent':
      return event.receiver;
    case 'other-address':
      return `${event.receiver} ${event.address} ${event.insteadOf}`;
    case 'port-refused':
    case 'unreachable':
      return `${event.receiver}: ${event.reason} ${event.livenessTimeoutMs}`;
    case 'deferred':
      return `${event.receiver}: ${event.reason}`;
    case 'resize':
      return `${event.mssBytes} ${event.reason}`;
    case 'unused-pattern':
      return event.pattern;
    case 'skipped':
      return `${event.name}: ${event.reason}`;
    case 'fault':
      return `${event.kind} ${event.from} ${event.packet}`;
    case 'send-error':
      return event.message;
    case 'end':
      return event.result.manifestDigest;
    default:
      return never(event);
  }
}

function describeReceived(event: ReceiveEvent): string {
  switch (event.type) {
    case 'offer': {
      const key: Uint8Array = event.info.senderKey;
      // @ts-expect-error: an offer has no result
      event.result;
      return `${event.info.label} ${key.length}`;
    }
    case 'bad-block': {
      const names: readonly string[] = event.names;
      return `${event.block} ${names.join()}`;
    }
    case 'end': {
      const result: IncomingResult = event.result;
      const status: 'complete' | 'failed' | 'refused' | 'listed' = result.status;
      return status;
    }
    case 'fault':
      return event.kind;
    case 'send-error':
      return event.message;
    case 'internal-error':
      return event.stack;
    case 'no-group':
      return `${event.group}: ${event.reason}`;
    case 'invited':
      return `${event.from.host} ${event.usesLeft}`;
    case 'invited-relay':
      return `${event.from.host} ${event.relayKey.length} ${event.originKey.length}`;
    case 'progress':
      return event.sessions.map(({ label, heldBytes }) => `${label} ${heldBytes}`).join();
    case 'turned-away':
      return `${event.from.host} ${event.cause} ${event.reason}`;
    default:
      return never(event);
  }
}

t.test('events are narrowed by their type', async (t) => {
  const folder = t.testdir();
  const sent = writeRandomFile(folder, 1000);
  const received: ReceiveEvent[] = [];
  const host = await SessionHost.open(t, join(folder, 'in'), {
    onEvent: (event) => received.push(event),
  });
  const events: SendEvent[] = [];
  const result: SendResult = await sendTo([host], [sent], {
    onEvent: (event) => events.push(event),
  });
  await host.ends(1);
  for (const [type, text] of [
    ['start', 'sent of 1001 undefined'],
    ['receiver', '127.0.0.1 complete undefined'],
    ['end', result.manifestDigest],
  ]) {
    t.same(events.filter((event) => event.type === type).map(describeSent), [text]);
  }
  const others = received.filter(({ type }) => type !== 'progress');
  t.same(others.map(describeReceived), ['sent 32', 'complete']);
  const error: P2mpError | undefined = result.error;
  t.equal(error, undefined);
});

t.test('error codes are one of a list', async (t) => {
  const options = { paths: [], receivers: [], trustReceiver: () => true };
  const error: unknown = await send(options).catch((reason: unknown) => reason);
  if (!(error instanceof P2mpError)) throw error;
  const code: ErrorCode = error.code;
  // @ts-expect-error: there is no such code
  const isOther = code === 'NO_SUCH_CODE';
  t.notOk(isOther);
  t.equal(code, 'INVALID_ARGUMENT');
  // @ts-expect-error: nor can an error have one
  t.equal(new P2mpError('NO_SUCH_CODE', 'text').message, 'text');
});

t.test('the compiler refuses invalid options', async (t) => {
  const keyPair: KeyPair = await generateKeyPair();
  const receivers = [{ host: '127.0.0.1', port: 7735 }];
  const trustReceiver = () => true;
  const good: SendOptions = { paths: ['a'], receivers, trustReceiver, keyPair, multicast: 'auto' };
  const later: SendOptions = { ...good, trustReceiver: async () => 'not this one' };
  const bad: SendOptions[] = [
    // @ts-expect-error: trustReceiver is required
    { paths: ['a'], receivers },
    // @ts-expect-error: a path or a list of paths
    { ...good, paths: 7 },
    // @ts-expect-error: a number has no unit
    { ...good, rateBytesPerSec: '50MB' },
    // @ts-expect-error: update, keep or overwrite
    { ...good, existing: 'ask' },
    // @ts-expect-error: no such option
    { ...good, rate: 5 },
    // @ts-expect-error: optional does not allow undefined
    { ...good, signal: undefined },
    // @ts-expect-error: a port is a number
    { ...good, receivers: [{ host: 'a', port: '7735' }] },
  ];
  t.equal(bad.length, 7);
  t.equal(await later.trustReceiver('a', keyPair.publicKey), 'not this one');

  const trustSender = (key: Uint8Array) => key.length === 32 || 'odd';
  const open: ReceiveOptions = { dir: 'in', port: 0, keyPair, trustSender };
  const wrong: ReceiveOptions[] = [
    // @ts-expect-error: trustSender is required
    { dir: 'in', port: 0, keyPair },
    // @ts-expect-error: keyPair is required
    { dir: 'in', port: 0, trustSender },
    // @ts-expect-error: a list of addresses
    { ...open, bind: '127.0.0.1' },
    // @ts-expect-error: decisions are synchronous
    { ...open, trustSender: async () => true },
  ];
  t.equal(wrong.length, 4);

  const receiving = await receive({ ...open, dir: t.testdir(), bind: ['127.0.0.1'] });
  // @ts-expect-error: addresses are read-only
  t.throws(() => (receiving.addresses = []));
  const [address] = receiving.addresses;
  // @ts-expect-error: may be undefined
  const port: number = address.port;
  t.ok(port > 0);
  await receiving.close('the test is over');
});
