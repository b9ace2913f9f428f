/** Whether found receivers are trusted, and where they are reached. */
import t from 'tap';
import {
  addressOf,
  sortReceivers,
  trustAnnounced,
  trustOf,
} from '../../../src/cli/receivers/announced-trust.js';
import { fingerprint } from '../../../src/node/keys/key-files.js';
import { KnownReceivers } from '../../../src/node/keys/known-receivers.js';

const keyOf = (number: number) => new Uint8Array(32).fill(number);

function receiverOf(number: number, ...hosts: string[]) {
  const addresses = hosts.map((host) => ({ host, port: 7735 }));
  return { name: `lab${number}`, receiverKey: keyOf(number), role: 'receiver' as const, addresses };
}

t.test('a key is trusted under any name; another key for the address is reported', async (t) => {
  const known = await KnownReceivers.load(`${t.testdir()}/known_receivers`);
  await known.add('lab1:7735', keyOf(1));
  await known.add('10.0.0.2:7735', keyOf(9));
  t.equal(trustOf(receiverOf(1, '10.0.0.77'), known), 'trusted');
  t.equal(trustOf(receiverOf(2, '10.0.0.2'), known), 'changed');
  t.equal(trustOf(receiverOf(2, 'fe80::1%eth0', '10.0.0.2'), known), 'changed');
  t.equal(trustOf(receiverOf(2, '10.0.0.3'), known), 'unknown');
});

t.test('the known address comes first, then those that other hosts reach', async (t) => {
  const known = await KnownReceivers.load(`${t.testdir()}/known_receivers`);
  await known.add('[fd00::1]:7735', keyOf(1));
  const hosts = ['127.0.0.1', 'fe80::1%eth0', 'fd00::1', '10.0.0.1', '10.0.0.2'];
  t.equal(addressOf(receiverOf(1, ...hosts), known).host, 'fd00::1');
  t.equal(addressOf(receiverOf(2, ...hosts), known).host, '10.0.0.1');
  t.equal(addressOf(receiverOf(2, ...hosts.slice(0, 3)), known).host, 'fd00::1');
  t.equal(addressOf(receiverOf(2, ...hosts.slice(0, 2)), known).host, 'fe80::1%eth0');
});

t.test('the order does not depend on which receiver answers first', async (t) => {
  const known = await KnownReceivers.load(`${t.testdir()}/known_receivers`);
  await known.add('lab3:7735', keyOf(3));
  const receivers = [1, 2, 3, 4].map((number) => receiverOf(number, `10.0.0.${12 - 2 * number}`));
  for (const each of [receivers, receivers.toReversed()]) {
    const names = sortReceivers(each, known).map(({ name }) => name);
    t.same(names, ['lab3', 'lab4', 'lab2', 'lab1'], 'trusted ones, then by number');
  }
});

t.test('only the announced key is trusted, and unknown keys are decided as usual', async (t) => {
  const known = await KnownReceivers.load(`${t.testdir()}/known_receivers`);
  await known.add('lab1:7735', keyOf(1));
  const announced = [1, 2].map((n) => [`10.0.0.${n}:7735`, fingerprint(keyOf(n))] as const);
  const trust = trustAnnounced(new Map(announced), known, (name) => `asked about ${name}`);
  t.equal(await trust('10.0.0.1:7735', keyOf(1)), true);
  t.match(await trust('10.0.0.1:7735', keyOf(2)), /is not the key that was announced/);
  t.equal(await trust('10.0.0.2:7735', keyOf(2)), 'asked about 10.0.0.2:7735');
  t.equal(await trust('10.0.0.3:7735', keyOf(1)), 'asked about 10.0.0.3:7735', 'a named receiver');
});
