/** Sending and receiving sessions through the library: `send` and `receive` over loopback. */
import { randomBytes } from 'node:crypto';
import {
  appendFileSync,
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { isIPv6 } from 'node:net';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import t from 'tap';
import {
  generateKeyPair,
  KnownReceivers,
  planSend,
  receive,
  type SendEvent,
  type SendResult,
  send,
  trustKnownReceivers,
} from '../../src/index.js';
import { chooseGroup } from '../../src/node/net/groups/group-address.js';
import { hasIPv6, isSameContent, openSilentPort, writeRandomFile } from '../support/loopback.js';
import type { Cleaner } from '../support/processes.js';
import { SessionHost, sendTo, treeOf } from '../support/session-host.js';

/** The content of a block. */
const blockBytes = 61_440;

const isWindows = process.platform === 'win32';

type HostOptions = Parameters<typeof SessionHost.open>[2];

async function openHost(t: Cleaner, folder: string, options?: HostOptions): Promise<SessionHost> {
  return SessionHost.open(t, join(folder, 'host'), options);
}

/** Hosts that compare, each with its own folder. Each send has its own key. */
async function openHosts(t: Cleaner, folder: string, count: number): Promise<SessionHost[]> {
  const names = Array.from({ length: count }, (_, i) => join(folder, `host ${i}`));
  return Promise.all(names.map((name) => SessionHost.open(t, name, { comparesAll: true })));
}

/** All names in the host's folder, so that leftovers show. */
function namesIn(host: SessionHost): string[] {
  return readdirSync(host.dir).sort();
}

for (const address of ['127.0.0.1', '::1']) {
  const skip = address === '::1' && !hasIPv6 ? 'this host has no IPv6' : false;
  t.test(`a file arrives with its mode and time at ${address}`, { skip }, async (t) => {
    const folder = t.testdir({ sent: {} });
    const sent = writeRandomFile(join(folder, 'sent'), 500_000);
    chmodSync(sent, 0o640);
    utimesSync(sent, 1_600_000_000, 1_500_000_000.25);
    const host = await openHost(t, folder, { bind: [address], name: 'the one' });
    const result = await sendTo([host], [sent]);
    t.same(treeOf(host.dir), treeOf(join(folder, 'sent')));
    t.match(result, {
      label: 'sent',
      entryCount: 1,
      contentSizeBytes: 500_000,
      manifestDigest: /^[0-9a-f]{64}$/,
      contentRoot: /^[0-9a-f]{64}$/,
      groupDatagramsSent: 0,
    });
    t.equal(result.error, undefined);
    const { host: at, port } = host.spec();
    t.match(result.receivers, [
      {
        receiver: at,
        address: at.includes(':') ? `[${at}]:${port}` : `${at}:${port}`,
        selfName: 'the one',
        status: 'complete',
        heldBytes: 500_000,
        receivedBytes: 500_000,
        usesGroup: false,
      },
    ]);
    t.match(await host.ends(1), [
      {
        status: 'complete',
        label: 'sent',
        manifestDigest: result.manifestDigest,
        contentRoot: result.contentRoot,
        contentSizeBytes: 500_000,
        heldBytes: 500_000,
        receivedBytes: 500_000,
      },
    ]);
    t.match(host.receiving.totals(), { complete: 1, failed: 0, refused: 0 });
  });
}

t.test('sizes around the boundaries of blocks, to three receivers at once', async (t) => {
  const folder = t.testdir({ sent: {} });
  const hosts = await openHosts(t, folder, 3);
  for (const size of [0, 1, 1399, 1400, 1401, blockBytes - 1, blockBytes, blockBytes + 1]) {
    for (const more of [0, 2 * blockBytes]) {
      const name = `${size + more} bytes`;
      const sent = writeRandomFile(join(folder, 'sent'), size + more, name);
      const { receivers } = await sendTo(hosts, [sent]);
      t.same(
        receivers.map(({ status, receivedBytes }) => [status, receivedBytes]),
        hosts.map(() => ['complete', size + more]),
        name,
      );
      for (const host of hosts) t.ok(isSameContent(sent, host.path(name)), name);
    }
  }
});

t.test('several files and folders arrive unchanged', { skip: isWindows }, async (t) => {
  const folder = t.testdir({ sent: {} });
  const sent = join(folder, 'sent');
  mkdirSync(join(sent, 'a folder', 'deep', 'er'), { recursive: true });
  mkdirSync(join(sent, 'a folder', 'empty'));
  writeRandomFile(join(sent, 'a folder'), 100_000, 'Grüße, 世界 🎉.bin');
  writeRandomFile(join(sent, 'a folder', 'deep', 'er'), 0, 'nothing');
  writeRandomFile(join(sent, 'a folder'), 1, '-n');
  writeRandomFile(sent, 70_000, 'one file');
  writeRandomFile(sent, 3, 'another\tfile'.replace('\t', ' '));
  symlinkSync('deep/er/nothing', join(sent, 'a folder', 'link'));
  symlinkSync('../deep', join(sent, 'a folder', 'deep', 'up'));
  symlinkSync('not there', join(sent, 'a folder', 'dangling'));
  chmodSync(join(sent, 'one file'), 0o400);
  chmodSync(join(sent, 'a folder', '-n'), 0o755);
  const times = [
    ['a folder/deep/er/nothing', 0],
    ['a folder/deep/er', 1_000_000_000],
    ['a folder/deep', 1_100_000_000.5],
    ['a folder/empty', 4_000_000_000],
    ['a folder', 1_200_000_000],
    ['one file', 1_300_000_000.123],
  ] as const;
  chmodSync(join(sent, 'a folder', 'empty'), 0o700);
  chmodSync(join(sent, 'a folder', 'deep'), 0o555);
  for (const [name, seconds] of times) utimesSync(join(sent, name), seconds, seconds);

  const hosts = await openHosts(t, folder, 2);
  const paths = readdirSync(sent).map((name) => join(sent, name));
  const result = await sendTo(hosts, paths);
  t.match(result.receivers, [{ status: 'complete' }, { status: 'complete' }]);
  t.equal(result.entryCount, Object.keys(treeOf(sent)).length);
  t.match(result.label, /^.+ and 2 more$/);
  for (const host of hosts) t.same(treeOf(host.dir), treeOf(sent));
  // Otherwise the fixture could not be removed.
  for (const path of [sent, ...hosts.map(({ dir }) => dir)]) {
    chmodSync(join(path, 'a folder', 'deep'), 0o755);
  }
});

t.test('skipped entries are reported with their reasons', { skip: isWindows }, async (t) => {
  const folder = t.testdir({ sent: { kept: 'x' } });
  symlinkSync('/etc/passwd', join(folder, 'sent', 'outside'));
  const host = await openHost(t, folder);
  const events: SendEvent[] = [];
  const result = await sendTo([host], [join(folder, 'sent')], {
    onEvent: (event) => events.push(event),
  });
  t.match(result.receivers, [{ status: 'complete' }]);
  t.match(events[0], {
    type: 'skipped',
    name: 'sent/outside',
    reason: /is outside of what is sent/,
  });
  t.match(events[1], { type: 'start', entryCount: 2, contentSizeBytes: 1 });
  t.same(readdirSync(host.path('sent')), ['kept']);
});

t.test('standard input is sent under its name, beside other files', async (t) => {
  const folder = t.testdir();
  const content = randomBytes(200_000);
  const sent = writeRandomFile(folder, 1000);
  const [host] = [await openHost(t, folder)];
  const input = Readable.from([content.subarray(0, 70_000), content.subarray(70_000)]);
  const result = await sendTo([host], ['-', sent], { input, inputName: 'piped one' });
  t.match(result.receivers, [{ status: 'complete', receivedBytes: 201_000 }]);
  t.equal(result.label, 'piped one and 1 more');
  t.ok(readFileSync(host.path('piped one')).equals(content));
  t.ok(isSameContent(sent, host.path('sent')));
  await sendTo([host], ['-'], { input: Readable.from([]) });
  t.equal(statSync(host.path('stdin')).size, 0, 'empty standard input is sent too');
});

t.test('many files, whose manifest takes several blocks', async (t) => {
  const folder = t.testdir({ sent: {} });
  const sent = join(folder, 'sent');
  for (let i = 0; i < 700; i++) {
    writeFileSync(join(sent, `${i} ${'long name '.repeat(20)}`), `content of ${i}`.repeat(i % 50));
  }
  const hosts = await openHosts(t, folder, 3);
  const result = await sendTo(hosts, [`${sent}/.`]);
  t.match(result.receivers, [
    { status: 'complete' },
    { status: 'complete' },
    { status: 'complete' },
  ]);
  t.equal(result.entryCount, 700);
  for (const host of hosts) t.same(treeOf(host.dir), treeOf(sent));
});

t.test('the events of a sender begin with start and end with done', async (t) => {
  const folder = t.testdir();
  const sent = writeRandomFile(folder, 300_000);
  const host = await openHost(t, folder, { name: 'self' });
  const events: SendEvent[] = [];
  await sendTo([host], [sent], { onEvent: (event) => events.push(event) });
  const types = events.map(({ type }) => type).filter((type) => type !== 'progress');
  t.same(types, ['start', 'connect', 'receiver', 'end']);
  t.match(events[0], { label: 'sent', contentSizeBytes: 300_000, entryCount: 1 });
  t.match(events[1], { receiver: '127.0.0.1', selfName: 'self' });
  t.match(
    host.events.map(({ type }) => type).filter((type) => type !== 'progress'),
    ['offer', 'end'],
  );
});

t.test('progress is reported and never decreases', async (t) => {
  const folder = t.testdir();
  const sent = writeRandomFile(folder, 1_000_000);
  const host = await openHost(t, folder);
  const held: number[] = [];
  await sendTo([host], [sent], {
    rateBytesPerSec: 2_000_000,
    progressIntervalMs: 10,
    onEvent: (event) => {
      if (event.type === 'progress') held.push(event.receivers[0]?.heldBytes ?? Number.NaN);
    },
  });
  t.ok(
    held.some((bytes) => bytes > 0 && bytes < 1_000_000),
    `${held.length} times`,
  );
  t.same(
    held,
    [...held].sort((a, b) => a - b),
  );
});

// --- Existing files

t.test('existing content is not sent again, whatever its time', async (t) => {
  const folder = t.testdir();
  const sent = writeRandomFile(folder, 300_000);
  const host = await openHost(t, folder, { comparesAll: true });
  await sendTo([host], [sent]);
  for (const time of [1_600_000_000, 1_700_000_000]) {
    const again = await sendTo([host], [sent]);
    t.match(again.receivers, [{ status: 'complete', heldBytes: 300_000, receivedBytes: 0 }]);
    t.equal(again.datagramsSent, 0);
    utimesSync(sent, time, time);
    const other = await sendTo([host], [sent]);
    t.match(other.receivers, [{ status: 'complete', receivedBytes: 0 }]);
    t.equal(other.datagramsSent, 0);
    t.equal(statSync(host.path('sent')).mtimeMs, time * 1000, 'the time is that of the sender');
  }
});

t.test('a changed file replaces the existing one', async (t) => {
  const folder = t.testdir();
  const host = await openHost(t, folder);
  for (const size of [300_000, 300_000, 100, 0, 70_000]) {
    const sent = writeRandomFile(folder, size);
    const result = await sendTo([host], [sent]);
    t.match(result.receivers, [{ status: 'complete', heldBytes: size, receivedBytes: size }]);
    t.ok(isSameContent(sent, host.path('sent')));
    t.same(namesIn(host), ['sent']);
  }
});

t.test('of a large file with one changed block, little is sent', async (t) => {
  const folder = t.testdir();
  const content = randomBytes(100 * blockBytes + 17);
  const sent = join(folder, 'sent');
  writeFileSync(sent, content);
  const hosts = await openHosts(t, folder, 2);
  await sendTo(hosts, [sent]);
  for (const offset of [40 * blockBytes + 5, 0, content.length - 1]) {
    content[offset] = (content[offset] ?? 0) ^ 1;
    writeFileSync(sent, content);
    const result = await sendTo(hosts, [sent]);
    t.ok(result.bytesSent > 0 && result.bytesSent < 6 * blockBytes, `${result.bytesSent} sent`);
    for (const host of hosts) t.ok(isSameContent(sent, host.path('sent')));
    for (const { status, receivedBytes } of result.receivers) {
      t.equal(status, 'complete');
      t.ok(receivedBytes > 0 && receivedBytes <= 2 * blockBytes, `${receivedBytes} received`);
    }
  }
  const [first] = hosts as [SessionHost];
  for (const end of (await first.ends(4)).slice(1)) {
    const { receivedBytes } = end;
    t.match(end, { updatedBlocks: 1, badBlocks: 0 }, 'nothing was damaged');
    t.ok(receivedBytes > 0 && receivedBytes <= 2 * blockBytes, `${receivedBytes} received`);
  }
  const bad = first.events.flatMap((event) => (event.type === 'bad-block' ? [event] : []));
  t.same(
    bad.map(({ block, names }) => ({ block, names })),
    [40, 0, 100].map((block) => ({ block, names: ['sent'] })),
    'each block that differs is named',
  );
});

t.test('with keep, existing files stay and missing ones arrive', async (t) => {
  const folder = t.testdir({
    sent: { same: 'same', other: 'x'.repeat(70_000), fresh: 'y'.repeat(70_000) },
    host: { same: 'same', other: 'old' },
  });
  const host = await openHost(t, folder);
  const kept = statSync(host.path('other')).mtimeMs;
  const result = await sendTo([host], [`${folder}/sent/.`], { existing: 'keep' });
  t.match(result.receivers, [{ status: 'complete' }]);
  t.equal(readFileSync(host.path('other'), 'utf8'), 'old');
  t.equal(statSync(host.path('other')).mtimeMs, kept);
  t.equal(readFileSync(host.path('fresh'), 'utf8'), 'y'.repeat(70_000));
  t.same(namesIn(host), ['fresh', 'other', 'same']);
});

t.test("the receiver's setting for existing files overrides the sender's", async (t) => {
  const folder = t.testdir({ sent: { file: 'new' }, host: { file: 'old' } });
  const host = await openHost(t, folder, { existing: 'keep' });
  const result = await sendTo([host], [join(folder, 'sent', 'file')], { existing: 'overwrite' });
  t.match(result.receivers, [{ status: 'complete', receivedBytes: 0 }]);
  t.equal(readFileSync(host.path('file'), 'utf8'), 'old');
});

t.test('with overwrite, everything is sent again', async (t) => {
  const folder = t.testdir();
  const sent = writeRandomFile(folder, 300_000);
  const host = await openHost(t, folder);
  for (let i = 0; i < 2; i++) {
    const result = await sendTo([host], [sent], { existing: 'overwrite' });
    t.match(result.receivers, [{ status: 'complete', receivedBytes: 300_000 }]);
    t.ok(isSameContent(sent, host.path('sent')));
  }
});

// --- Trust

t.test('an untrusted sender is refused with the reason and leaves nothing', async (t) => {
  const folder = t.testdir();
  const sent = writeRandomFile(folder, 5000);
  const own = await generateKeyPair();
  const keys: Uint8Array[] = [];
  const host = await openHost(t, folder, {
    trustSender: (key) => {
      keys.push(key);
      return 'not from you';
    },
  });
  const good = await SessionHost.open(t, join(folder, 'good'));
  const result = await sendTo([host, good], [sent], { keyPair: own });
  t.match(result.receivers, [
    { status: 'refused', reason: 'not from you', receivedBytes: 0 },
    { status: 'complete' },
  ]);
  t.ok(keys.length > 0);
  for (const key of keys) t.same(key, own.publicKey);
  t.match(host.events, [
    { type: 'fault', kind: 'untrusted' },
    { type: 'turned-away', cause: 'untrusted', senderKey: own.publicKey, unreported: 0 },
  ]);
  t.same(namesIn(host), []);
  t.match(host.receiving.totals(), { complete: 0, faults: { untrusted: 1 } });
});

t.test('an untrusted receiver gets nothing', async (t) => {
  const folder = t.testdir();
  const sent = writeRandomFile(folder, 5000);
  const [bad, good] = (await openHosts(t, folder, 2)) as [SessionHost, SessionHost];
  const badName = `127.0.0.1:${bad.spec().port}`;
  const asked: [string, Uint8Array][] = [];
  const result = await sendTo([bad, good], [sent], {
    trustReceiver: async (name, key) => {
      asked.push([name, key]);
      return name === badName ? 'never seen' : true;
    },
  });
  t.match(result.receivers, [
    { status: 'failed', reason: 'never seen', datagramsSent: 0 },
    { status: 'complete' },
  ]);
  t.same(
    new Map(asked),
    new Map([
      [badName, bad.keyPair.publicKey],
      [`127.0.0.1:${good.spec().port}`, good.keyPair.publicKey],
    ]),
  );
  t.same(bad.events, []);
  t.same(namesIn(bad), []);
});

t.test('only the answer true means trust', async (t) => {
  const folder = t.testdir();
  const sent = writeRandomFile(folder, 5000);
  const host = await openHost(t, folder);
  for (const answer of [false, undefined, '', 1]) {
    const result = await sendTo([host], [sent], { trustReceiver: () => answer as boolean });
    const expected = { status: 'failed', reason: 'its key is not trusted here' };
    t.match(result.receivers, [expected], String(answer));
  }
  const reason = 'the other side does not trust its key';
  const other = await SessionHost.open(t, join(folder, 'other'), { trustSender: () => false });
  t.match((await sendTo([other], [sent])).receivers, [{ status: 'refused', reason }]);
  t.same([...namesIn(host), ...namesIn(other)], []);
});

t.test('one path needs no list', async (t) => {
  const folder = t.testdir();
  const sent = writeRandomFile(folder, 5000);
  const host = await openHost(t, folder);
  const receivers = [host.spec('one')];
  await send({ paths: sent, receivers, trustReceiver: () => true });
  t.ok(isSameContent(sent, host.path('sent')));
});

t.test('nothing is sent to a receiver whose key has changed', async (t) => {
  const folder = t.testdir();
  const sent = writeRandomFile(folder, 5000);
  const known = await KnownReceivers.load(join(folder, 'known'));
  let questions = 0;
  const trustReceiver = trustKnownReceivers(known, async () => [++questions > 0]);
  const before = await openHost(t, folder);
  t.match((await sendTo([before], [sent], { trustReceiver })).receivers, [{ status: 'complete' }]);
  t.match((await sendTo([before], [sent], { trustReceiver })).receivers, [{ status: 'complete' }]);
  t.equal(questions, 1);
  const { port } = before.spec();
  await before.receiving.close('moves');
  const after = await SessionHost.open(t, join(folder, 'other'), { port });
  const result = await sendTo([after], [sent], { trustReceiver });
  t.match(result.receivers, [{ status: 'failed', reason: /^its key has changed to SHA256:/ }]);
  t.equal(questions, 1);
  t.same(namesIn(after), []);
});

// --- Limits

t.test('a receiver refuses an object beyond its limits', async (t) => {
  const folder = t.testdir();
  const host = await openHost(t, folder, { maxObjectBytes: 8192 });
  const small = await sendTo([host], [writeRandomFile(folder, 8192, 'small')]);
  t.match(small.receivers, [{ status: 'complete' }]);
  const large = await sendTo([host], [writeRandomFile(folder, 8193, 'large')]);
  t.match(large.receivers, [
    { status: 'refused', reason: /^8193 bytes are more than the limit of 8192 bytes$/ },
  ]);
  t.match(await host.ends(2), [{ status: 'complete' }, { status: 'refused' }]);
  t.same(namesIn(host), ['small']);
});

t.test('a receiver with its maximum of active sessions says so', async (t) => {
  const folder = t.testdir();
  const [one, two] = ['one', 'two'].map((name) => writeRandomFile(folder, 200_000, name));
  const host = await openHost(t, folder, { maxSessions: 1 });
  const abort = new AbortController();
  const first = sendTo([host], [one as string], { rateBytesPerSec: 1000, signal: abort.signal });
  await host.offers(1);
  t.match((await sendTo([host], [two as string])).receivers, [
    { status: 'refused', reason: 'busy with 1 sessions; try again later' },
  ]);
  const reason = new Error('enough');
  abort.abort(reason);
  await t.rejects(first, reason);
  await host.ends(1);
  t.match((await sendTo([host], [two as string])).receivers, [{ status: 'complete' }]);
});

t.test('a target that cannot be written is refused with the path', async (t) => {
  const folder = t.testdir({ host: { sent: { child: 'x' } } });
  const sent = writeRandomFile(folder, 5000);
  const [host, good] = [await openHost(t, folder), await SessionHost.open(t, join(folder, 'good'))];
  const result = await sendTo([host, good], [sent]);
  t.match(result.receivers, [
    {
      status: 'refused',
      reason: `${host.path('sent')}: is a folder; move it away or choose another folder`,
    },
    { status: 'complete' },
  ]);
  t.same(readdirSync(host.path('sent')), ['child']);
});

// --- Receivers that are unreachable, and those that leave

t.test('an unreachable receiver fails by name, and the others do not wait for it', async (t) => {
  const folder = t.testdir();
  const sent = writeRandomFile(folder, 300_000);
  const host = await openHost(t, folder);
  const silent = { host: '127.0.0.1', port: await openSilentPort(t), name: 'silent' };
  const outcomes: string[] = [];
  const result = await send({
    paths: [sent],
    receivers: [silent, host.spec('there')],
    trustReceiver: () => true,
    livenessTimeoutMs: 4000,
    onEvent: (event) => {
      if (event.type === 'receiver') outcomes.push(event.outcome.receiver);
    },
  });
  t.same(outcomes, ['there', 'silent']);
  t.match(result.receivers, [
    {
      receiver: 'silent',
      status: 'failed',
      reason: `no answer for 4 s; is p2mp receive running there, and does a firewall let UDP port ${silent.port} through?`,
    },
    { receiver: 'there', status: 'complete' },
  ]);
  t.ok(isSameContent(sent, host.path('sent')));
});

t.test('a receiver that is closed midway fails by name; the others complete', async (t) => {
  const folder = t.testdir();
  const sent = writeRandomFile(folder, 500_000);
  const [closed, open] = (await openHosts(t, folder, 2)) as [SessionHost, SessionHost];
  const sending = sendTo([closed, open], [sent], { rateBytesPerSec: 1_000_000 });
  await closed.offers(1);
  await closed.receiving.close('going home');
  const result = await sending;
  t.match(result.receivers, [{ status: 'failed', reason: 'going home' }, { status: 'complete' }]);
  t.match(closed.ended, [{ status: 'failed', reason: 'going home' }]);
  t.ok(isSameContent(sent, open.path('sent')));
  t.notOk(existsSync(closed.path('sent')));
});

// --- Signals

t.test('an already aborted signal rejects with its reason, and nothing is sent', async (t) => {
  const folder = t.testdir();
  const sent = writeRandomFile(folder, 5000);
  const host = await openHost(t, folder);
  const reason = new Error('changed my mind');
  await t.rejects(sendTo([host], [sent], { signal: AbortSignal.abort(reason) }), reason);
  t.same(host.events, []);
});

t.test('a signal ends the wait for standard input', async (t) => {
  const folder = t.testdir();
  const host = await openHost(t, folder);
  const abort = new AbortController();
  const reason = new Error('no more');
  // An input that never ends.
  const input = new Readable({ read: () => setImmediate(() => abort.abort(reason)) });
  await t.rejects(sendTo([host], ['-'], { input, signal: abort.signal }), reason);
  t.same(host.events, []);
});

const stopped = new Error('stopped by the test');

const moments = {
  'at any time': (abort: AbortController) => setImmediate(() => abort.abort(stopped)),
  'while an event is handled': (abort: AbortController) => abort.abort(stopped),
};

for (const [when, abortSoon] of Object.entries(moments)) {
  t.test(`a sender that is aborted ${when} ends the session for every receiver`, async (t) => {
    const folder = t.testdir();
    const sent = writeRandomFile(folder, 500_000);
    const hosts = await openHosts(t, folder, 2);
    const abort = new AbortController();
    const results: SendResult[] = [];
    const sending = sendTo(hosts, [sent], {
      rateBytesPerSec: 100_000,
      signal: abort.signal,
      onEvent: (event) => {
        if (event.type === 'connect') abortSoon(abort);
        if (event.type === 'end') results.push(event.result);
      },
    });
    await t.rejects(sending, stopped);
    const outcome = { status: 'aborted', reason: 'the sender was interrupted' };
    t.match(results, [{ receivers: [outcome, outcome] }], 'the last event has the outcomes');
    t.notOk('error' in (results[0] as SendResult));
    for (const host of hosts) {
      if (host.events.length === 0) continue;
      t.match(await host.ends(1), [{ status: 'failed', reason: 'the sender was interrupted' }]);
      t.notOk(existsSync(host.path('sent')));
    }
  });
}

t.test('signals after the end change nothing', async (t) => {
  const folder = t.testdir();
  const sent = writeRandomFile(folder, 5000);
  const [sender, receiver] = [new AbortController(), new AbortController()];
  const host = await openHost(t, folder, { signal: receiver.signal });
  const result = await sendTo([host], [sent], { signal: sender.signal });
  sender.abort();
  receiver.abort();
  await host.receiving.closed;
  t.match(result.receivers, [{ status: 'complete' }]);
  t.match(host.ended, [{ status: 'complete' }]);
  t.ok(isSameContent(sent, host.path('sent')));
});

t.test('a receiver with an already aborted signal does not open', async (t) => {
  const folder = t.testdir();
  const opening = receive({
    dir: folder,
    port: 0,
    bind: ['127.0.0.1'],
    keyPair: await generateKeyPair(),
    trustSender: () => true,
    signal: AbortSignal.abort(stopped),
  });
  await t.rejects(opening, stopped);
  t.same(readdirSync(folder), []);
});

t.test('a drain lets the session finish, and defers others', async (t) => {
  const folder = t.testdir();
  const sent = writeRandomFile(folder, 300_000);
  const host = await openHost(t, folder);
  const first = sendTo([host], [sent], { rateBytesPerSec: 500_000 });
  await host.offers(1);
  const drained = host.receiving.drain();
  const reason = 'this receiver is shutting down and accepts no new sessions';
  const deferral: SendEvent[] = [];
  const second = await sendTo([host], [writeRandomFile(folder, 10, 'late')], {
    livenessTimeoutMs: 1000,
    onEvent: (event) => {
      if (event.type === 'deferred') deferral.push(event);
    },
  });
  t.match(second.receivers, [{ status: 'failed', reason }], 'nothing took its place');
  t.match(deferral, [{ reason }], 'reported once');
  t.match((await first).receivers, [{ status: 'complete' }]);
  await drained;
  await host.receiving.closed;
  t.same(namesIn(host), ['sent']);
});

t.test('a drain closes an idle receiver', async (t) => {
  const host = await openHost(t, t.testdir());
  await host.receiving.drain();
  await host.receiving.closed;
  t.pass('closed');
});

// --- Resuming

t.test('after an abort, only what is missing is sent', async (t) => {
  const folder = t.testdir();
  const sent = writeRandomFile(folder, 30 * blockBytes + 1);
  const size = statSync(sent).size;
  const host = await openHost(t, folder);
  const keyPair = await generateKeyPair();
  const abort = new AbortController();
  const first = sendTo([host], [sent], {
    keyPair,
    rateBytesPerSec: 2_000_000,
    signal: abort.signal,
    progressIntervalMs: 10,
    onEvent: (event) => {
      if (event.type !== 'progress') return;
      if (event.receivers.some(({ heldBytes }) => heldBytes > size / 3)) abort.abort(stopped);
    },
  });
  await t.rejects(first, stopped);
  const [ended] = await host.ends(1);
  const heldBytes = ended?.heldBytes ?? 0;
  t.ok(heldBytes > size / 3 && heldBytes < size, `${heldBytes} of ${size} held`);
  t.notOk(existsSync(host.path('sent')), 'nothing under its name yet');

  const second = await sendTo([host], [sent], { keyPair });
  t.match(second.receivers, [{ status: 'complete', receivedBytes: size - heldBytes }]);
  t.match(await host.ends(2), [{}, { status: 'complete', receivedBytes: size - heldBytes }]);
  t.ok(isSameContent(sent, host.path('sent')));
  t.same(namesIn(host), ['sent'], 'no part remains');
});

t.test('a restarted receiver resumes where the previous one stopped', async (t) => {
  const folder = t.testdir();
  const sent = writeRandomFile(folder, 30 * blockBytes);
  const size = statSync(sent).size;
  const before = await openHost(t, folder);
  const keyPair = await generateKeyPair();
  const sending = sendTo([before], [sent], {
    keyPair,
    rateBytesPerSec: 2_000_000,
    progressIntervalMs: 10,
    onEvent: (event) => {
      if (event.type !== 'progress') return;
      if (event.receivers.some(({ heldBytes }) => heldBytes > size / 3)) {
        void before.receiving.close('power is out');
      }
    },
  });
  t.match((await sending).receivers, [{ status: 'failed', reason: 'power is out' }]);
  await before.receiving.closed;
  const [{ heldBytes } = { heldBytes: 0 }] = before.ended;
  t.ok(heldBytes > 0 && heldBytes < size, `${heldBytes} of ${size} held`);
  const after = await openHost(t, folder);
  const result = await sendTo([after], [sent], { keyPair });
  t.match(result.receivers, [{ status: 'complete', receivedBytes: size - heldBytes }]);
  t.ok(isSameContent(sent, after.path('sent')));
});

for (const [how, change] of Object.entries({
  grows: (path: string) => appendFileSync(path, 'more'),
  'is written to': (path: string) => {
    writeFileSync(path, randomBytes(500_000));
    utimesSync(path, 1_700_000_000, 1_700_000_000);
  },
})) {
  t.test(`a file that ${how} during the transfer is delivered to no receiver`, async (t) => {
    const folder = t.testdir();
    const sent = writeRandomFile(folder, 500_000);
    utimesSync(sent, 1_600_000_000, 1_600_000_000);
    const hosts = await openHosts(t, folder, 2);
    const result = await sendTo(hosts, [sent], {
      onEvent: ({ type }) => type === 'connect' && change(sent),
    });
    t.match(result.error, { code: 'SOURCE_CHANGED', message: /sent: .* while it was being sent/ });
    for (const { status, reason } of result.receivers) {
      t.equal(status, 'aborted');
      t.equal(reason, result.error?.message);
    }
    for (const host of hosts) {
      if (host.events.length > 0) t.match(await host.ends(1), [{ status: 'failed' }]);
      t.notOk(existsSync(host.path('sent')));
    }
  });
}

// --- Many at once

t.test(
  'two senders of the same object at once: both complete, each with its own part',
  async (t) => {
    const folder = t.testdir();
    const sent = writeRandomFile(folder, 500_000);
    const host = await openHost(t, folder);
    const results = await Promise.all([sendTo([host], [sent]), sendTo([host], [sent])]);
    for (const { receivers } of results) t.match(receivers, [{ status: 'complete' }]);
    t.ok(isSameContent(sent, host.path('sent')));
    t.same(namesIn(host), ['sent']);
  },
);

t.test('a sender that starts again replaces its older session', async (t) => {
  const folder = t.testdir();
  const sent = writeRandomFile(folder, 500_000);
  const host = await openHost(t, folder);
  const keyPair = await generateKeyPair();
  const older = sendTo([host], [sent], { keyPair, rateBytesPerSec: 1000 });
  await host.offers(1);
  const newer = await sendTo([host], [sent], { keyPair });
  t.match(newer.receivers, [{ status: 'complete' }]);
  t.match((await older).receivers, [
    { status: 'failed', reason: 'replaced by a new session of the same sender' },
  ]);
  t.ok(isSameContent(sent, host.path('sent')));
});

t.test("ten senders at once to one receiver: each file has its sender's content", async (t) => {
  const folder = t.testdir();
  const host = await openHost(t, folder);
  const files = Array.from({ length: 10 }, (_, i) =>
    writeRandomFile(folder, 100_000 + i * 10_000, `file ${i}`),
  );
  const results = await Promise.all(files.map((file) => sendTo([host], [file])));
  for (const { receivers } of results) t.match(receivers, [{ status: 'complete' }]);
  for (const [i, file] of files.entries()) t.ok(isSameContent(file, host.path(`file ${i}`)));
  const totals = host.receiving.totals();
  t.match(totals, { complete: 10, failed: 0, refused: 0 });
  const size = files.reduce((sum, file) => sum + statSync(file).size, 0);
  t.equal(totals.receivedBytes, size);
  t.same(host.receiving.statuses(), []);
  t.equal(host.receiving.bufferedBytes, 0);
});

t.test('with few files open at once, everything still arrives', async (t) => {
  const folder = t.testdir({ sent: {} });
  for (let i = 0; i < 60; i++) writeRandomFile(join(folder, 'sent'), 3000, `file ${i}`);
  const host = await openHost(t, folder, { maxOpenFiles: 1 });
  t.match((await sendTo([host], [`${folder}/sent/.`])).receivers, [{ status: 'complete' }]);
  t.same(treeOf(host.dir), treeOf(join(folder, 'sent')));
});

// --- Groups

t.test('a group is chosen if it can reach more than one receiver', (t) => {
  const at = (host: string, port = 7735) => ({ host, port });
  const four = [at('10.0.0.1'), at('10.0.0.2')];
  const six = [at('fd00::1'), at('fd00::2')];
  const chosen = new Set<string>();
  for (let i = 0; i < 200; i++) {
    const group = chooseGroup('auto', four);
    t.match(group?.host, /^239\.(12[89]|1[3-8]\d|19[01])\.\d+\.\d+$/);
    t.equal(group?.port, 7735);
    chosen.add(group?.host ?? '');
    t.match(chooseGroup('auto', six), { host: /^ff15::[0-9a-f]{1,5}:[0-9a-f]{1,5}$/, port: 7735 });
  }
  t.ok(chosen.size > 150, 'a different one each time');
  t.equal(chooseGroup('auto', [at('10.0.0.1')]), undefined, 'one receiver');
  t.equal(chooseGroup('auto', [at('::1', 1), at('::1', 2)]), undefined, 'one on each port');
  t.equal(chooseGroup('auto', [...four, ...six]), undefined, 'mixed address families');
  t.equal(chooseGroup('never', four), undefined);
  const mixed = [at('10.0.0.1', 1), at('10.0.0.2', 2), at('10.0.0.3', 2)];
  t.equal(chooseGroup('auto', mixed)?.port, 2, 'the port that most of them have');
  t.same(chooseGroup('239.1.2.3', four), at('239.1.2.3'));
  t.same(chooseGroup('FF15::1', [at('::1', 9)]), at('FF15::1', 9));
  for (const bad of ['10.0.0.1', '240.0.0.1', '::1', 'always', '', '239.1.2', '239.1.2.300']) {
    t.throws(() => chooseGroup(bad, four), {
      code: 'INVALID_ARGUMENT',
      message: new RegExp(`^--multicast ${bad}: must be auto, never or the address of a group`),
    });
  }
  t.throws(
    () => chooseGroup('ff15::1', four),
    { code: 'INVALID_ARGUMENT' },
    'the other address family',
  );
  t.end();
});

t.test('a random group address of IPv6 is always valid', (t) => {
  const six = [
    { host: 'fd00::1', port: 1 },
    { host: 'fd00::2', port: 1 },
  ];
  // A part of 65,536 would have five digits; this many draws would include it.
  const groups = Array.from({ length: 150_000 }, () => chooseGroup('auto', six)?.host ?? '');
  t.same(
    groups.filter((group) => !isIPv6(group)),
    [],
  );
  t.end();
});

t.test('with a group, all receivers complete, whether multicast reaches them or not', async (t) => {
  const folder = t.testdir();
  const sent = writeRandomFile(folder, 500_000);
  const hosts = await openHosts(t, folder, 3);
  const starts: SendEvent[] = [];
  const result = await sendTo(hosts, [sent], {
    multicast: '239.255.77.35',
    onEvent: (event) => event.type === 'start' && starts.push(event),
  });
  t.match(starts, [{ group: '239.255.77.35' }]);
  t.equal(result.receivers.length, 3);
  t.same(
    result.receivers.map(({ status }) => status),
    ['complete', 'complete', 'complete'],
  );
  const isReached = result.receivers.some(({ usesGroup }) => usesGroup);
  if (!isReached) t.equal(result.groupDatagramsSent, 0, 'nothing is sent to nobody');
  for (const host of hosts) t.ok(isSameContent(sent, host.path('sent')));
});

// --- Failures to start

t.test('a send that cannot start rejects with a code, and sends nothing', async (t) => {
  const folder = t.testdir({ other: { sent: 'x' } });
  const path = writeRandomFile(folder, 5000);
  const host = await openHost(t, folder);
  const server = host.spec();
  const bad = [
    [{ paths: [] }, 'INVALID_ARGUMENT', /^nothing to send: /],
    [{ paths: [''] }, 'INVALID_ARGUMENT', /^a path is empty/],
    [{ receivers: [] }, 'INVALID_ARGUMENT', /^no host: /],
    [
      { receivers: [server, server] },
      'INVALID_ARGUMENT',
      /are the same host and port .*name it once/,
    ],
    [{ mssBytes: 480 }, 'INVALID_ARGUMENT', /MSS 480: must be .* from 481 to/],
    [{ mssBytes: 65_001 }, 'INVALID_ARGUMENT', /MSS 65001: must be/],
    [{ mssBytes: 1.5 }, 'INVALID_ARGUMENT', /1\.5/],
    [{ livenessTimeoutMs: 0 }, 'INVALID_ARGUMENT', /^liveness timeout of 0 s: /],
    [{ multicast: '1.2.3.4' }, 'INVALID_ARGUMENT', /1\.2\.3\.4: must be auto, never/],
    [{ inputName: 'a/b', paths: ['-'] }, 'INVALID_ARGUMENT', /^a\/b: /],
    [{ paths: [join(folder, 'missing')] }, 'SOURCE_UNREADABLE', /missing: does not exist/],
    [{ paths: [path, path] }, 'INVALID_ARGUMENT', /two entries named sent/],
    [
      { paths: [path, join(folder, 'other', 'sent')] },
      'INVALID_ARGUMENT',
      /two entries named sent/,
    ],
    [{ receivers: [{ host: 'nowhere.invalid', port: 1 }] }, 'UNKNOWN_HOST', /nowhere\.invalid/],
    [
      { trustReceiver: undefined as never },
      'INVALID_ARGUMENT',
      /^trustReceiver: this option is req/,
    ],
    [
      { paths: 7 as never },
      'INVALID_ARGUMENT',
      /^paths: must be a path or a list of paths, not 7$/,
    ],
  ] as const;
  const good = { paths: [path], receivers: [server], trustReceiver: () => true };
  for (const [options, code, message] of bad) {
    await t.rejects(send({ ...good, ...options }), { code, message }, String(message));
  }
  t.same(host.events, []);
  t.same(namesIn(host), []);
});

t.test('a receive that cannot start rejects with a code, and keeps no port', async (t) => {
  const folder = t.testdir({ file: 'x', 'with file': { '.p2mp-part': 'x' } });
  const host = await openHost(t, folder);
  const { port } = host.spec();
  const good = {
    dir: join(folder, 'fresh'),
    port: 0,
    bind: ['127.0.0.1'],
    keyPair: await generateKeyPair(),
    trustSender: () => true,
  };
  const bad = [
    [{ dir: join(folder, 'file') }, 'TARGET_UNWRITABLE', /file: is not a folder/],
    [{ port }, 'PORT_UNAVAILABLE', /the port is in use/],
    [{ bind: ['nowhere'] }, 'PORT_UNAVAILABLE', /not an IP address/],
    [{ classic: { path: folder } }, 'TARGET_UNWRITABLE', /folder/],
  ] as const;
  for (const [options, code, message] of bad) {
    await t.rejects(receive({ ...good, ...options }), { code, message }, String(message));
  }
  // The port is bound by then and must be released.
  await host.receiving.close('');
  const dir = join(folder, 'with file');
  await t.rejects(receive({ ...good, port, dir }), { code: 'TARGET_UNWRITABLE' });
  const again = await SessionHost.open(t, join(folder, 'again'), { port });
  t.equal(again.spec().port, port);
});

t.test('a dry run reports what would be sent, and sends nothing', async (t) => {
  const folder = t.testdir({ sent: { a: 'xx', b: { c: 'y' } } });
  const host = await openHost(t, folder);
  const plan = await planSend({
    paths: [join(folder, 'sent')],
    receivers: [host.spec('one'), { ...host.spec('two'), host: '127.0.0.2' }],
  });
  t.match(plan, {
    entryNames: ['sent', 'sent/a', 'sent/b', 'sent/b/c'],
    contentSizeBytes: 3,
    skipped: [],
    receivers: [{ name: 'one', address: host.spec() }, { name: 'two' }],
    group: /^239\./,
  });
  t.same(host.events, []);
});

for (const rateBytesPerSec of [0, -1]) {
  t.test(`a rate of ${rateBytesPerSec} is refused`, async (t) => {
    const folder = t.testdir();
    const host = await openHost(t, folder);
    const options = { rateBytesPerSec, livenessTimeoutMs: 500 };
    await t.rejects(sendTo([host], [writeRandomFile(folder, 5000)], options), {
      code: 'INVALID_ARGUMENT',
    });
  });
}

for (const port of [0, -1, 65_536, 1.5]) {
  t.test(`a receiver at port ${port} is refused`, async (t) => {
    const folder = t.testdir();
    const paths = [writeRandomFile(folder, 5000)];
    const receivers = [{ host: '127.0.0.1', port }];
    const options = { paths, receivers, trustReceiver: () => true, livenessTimeoutMs: 500 };
    await t.rejects(send(options), { code: 'INVALID_ARGUMENT', message: new RegExp(`${port}`) });
  });
}

t.test('a group of the other IP version is refused', async (t) => {
  const folder = t.testdir();
  const host = await openHost(t, folder);
  const sent = writeRandomFile(folder, 5000);
  const options = { multicast: 'ff15::1', livenessTimeoutMs: 500 };
  await t.rejects(sendTo([host], [sent], options), { code: 'INVALID_ARGUMENT' });
});

// --- Stops from within events

for (const [when, abortSoon] of Object.entries(moments)) {
  t.test(`a receiver that is aborted ${when} notifies its sender`, async (t) => {
    const folder = t.testdir();
    const sent = writeRandomFile(folder, 500_000);
    const abort = new AbortController();
    const host = await openHost(t, folder, {
      signal: abort.signal,
      onEvent: ({ type }) => type === 'offer' && abortSoon(abort),
    });
    const result = await sendTo([host], [sent], { rateBytesPerSec: 100_000 });
    t.match(result.receivers, [{ status: 'failed', reason: 'the receiver was stopped' }]);
    t.match(host.ended, [{ status: 'failed', reason: 'the receiver was stopped' }]);
    await host.receiving.closed;
  });
}

t.test('a drain from within the event of a session that its sender ended', async (t) => {
  const folder = t.testdir();
  const sent = writeRandomFile(folder, 300_000);
  const abort = new AbortController();
  let drained: Promise<boolean> | undefined;
  const host: SessionHost = await openHost(t, folder, {
    onEvent: ({ type }) => {
      if (type === 'offer') abort.abort();
      if (type === 'end') drained = host.receiving.drain();
    },
  });
  await t.rejects(sendTo([host], [sent], { rateBytesPerSec: 1000, signal: abort.signal }));
  await host.ends(1);
  await drained;
  await host.receiving.closed;
  t.match(host.ended, [{ status: 'failed', reason: 'the sender was interrupted' }]);
});

t.test('a close ends a drain that is still waiting', async (t) => {
  const folder = t.testdir();
  const sent = writeRandomFile(folder, 300_000);
  const host = await openHost(t, folder);
  const sending = sendTo([host], [sent], { rateBytesPerSec: 1000 });
  await host.offers(1);
  const drained = host.receiving.drain();
  await host.receiving.close('at once');
  t.match((await sending).receivers, [{ status: 'failed', reason: 'at once' }]);
  await drained;
  t.pass('drained');
});

t.test('a rate that is not a number is refused', async (t) => {
  const folder = t.testdir();
  const host = await openHost(t, folder);
  const options = { rateBytesPerSec: Number.NaN, livenessTimeoutMs: 500 };
  await t.rejects(sendTo([host], [writeRandomFile(folder, 5000)], options), {
    code: 'INVALID_ARGUMENT',
  });
});

t.test('a fractional segment size is refused', async (t) => {
  const folder = t.testdir();
  const host = await openHost(t, folder);
  await t.rejects(sendTo([host], [writeRandomFile(folder, 5000)], { mssBytes: 1400.5 }), {
    code: 'INVALID_ARGUMENT',
    message: /1400\.5/,
  });
});
