/** `sendFile` and `FileReceiver` over loopback, as a library uses them. */
import { createHash } from 'node:crypto';
import { appendFileSync, existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { type FileSenderEvent, type SendFileResult, sendFile } from '../../../src/index.js';
import { hasIPv6, isSameContent, openSilentPort, writeRandomFile } from '../../support/loopback.js';
import { Receiving } from '../../support/receiving.js';

function sha256(path: string): string {
  return createHash('sha256').update(readFileSync(path)).digest('hex');
}

for (const host of ['127.0.0.1', '::1']) {
  const skip = host === '::1' && !hasIPv6 ? 'this host has no IPv6' : false;
  t.test(`a file arrives unchanged at ${host}`, { skip }, async (t) => {
    const folder = t.testdir();
    const [sent, copy] = [writeRandomFile(folder, 123_456), join(folder, 'copy')];
    const receiving = await Receiving.open(t, copy, { bind: [host] });
    const result = await sendFile({ servers: [receiving.server()], path: sent, mssBytes: 1000 });
    t.match(result, { sizeBytes: 123_456, segmentCount: 124, sha256: sha256(sent) });
    t.match(result.receivers, [
      { receiver: host, status: 'complete', isConfirmed: true, ackedBytes: 123_456 },
    ]);
    t.equal(result.error, undefined);
    const [received] = await receiving.results(1);
    t.match(received, {
      status: 'complete',
      isCertain: true,
      end: 'end-marker',
      sizeBytes: 123_456,
    });
    t.equal(received?.sha256, sha256(sent), 'both sides report the same digest');
    t.ok(isSameContent(sent, copy));
  });
}

t.test('many receivers get the same file, over IPv4 and IPv6, with any window', async (t) => {
  for (const windowBlocks of [1, 2, 32]) {
    const folder = t.testdir();
    const sent = writeRandomFile(folder, 300_001);
    const copies = ['a', 'b', 'c', 'd', 'e'].map((name) => join(folder, name));
    const receivings = await Promise.all(
      copies.map((copy, i) =>
        Receiving.open(t, copy, { bind: [hasIPv6 && i % 2 === 1 ? '::1' : '127.0.0.1'] }),
      ),
    );
    const servers = receivings.map((receiving, i) => receiving.server(`server ${i}`));
    const result = await sendFile({ servers, path: sent, mssBytes: 1400, windowBlocks });
    t.same(
      result.receivers.map(({ receiver, status }) => `${receiver} ${status}`),
      copies.map((_, i) => `server ${i} complete`),
      `window ${windowBlocks}`,
    );
    for (const copy of copies) t.ok(isSameContent(sent, copy));
  }
});

t.test('events of a sender begin with start and end with done', async (t) => {
  const folder = t.testdir();
  const sent = writeRandomFile(folder, 5000);
  // The first arrival is lost, which causes a timeout.
  let arrivals = 0;
  const receiving = await Receiving.open(t, join(folder, 'copy'), { loss: () => arrivals++ === 0 });
  const events: FileSenderEvent[] = [];
  const result = await sendFile({
    servers: [receiving.server('only one')],
    path: sent,
    mssBytes: 500,
    onEvent: (event) => events.push(event),
  });
  t.equal(events[0]?.type, 'start');
  t.match(events[1], { type: 'timeout', sequence: 0, round: 1, pendingCount: 1 });
  const outcomes = events.filter(({ type }) => type === 'receiver');
  t.match(outcomes, [{ outcome: { receiver: 'only one', status: 'complete' } }]);
  t.match(events.at(-1), { type: 'end', result: { sizeBytes: 5000 } });
  t.ok(result.timeouts >= 1);
  t.match(receiving.events.slice(0, 2), [{ type: 'loss', sequence: 0 }, { type: 'open' }]);
});

const stopped = new Error('stopped by the test');

const ways = {
  'at any time': (abort: AbortController) => setImmediate(() => abort.abort(stopped)),
  'during an event': (abort: AbortController) => abort.abort(stopped),
};

for (const [when, abortSoon] of Object.entries(ways)) {
  t.test(
    `an abort ${when} ends the transfer at all receivers, and no part file remains`,
    async (t) => {
      const folder = t.testdir({ copies: {} });
      const sent = writeRandomFile(folder, 5000);
      const receiving = await Receiving.open(t, join(folder, 'copies', 'copy'));
      const silent = { host: '127.0.0.1', port: await openSilentPort(t), name: 'silent' };
      const abort = new AbortController();
      const results: SendFileResult[] = [];
      const sending = sendFile({
        servers: [receiving.server('answering'), silent],
        path: sent,
        mssBytes: 500,
        signal: abort.signal,
        onEvent: (event) => {
          if (event.type === 'timeout') abortSoon(abort);
          if (event.type === 'end') results.push(event.result);
        },
      });
      await t.rejects(sending, stopped);
      const receivers = [
        { receiver: 'answering', status: 'aborted', reason: 'interrupted' },
        { receiver: 'silent', status: 'aborted' },
      ];
      t.match(results, [{ receivers }], 'the last event has the outcomes');
      t.notOk('error' in (results[0] as SendFileResult));
      t.match(await receiving.results(1), [
        { status: 'aborted', reason: 'the sender stopped before the end' },
      ]);
      await receiving.receiver.close();
      t.same(readdirSync(join(folder, 'copies')), []);
    },
  );
}

t.test('a signal that is already aborted sends nothing', async (t) => {
  const folder = t.testdir();
  const receiving = await Receiving.open(t, join(folder, 'copy'));
  const sending = sendFile({
    servers: [receiving.server()],
    path: writeRandomFile(folder, 5000),
    mssBytes: 500,
    signal: AbortSignal.abort(stopped),
  });
  await t.rejects(sending, stopped);
  t.same(receiving.events, []);
});

t.test('a receiver that closes midway fails by name; the others complete', async (t) => {
  const folder = t.testdir({ closed: {}, open: {} });
  const sent = writeRandomFile(folder, 20_000);
  const open = await Receiving.open(t, join(folder, 'open', 'copy'));
  let arrivals = 0;
  const closed: Receiving = await Receiving.open(t, join(folder, 'closed', 'copy'), {
    loss: () => ++arrivals === 10,
    onEvent: ({ type }) => type === 'loss' && closed.receiver.close(),
  });
  const result = await sendFile({
    servers: [closed.server('closed'), open.server('open')],
    path: sent,
    mssBytes: 500,
    livenessTimeoutMs: 1000,
  });
  t.match(result.receivers, [
    { receiver: 'closed', status: 'failed', reason: /the receiver stopped/ },
    { receiver: 'open', status: 'complete' },
  ]);
  t.ok(isSameContent(sent, join(folder, 'open', 'copy')));
  t.match(await closed.results(1), [{ status: 'aborted', reason: 'stopped' }]);
  await closed.receiver.close();
  t.same(readdirSync(join(folder, 'closed')), []);
});

t.test('senders in sequence: each file replaces the previous one', async (t) => {
  const folder = t.testdir();
  const copy = join(folder, 'copy');
  const receiving = await Receiving.open(t, copy);
  for (const size of [5000, 1234, 0, 70_000]) {
    const sent = writeRandomFile(folder, size);
    const servers = [receiving.server()];
    const result = await sendFile({ servers, path: sent, mssBytes: 500 });
    t.match(result.receivers, [{ status: 'complete', isConfirmed: true }]);
    t.ok(isSameContent(sent, copy), `${size} bytes`);
  }
  t.equal((await receiving.results(4)).length, 4);
});

t.test('two concurrent senders take turns, and their files are not mixed', async (t) => {
  const folder = t.testdir();
  const copy = join(folder, 'copy');
  const receiving = await Receiving.open(t, copy);
  const files = ['one', 'two'].map((name) => writeRandomFile(folder, 50_000, name));
  const servers = [receiving.server()];
  const results = await Promise.all(
    files.map((path) => sendFile({ servers, path, mssBytes: 500 })),
  );
  for (const { receivers } of results) t.match(receivers, [{ status: 'complete' }]);
  const received = (await receiving.results(2)).map((result) => result.sha256);
  t.same(new Set(received), new Set(files.map(sha256)));
  t.equal(sha256(copy), received[1], 'the file is the last one sent');
});

t.test('a file that grows during the transfer is delivered to no receiver', async (t) => {
  const folder = t.testdir({ copies: {} });
  const sent = writeRandomFile(folder, 5000);
  const receiving = await Receiving.open(t, join(folder, 'copies', 'copy'), {
    onEvent: ({ type }) => type === 'open' && appendFileSync(sent, 'more'),
  });
  const result = await sendFile({ servers: [receiving.server()], path: sent, mssBytes: 500 });
  t.match(result.error, { code: 'SOURCE_CHANGED', message: /went from 5000 to 5004 bytes/ });
  t.match(result.receivers, [{ status: 'aborted', reason: /went from 5000 to 5004 bytes/ }]);
  t.match(await receiving.results(1), [{ status: 'aborted' }]);
  await receiving.receiver.close();
  t.same(readdirSync(join(folder, 'copies')), []);
});

t.test('invalid options reject with a code, and nothing is sent', async (t) => {
  const folder = t.testdir();
  const path = writeRandomFile(folder, 5000);
  const receiving = await Receiving.open(t, join(folder, 'copy'));
  const server = receiving.server();
  const good = { servers: [server], path, mssBytes: 500 };
  const nowhere = (label: string) => ({ host: `${label}.nowhere.invalid`, port: 1 });
  const bad = [
    [{ servers: [] }, 'INVALID_ARGUMENT', /^no host: /],
    [
      { servers: [server, server] },
      'INVALID_ARGUMENT',
      /are the same host and port .*name it once/,
    ],
    [{ mssBytes: 0 }, 'INVALID_ARGUMENT', /^MSS 0: /],
    [{ mssBytes: 65_500 }, 'INVALID_ARGUMENT', /^MSS 65500: /],
    [{ windowBlocks: 0 }, 'INVALID_ARGUMENT', /^window 0: /],
    [{ livenessTimeoutMs: 0 }, 'INVALID_ARGUMENT', /^liveness timeout of 0 s: /],
    [{ timeout: { mode: 'fixed', timeoutMs: -1 } }, 'INVALID_ARGUMENT', /^timeout -1: /],
    [{ path: join(folder, 'missing') }, 'SOURCE_UNREADABLE', /missing: does not exist/],
    [{ servers: [server, nowhere('a'), nowhere('b')] }, 'UNKNOWN_HOST', /^a\.nowhere\.invalid: /],
    [{ servers: [{ ...server, port: 0 }] }, 'INVALID_ARGUMENT', /^port 0 of /],
  ] as const;
  for (const [options, code, message] of bad) {
    await t.rejects(sendFile({ ...good, ...options }), { code, message });
  }
  t.same(receiving.events, []);
  t.notOk(existsSync(join(folder, 'copy')));
});

t.test('closing a receiver releases its port', async (t) => {
  const path = join(t.testdir(), 'copy');
  const { receiver } = await Receiving.open(t, path);
  const [address] = receiver.addresses;
  await t.rejects(Receiving.open(t, path, { port: address?.port ?? 0 }), {
    code: 'PORT_UNAVAILABLE',
  });
  await receiver.close();
  await receiver.close();
  const again = await Receiving.open(t, path, { port: address?.port ?? 0 });
  t.same(again.receiver.addresses, [address]);
});
