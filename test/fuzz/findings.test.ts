/** Regression tests for findings of the fuzzer, or of the work on its invariants. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { datagramsOf } from '../../src/base/machine.js';
import { readJournal } from '../../src/node/disk/parts/part-journal.js';
import { createManifest, encodeManifest } from '../../src/object/manifest.js';
import { BlockSeal } from '../../src/security/block-seal.js';
import { cookieSizeBytes, handshakePrologue } from '../../src/security/handshake.js';
import { SecureChannel } from '../../src/security/secure-channel.js';
import { SessionReceiver } from '../../src/session/receiver.js';
import { SessionSender } from '../../src/session/sender.js';
import { createSimulatedCrypto } from '../../src/simulator/session-crypto.js';
import { FeedbackScheduler } from '../../src/transfer/feedback-scheduler.js';
import type { ChannelPacket } from '../../src/wire/header.js';
import {
  dataFlag,
  decodeSession,
  encodeChannelPacket,
  sessionHeaderSizeBytes,
  writeBlockHeader,
} from '../../src/wire/header.js';
import { decodeMessage, encodeMessage } from '../../src/wire/messages.js';
import { keySizeBytes } from '../../src/wire/sizes.js';
import { Caller } from '../support/caller.js';

const address = { host: '192.0.2.1', port: 7735 };
const fromHex = (hex: string) => Uint8Array.from(Buffer.from(hex.replaceAll(' ', ''), 'hex'));
const zeros = (count: number) => '00'.repeat(count);

function createReceiver(): SessionReceiver {
  return new SessionReceiver({
    crypto: createSimulatedCrypto('findings', 'receiver'),
    name: 'receiver',
    platform: 'posix',
    refuseSender: () => undefined,
    blockSizeBytes: 1000,
    bufferBytes: 10_000,
  });
}

const groupKey = new Uint8Array(32).fill(1);

/** One file of zeros in blocks of 1,000 bytes, of which the receiver holds nothing. */
function offerFile(caller: Caller, machine: SessionReceiver, sizeBytes: number): void {
  const file = { kind: 'file', name: 'file', mode: 0o644, modifiedMs: 0, sizeBytes } as const;
  const manifest = encodeManifest(createManifest([file]));
  caller.sendMessage({
    kind: 'offer',
    session: caller.session,
    label: 'object',
    mssBytes: 1016,
    manifestSizeBytes: manifest.length,
    contentSizeBytes: sizeBytes,
    manifestDigest: caller.crypto.hash(manifest),
    manifest,
    groupKey,
    reportIntervalMs: 1,
    existing: 'update',
    deletion: 'none',
    listedAtMs: 0,
  });
  machine.find(caller.session)?.prepared(0, [], []);
}

/** The first blocks of the content, after that of the manifest. */
function sendBlocks(caller: Caller, count: number): void {
  const { session } = caller;
  const seal = new BlockSeal(caller.crypto, groupKey);
  for (let block = 1; block <= count; block++) {
    const sealed = seal.seal(block, 1, new Uint8Array(1000));
    const bytes = new Uint8Array(sessionHeaderSizeBytes + sealed.length);
    const fields = { session, generation: 1, block, segment: 0, flags: 1, burst: 0 };
    writeBlockHeader(bytes, 0, false, fields);
    bytes.set(sealed, sessionHeaderSizeBytes);
    caller.deliver(bytes);
  }
}

t.test('an offer of an empty manifest that contains one is refused', (t) => {
  const caller = new Caller(createReceiver(), 1);
  // Session, label, MSS, sizes, digest, a manifest of one byte, group key, no group, its port, interval, update, no deletion, time, no root, not relayed.
  const offer = `00 00000001 00 0040 00 00 ${zeros(32)} 01 00 ${zeros(32)} 00 0000 00 00 00 ${zeros(8)} 00 00`;
  t.same(caller.sendMessage(fromHex(offer)), [
    { kind: 'refuse', reason: 'the offered sizes are invalid', isTemporary: false },
  ]);
  t.end();
});

t.test('a report of a gap without segments does not affect the sender', (t) => {
  const crypto = createSimulatedCrypto('findings', 'sender');
  const entries = Array.from({ length: 100 }, (_, i) => ({
    kind: 'folder' as const,
    name: `folder ${i}`,
    mode: 0o755,
    modifiedMs: 0,
  }));
  const sender = new SessionSender({
    crypto,
    receivers: [{ name: 'r', address }],
    label: 'object',
    manifest: encodeManifest(createManifest(entries)),
    contentSizeBytes: 0,
    mssBytes: 64,
    blockSizeBytes: 48,
  });
  const { blockCount } = sender.geometry;
  const sent = () => {
    const datagrams: Uint8Array[] = [];
    for (let next = sender.pollTransmit(0); next !== undefined; next = sender.pollTransmit(0)) {
      datagrams.push(...datagramsOf(next));
    }
    return datagrams;
  };
  const own = createSimulatedCrypto('findings', 'r');
  const handshake = own.startHandshake('responder', handshakePrologue(sender.session, 0));
  const answer = (kind: 'cookie' | 'reply', to: ChannelPacket, body: Uint8Array) =>
    sender.handleDatagram(0, address, encodeChannelPacket(kind, to.session, 0, to.counter, body));
  const next = () => decodeSession(sent()[0] as Uint8Array) as ChannelPacket;
  answer('cookie', next(), new Uint8Array(32));
  const open = next();
  t.ok(handshake.read(open.body.subarray(cookieSizeBytes, cookieSizeBytes + keySizeBytes)));
  answer('reply', open, handshake.write());
  sender.trust(0, 0);
  t.ok(handshake.read(next().body));
  const keys = handshake.keys as NonNullable<typeof handshake.keys>;
  const channel = new SecureChannel(own, sender.session, 0, keys);
  const sendMessage = (message: Uint8Array) =>
    sender.handleDatagram(0, address, channel.seal(message));
  sendMessage(encodeMessage({ kind: 'accept', name: 'r' }));
  sent();
  const count = blockCount.toString(16).padStart(2, '0');
  t.ok(blockCount < 128);
  // Receiving, no flags, no bursts; held, window 16, counts; blocks from 0 on, of the first a mask of none.
  const nothingMissing = fromHex(
    `03 01 00 0000 0000 00 00 10 00 00 00 00 00 ${count} 00 01 ${zeros(8)}`,
  );
  // With the first, content is opened, and what is over is cleared away; with the second it stays.
  sendMessage(nothingMissing);
  sendMessage(nothingMissing);
  t.same(sent(), [], 'nothing is missing');
  const all = (2 * blockCount).toString(16);
  const listed =
    2 * blockCount < 128
      ? all.padStart(2, '0')
      : `${(((2 * blockCount) & 127) | 128).toString(16)}01`;
  sendMessage(fromHex(`03 01 00 0000 0000 00 00 10 00 00 00 00 00 ${count} 00 ${listed}`));
  t.ok(sent().length > 0, 'a missing block is sent');
  t.end();
});

t.test(
  'reading a journal stops at entries with fractional bytes, whatever their checksum',
  async (t) => {
    const path = join(t.testdir(), 'journal');
    const header = `70326d70207061727420310a ${'ab'.repeat(32)} 40f86a0000000000 `;
    const key = { partId: 'ab'.repeat(32), contentSizeBytes: 100_000 };
    // Held from 0 to 100; held from 0.5 to 100,000.
    const records =
      '00000001 0000000000000000 4059000000000000 @1 00000001 3fe0000000000000 40f86a0000000000 @2';
    const { crc32 } = await import('node:zlib');
    const hex = (value: number) => value.toString(16).padStart(8, '0');
    const headCrc = crc32(fromHex(header));
    const head = fromHex(header + hex(headCrc));
    const [first = '', second = ''] = records.split('@1').map((part) => part.replace('@2', ''));
    const seed = crc32(head);
    const bytes = [first, second].map((part) => fromHex(part + hex(crc32(fromHex(part), seed))));
    writeFileSync(path, Buffer.concat([head, ...bytes]));
    t.same([...((await readJournal(path, key))?.held.ranges() ?? [])], [{ start: 0, end: 100 }]);
  },
);

t.test('forged bursts do not pile up while a reordered one is awaited', (t) => {
  const scheduler = new FeedbackScheduler(0, 1, 0);
  scheduler.handleBlock(1, 0, dataFlag.endOfBurst);
  // After this late burst, the scheduler waits for other reordered ones.
  scheduler.handleTaken(401, 0);
  for (let burst = 1; burst <= 20_000; burst++)
    scheduler.handleBlock(401, burst, dataFlag.endOfBurst);
  t.ok(scheduler.isCovered(10_000), 'old bursts are covered');
  t.notOk(scheduler.isCovered(19_000), 'recent bursts are awaited');
  t.end();
});

t.test('a late reply to a digest request does not revive a session', (t) => {
  const machine = createReceiver();
  const caller = new Caller(machine, 7);
  offerFile(caller, machine, 1000);
  sendBlocks(caller, 1);
  machine.handleWritten(0, 7, 1000);
  const [asked] = caller.sendMessage({ kind: 'root', digest: new Uint8Array(32) });
  t.match(asked, { kind: 'nodes-request', height: 0, firstNode: 0, count: 1 });
  machine.find(7)?.fail(0, 'the disk is full');
  caller.sendMessage({
    kind: 'nodes',
    tree: 'receiver',
    height: 0,
    firstNode: 0,
    digests: new Uint8Array(32),
  });
  t.equal(machine.find(7)?.isSettled, true);
  for (let atMs = machine.pollTimeout(); atMs !== undefined; atMs = machine.pollTimeout()) {
    machine.handleTimeout(atMs);
  }
  t.ok(machine.isIdle, 'the session sends its outcome and is removed');
  t.equal(machine.find(7), undefined);
  t.end();
});

t.test('finished sessions do not pile up if their senders never acknowledge', (t) => {
  const machine = createReceiver();
  for (let session = 1; session <= 2000; session++) {
    const atMs = session * 100;
    // Only handshakes expire: sessions keep what their senders have not acknowledged.
    machine['handshakes'].handleTimeout(atMs);
    const caller = new Caller(machine, session, atMs);
    caller.sendMessage({ kind: 'root', digest: new Uint8Array(32) });
    machine.find(session)?.refuse(0, 'no room');
  }
  let count = 0;
  for (let session = 1; session <= 2000; session++) if (machine.find(session)) count++;
  t.equal(count, 2 * 256, 'twice the limit of running sessions');
  t.equal(machine.activeCount, 0);
  t.end();
});

t.test(
  'data written for an earlier session with the same number does not extend the buffer',
  (t) => {
    const machine = createReceiver();
    const first = new Caller(machine, 7);
    offerFile(first, machine, 4000);
    sendBlocks(first, 3);
    const writtenBytes = machine.bufferedBytes;
    t.ok(writtenBytes >= 2000, 'the disk has written some of it');
    first.sendMessage({ kind: 'bye', reason: '', isFinal: false });
    const second = new Caller(machine, 7, 100);
    offerFile(second, machine, 4000);
    machine.handleWritten(0, 7, writtenBytes);
    const poll = {
      kind: 'poll',
      burst: undefined,
      hasTags: false,
      leavesGroup: false,
      reportGapMs: 0,
    } as const;
    const [answer] = second.sendMessage(poll);
    t.equal(answer?.kind === 'report' && answer.report.windowBlocks, 10, 'exactly up to the limit');
    t.end();
  },
);

t.test('withdrawn entries whose numbers exceed what can be counted are no message', (t) => {
  const most = Number.MAX_SAFE_INTEGER;
  for (const [first, count, isGood] of [
    [most - 1, 1, true],
    [most, 1, false],
    [1, most, false],
  ] as const) {
    const message = { kind: 'withdrawn', runs: [{ first, count, reason: 'removed' }] } as const;
    const decoded = decodeMessage(encodeMessage(message));
    t.same(decoded, isGood ? message : undefined, `${count} from ${first} on`);
  }
  t.end();
});
