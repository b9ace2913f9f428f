/** The content root of an object depends on its bytes alone. */
import { copyFileSync, existsSync, rmSync, writeFileSync as writeList } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { generateKeyPair, type SendOptions } from '../../../src/index.js';
import { writeRandomFile } from '../../support/loopback.js';
import { parseResult } from '../../support/processes.js';
import { SessionPlace } from '../../support/session-commands.js';
import { SessionHost, sendTo } from '../../support/session-host.js';

const buffered = true;
t.jobs = 2;

/** Several blocks of 61,440 bytes, the last of them short. */
const sizeBytes = 400_123;

let hostCount = 0;

/** Sends to a receiver that holds nothing. @returns the content root */
async function rootOf(t: Test, path: string, options: Partial<SendOptions> = {}) {
  const host = await SessionHost.open(t, join(t.testdirName, `in ${hostCount++}`));
  const result = await sendTo([host], [path], options);
  t.equal(result.receivers[0]?.status, 'complete');
  return result.contentRoot;
}

t.test('the root is the same for every MSS, by multicast and unicast', { buffered }, async (t) => {
  const path = writeRandomFile(t.testdir(), sizeBytes);
  const root = await rootOf(t, path);
  t.match(root, /^[0-9a-f]{64}$/);
  for (const mssBytes of [481, 508, 1200, 1400, 8940, 65_000]) {
    for (const multicast of ['auto', 'never']) {
      const name = `MSS ${mssBytes}, multicast ${multicast}`;
      t.equal(await rootOf(t, path, { mssBytes, multicast }), root, name);
    }
  }
});

t.test('the root is the same under two names and from two senders', { buffered }, async (t) => {
  const folder = t.testdir();
  const path = writeRandomFile(folder, sizeBytes);
  copyFileSync(path, join(folder, 'other name'));
  const root = await rootOf(t, path);
  t.equal(await rootOf(t, join(folder, 'other name')), root);
  t.equal(await rootOf(t, path, { keyPair: await generateKeyPair() }), root);
});

t.test('the root is the same after a resume with another MSS', { buffered }, async (t) => {
  const folder = t.testdir();
  const path = writeRandomFile(folder, sizeBytes);
  const host = await SessionHost.open(t, join(folder, 'in'));
  const keyPair = await generateKeyPair();
  const stop = new AbortController();
  const sending = sendTo([host], [path], {
    keyPair,
    rateBytesPerSec: 400_000,
    progressIntervalMs: 1,
    signal: stop.signal,
    onEvent: (event) => {
      if (event.type === 'progress' && (event.receivers[0]?.heldBytes ?? 0) > 0) stop.abort();
    },
  });
  await t.rejects(sending, { name: 'AbortError' });
  const resumed = await sendTo([host], [path], { keyPair, mssBytes: 508 });
  const [receiver] = resumed.receivers;
  t.equal(receiver?.status, 'complete');
  t.ok((receiver?.heldBeforeBytes ?? 0) > 0, 'blocks of the first attempt are kept');
  t.equal(resumed.contentRoot, await rootOf(t, path));
});

t.test('p2mp digest prints what p2mp send prints', { buffered }, async (t) => {
  const place = new SessionPlace(t);
  for (const name of ['a b', 'c']) writeRandomFile(place.sent, sizeBytes, name);
  writeRandomFile(place.sent, 0, 'empty');
  await place.keygen(place.senderHome);
  const { name } = await place.receive();
  const sent = await place.send([place.sent, '--to', name, '--accept-new', '--json']).exited;
  const { contentRoot, bytes } = parseResult(sent);
  const printed = await place.start(place.senderHome, ['digest', place.sent]).exited;
  t.same([printed.code, printed.stdout], [0, `${contentRoot}\n`], printed.stderr);
  const asJson = await place.start(place.senderHome, ['digest', place.sent, '--json']).exited;
  t.match(parseResult(asJson), { status: 'complete', contentRoot, bytes, entries: 4 });
});

t.test('a list of SHA-256 digests is printed and checked', { buffered }, async (t) => {
  const place = new SessionPlace(t);
  const names = ['a b', 'back\\slash', 'line\nbreak'];
  for (const name of names) writeRandomFile(place.sent, 70_000, name);
  writeRandomFile(place.sent, 0, 'empty');
  const options = { cwd: place.folder };
  const listing = await place.start(place.senderHome, ['digest', '--sha256', 'sent'], options)
    .exited;
  t.equal(listing.code, 0, listing.stderr);
  t.equal(listing.stdout.split('\n').length, 5);
  const list = join(place.folder, 'list');
  writeList(list, listing.stdout);
  const check = () => place.start(place.senderHome, ['digest', '--check', 'list'], options).exited;
  const good = await check();
  t.equal(good.code, 0, good.stderr);
  t.match(good.stdout, 'sent/empty: OK');
  writeRandomFile(place.sent, 70_001, 'a b');
  rmSync(join(place.sent, 'empty'));
  const bad = await check();
  t.equal(bad.code, 1);
  t.match(bad.stderr, /sent\/a b: FAILED: the content differs/);
  t.match(bad.stderr, /sent\/empty: does not exist/);
  t.match(bad.stderr, /4 files compared: 1 different, 1 unreadable/);
});

t.test('wrong lists and arguments are named', { buffered }, async (t) => {
  const place = new SessionPlace(t);
  writeList(join(place.folder, 'no list'), 'abc\n');
  writeList(join(place.folder, 'nothing'), '');
  for (const [args, code, message] of [
    [[], 2, 'no path'],
    [['missing'], 4, 'missing: does not exist'],
    [['--check', 'no list'], 2, 'no list:1: not a line of sha256sum'],
    [['--check', 'nothing'], 2, 'nothing: the list is empty'],
    [['--check', 'no list', 'sent'], 2, '--check: takes neither paths nor --sha256'],
    [['--check', 'missing'], 4, 'missing: does not exist'],
  ] as const) {
    const options = { cwd: place.folder };
    const exit = await place.start(place.senderHome, ['digest', ...args], options).exited;
    t.equal(exit.code, code, args.join(' '));
    t.match(exit.stderr, message);
    t.notOk(existsSync(join(place.folder, 'missing')));
  }
});
