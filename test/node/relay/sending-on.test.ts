/** Relays that send on what they receive, over real sockets and with real files. */
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { generateKeyPair } from '../../../src/node/keys/key-files.js';
import { receive } from '../../../src/node/receive.js';
import { relay } from '../../../src/node/relay/relay.js';
import type { SendOnEvent } from '../../../src/node/relay/send-on-options.js';
import { send } from '../../../src/node/send.js';
import { isEqualBytes } from '../../../src/wire/byte-codec.js';

const local = { port: 0, bind: ['127.0.0.1'] };
const trusting = { ...local, trustSender: () => true };

t.test('a folder goes through two relays to three receivers', async (t) => {
  const folder = t.testdir({ photos: { a: 'first', empty: '', deep: { b: 'second' } } });
  writeFileSync(join(folder, 'photos', 'large'), randomBytes(700_000));
  const keyPair = await generateKeyPair();
  const origin = keyPair.publicKey;
  const relays = [await generateKeyPair(), await generateKeyPair()];
  const receiving = await Promise.all(
    ['x', 'y', 'z'].map(async (name) =>
      receive({
        ...{ ...local, dir: join(folder, name), name, keyPair: await generateKeyPair() },
        trustSender: (key) => isEqualBytes(key, origin),
        trustRelay: (key) => relays.some(({ publicKey }) => isEqualBytes(key, publicKey)),
      }),
    ),
  );
  const [x, y, z] = receiving.map(({ addresses }) => addresses[0]);
  const events: SendOnEvent[] = [];
  const far = await relay({
    ...{ ...trusting, dir: join(folder, 'far'), keyPair: relays[1] as typeof keyPair },
    trustRelay: () => true,
    to: [y as NonNullable<typeof y>, z as NonNullable<typeof z>],
    trustReceiver: () => true,
    onEvent: (event) => events.push(event),
  });
  const near = await relay({
    ...{ ...trusting, dir: join(folder, 'near'), keyPair: relays[0] as typeof keyPair },
    to: [x as NonNullable<typeof x>, ...far.addresses],
    trustReceiver: () => true,
  });
  const asked: string[] = [];
  const result = await send({
    ...{ paths: [join(folder, 'photos')], receivers: near.addresses, keyPair },
    trustReceiver: (name) => {
      asked.push(name);
      return true;
    },
  });
  const nameOf = ({ port }: { port: number } = { port: 0 }) => `127.0.0.1:${port}`;
  const [n, f] = [nameOf(near.addresses[0]), nameOf(far.addresses[0])];
  const rows = [
    '127.0.0.1',
    `127.0.0.1/${nameOf(x)}`,
    `127.0.0.1/${f}`,
    `127.0.0.1/${f}/${nameOf(y)}`,
    `127.0.0.1/${f}/${nameOf(z)}`,
  ];
  const paths = [
    n,
    `${n}/${nameOf(x)}`,
    `${n}/${f}`,
    `${n}/${f}/${nameOf(y)}`,
    `${n}/${f}/${nameOf(z)}`,
  ];
  t.strictSame(
    result.receivers
      .map(({ via = [], receiver, status }) => `${[...via, receiver].join('/')} ${status}`)
      .toSorted(),
    rows.map((row) => `${row} complete`).toSorted(),
  );
  t.strictSame(asked.toSorted(), paths.toSorted());
  for (const name of ['x', 'y', 'z']) {
    for (const file of ['a', 'empty', 'deep/b', 'large'])
      t.ok(
        readFileSync(join(folder, name, 'photos', file)).equals(
          readFileSync(join(folder, 'photos', file)),
        ),
      );
  }
  t.match(
    events.filter(({ type }) => type === 'receiver'),
    [{ outcome: { status: 'complete' } }, { outcome: { status: 'complete' } }],
  );
  t.equal(near.totals().complete, 1);
  await near.close('done');
  await far.close('done');
  for (const each of receiving) await each.close('done');
  // Nothing stays at the relays.
  for (const name of ['near', 'far'])
    t.strictSame(readdirSync(join(folder, name), { recursive: true }), []);
});

t.test('a relay without the right, and a sender without it, bring nothing', async (t) => {
  const folder = t.testdir({ file: 'content' });
  const keyPair = await generateKeyPair();
  const relayPair = await generateKeyPair();
  for (const rights of ['none', 'send only', 'relay only', 'relay, and not the sender'] as const) {
    const isRelay = (key: Uint8Array) => isEqualBytes(key, relayPair.publicKey);
    const dir = join(folder, rights.replaceAll(/\W/g, ''));
    mkdirSync(dir);
    const receiving = await receive({
      ...{ ...local, dir, keyPair: await generateKeyPair() },
      trustSender: (key) =>
        (rights === 'send only' && isRelay(key)) || (rights === 'relay only' && !isRelay(key)),
      trustRelay: (key) => rights.startsWith('relay') && isRelay(key),
    });
    const relaying = await relay({
      ...{ ...trusting, dir: join(folder, 'passing'), keyPair: relayPair },
      ...{ to: receiving.addresses, trustReceiver: () => true },
    });
    const result = await send({
      ...{ paths: [join(folder, 'file')], receivers: relaying.addresses, keyPair },
      trustReceiver: () => true,
    });
    const isTaken = rights === 'relay only';
    const row = result.receivers.find(({ via }) => via !== undefined);
    t.equal(row?.status, isTaken ? 'complete' : 'refused', rights);
    t.equal(existsSync(join(dir, 'file')), isTaken, rights);
    // The relay itself may send nothing to a receiver that lets it only relay.
    const own = await send({
      ...{ paths: [join(folder, 'file')], receivers: receiving.addresses, keyPair: relayPair },
      trustReceiver: () => true,
    });
    t.equal(own.receivers[0]?.status, rights === 'send only' ? 'complete' : 'refused', rights);
    await relaying.close('done');
    await receiving.close('done');
  }
});

t.test('an invited relay, and the sender of the first object that it brings', async (t) => {
  const folder = t.testdir({ file: 'content' });
  const relayPair = await generateKeyPair();
  const [first, second] = [await generateKeyPair(), await generateKeyPair()];
  for (const takesRelays of [true, false]) {
    const trusted: { send: Uint8Array[]; relay: Uint8Array[] } = { send: [], relay: [] };
    const isIn = (list: Uint8Array[], key: Uint8Array) =>
      list.some((one) => isEqualBytes(one, key));
    const receiving = await receive({
      ...{ ...local, dir: join(folder, `in ${takesRelays}`), keyPair: await generateKeyPair() },
      trustSender: (key) => isIn(trusted.send, key),
      ...(takesRelays && { trustRelay: (key: Uint8Array) => isIn(trusted.relay, key) }),
      onEvent: (event) => {
        if (event.type === 'invited') trusted.send.push(event.senderKey);
        if (event.type !== 'invited-relay') return;
        trusted.relay.push(event.relayKey);
        trusted.send.push(event.originKey);
      },
    });
    const relaying = await relay({
      ...{ ...trusting, dir: join(folder, 'passing'), keyPair: relayPair },
      ...{ to: receiving.addresses, trustReceiver: () => true },
      invitations: [receiving.invite({ uses: 1, lifetimeMs: 60_000 })],
    });
    const statuses: unknown[] = [];
    for (const keyPair of [first, second, first]) {
      const { receivers } = await send({
        ...{ paths: [join(folder, 'file')], receivers: relaying.addresses, keyPair },
        trustReceiver: () => true,
      });
      statuses.push(receivers.find(({ via }) => via !== undefined)?.status);
    }
    const expected = takesRelays ? ['complete', 'refused', 'complete'] : Array(3).fill('refused');
    t.strictSame(statuses, expected, `takes relays: ${takesRelays}`);
    await relaying.close('done');
    await receiving.close('done');
  }
});
