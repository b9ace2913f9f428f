/** What a rate group sends at once, and which blocks it sends to which receiver. */
import t from 'tap';
import type { Address } from '../../src/base/address.js';
import { assert } from '../../src/base/assert.js';
import type { SegmentSet } from '../../src/base/segment-set.js';
import type { SessionGeometry } from '../../src/object/geometry.js';
import { createSessionGeometry } from '../../src/object/geometry.js';
import { createCongestionController } from '../../src/path/congestion/create-controller.js';
import { SessionPeer } from '../../src/transfer/peer.js';
import type { RateGroupOwner } from '../../src/transfer/rate-group.js';
import { RateGroup } from '../../src/transfer/rate-group.js';
import type { SessionBlock } from '../../src/transfer/sealed-block.js';

const mssBytes = 1400;
const segmentsPerBlock = 45;
const blocks = 10;
const geometry = createSessionGeometry(
  0,
  blocks * (mssBytes * segmentsPerBlock - 16),
  mssBytes,
  mssBytes * segmentsPerBlock - 16,
) as SessionGeometry;
const rttLimits = { initialMs: 100, granularityMs: 1, minMs: 20, maxMs: 1000, maxBackoffMs: 1000 };

interface Sent {
  readonly atMs: number;
  readonly block: number;
  readonly receiver: number;
  readonly count: number;
}

/** A rate group whose source provides blocks as soon as they are requested. */
class DrivenRateGroup implements RateGroupOwner {
  isContentOpen = true;
  readonly isRead = false;
  readonly sent: Sent[] = [];
  readonly opened: number[] = [];
  readonly closed: number[] = [];
  readonly peers: SessionPeer[];
  readonly rateGroup: RateGroup;

  constructor(
    receiverCount: number,
    options: { readonly isMain?: boolean; readonly rateBytesPerSec?: number } = {},
  ) {
    const { isMain = true, rateBytesPerSec } = options;
    const address = { host: '192.0.2.1', port: 1 } as Address;
    this.peers = Array.from(
      { length: receiverCount },
      (_, i) => new SessionPeer(i, `r${i}`, address, rttLimits),
    );
    this.rateGroup = new RateGroup(
      {
        isMain,
        geometry,
        peers: this.peers,
        reportIntervalMs: 2,
        maxBlocks: 100,
        controller: createCongestionController({
          blockDatagrams: segmentsPerBlock,
          datagramSizeBytes: mssBytes + 16,
          reportIntervalMs: 2,
          randomPhase: 0,
          rateBytesPerSec,
        }),
      },
      this,
    );
    for (const peer of this.peers) {
      peer.rateGroup = this.rateGroup;
      peer.status = 'active';
      peer.isResponsive = true;
      peer.needed.add(0, blocks);
    }
    this.rateGroup.measure();
  }

  isHashed(): boolean {
    return false;
  }

  nextWanted(block: number): number {
    return block;
  }

  open(rateGroup: RateGroup, block: SessionBlock): void {
    this.opened.push(block.index);
    block.generation = 1;
    rateGroup.fill(block, () => {
      block.wire = new Uint8Array(1);
    });
  }

  close(block: SessionBlock): void {
    this.closed.push(block.index);
    block.wire = undefined;
  }

  transmit(
    nowMs: number,
    rateGroup: RateGroup,
    block: SessionBlock,
    receiver: number,
    segments: SegmentSet,
  ) {
    const count = segments.size;
    assert(block.wire !== undefined, 'a block is loaded before it is sent');
    const burst = this.sent.length;
    const log = receiver < 0 ? rateGroup.groupBursts : this.peers[receiver]?.unicastBursts;
    log?.add(nowMs, burst, count);
    this.sent.push({ atMs: nowMs, block: block.index, receiver, count });
    const bytes = new Uint8Array(count * (mssBytes + 16));
    return {
      to: { host: '192.0.2.1', port: 1 } as Address,
      bytes,
      datagramSizeBytes: mssBytes + 16,
    };
  }

  /** Sends everything that may leave, over a period. */
  run(fromMs: number, toMs: number): void {
    for (let nowMs = fromMs; nowMs < toMs; nowMs++) {
      this.rateGroup.handleTimeout(nowMs);
      this.rateGroup.advance();
      while (this.rateGroup.pollTransmit(nowMs) !== undefined);
    }
  }

  get sentCount(): number {
    return this.sent.reduce((sum, { count }) => sum + count, 0);
  }
}

t.test('before the first report, four blocks are sent, at the initial rate', (t) => {
  const driven = new DrivenRateGroup(1);
  driven.run(0, 1000);
  t.equal(driven.sentCount, 4 * segmentsPerBlock);
  const lastAtMs = driven.sent.at(-1)?.atMs ?? 0;
  t.ok(lastAtMs >= 20 && lastAtMs <= 30, `over ${lastAtMs} ms`);
  t.ok(
    driven.sent.every(({ count }) => count <= 30),
    'in batches of 5 ms',
  );
  t.end();
});

t.test('a fixed rate makes batches small', (t) => {
  const driven = new DrivenRateGroup(1, { rateBytesPerSec: 1e6 });
  driven.run(0, 10);
  t.ok(driven.sent.length > 0);
  t.ok(
    driven.sent.every(({ count }) => count === 3),
    '5 ms of 1 MB/s',
  );
  t.end();
});

t.test('what several receivers need goes to the group once, and counts once', (t) => {
  const driven = new DrivenRateGroup(3);
  for (const peer of driven.peers) peer.isMulticastReachable = true;
  driven.rateGroup.measure();
  driven.run(0, 1000);
  t.ok(driven.sent.every(({ receiver }) => receiver === -1));
  t.equal(driven.sentCount, 4 * segmentsPerBlock);
  t.end();
});

t.test('by unicast, each receiver gets the full rate', (t) => {
  const driven = new DrivenRateGroup(3);
  driven.run(0, 1000);
  t.equal(driven.sentCount, 3 * 4 * segmentsPerBlock);
  const lastAtMs = driven.sent.at(-1)?.atMs ?? 0;
  t.ok(lastAtMs >= 20 && lastAtMs <= 30, `over ${lastAtMs} ms, as for one`);
  t.end();
});

t.test('the smallest window that a receiver reports limits the data in flight', (t) => {
  const driven = new DrivenRateGroup(2);
  const [, second] = driven.peers;
  if (second !== undefined) second.windowBlocks = 2;
  driven.rateGroup.measure();
  driven.run(0, 1000);
  t.same(driven.opened, [0, 1]);
  t.end();
});

t.test('a receiver that left needs again what was in flight to it', (t) => {
  const driven = new DrivenRateGroup(2);
  driven.run(0, 5);
  const [first, second] = driven.peers as [SessionPeer, SessionPeer];
  t.notOk(second.needed.has(0));
  second.isResponsive = false;
  driven.rateGroup.release(second);
  driven.rateGroup.measure();
  t.ok(second.needed.has(0), 'of the receiver that left');
  t.notOk(first.needed.has(0), 'not of the other');
  const before = driven.sent.length;
  driven.run(5, 500);
  t.ok(
    driven.sent.slice(before).every(({ receiver }) => receiver === 0),
    'nothing is sent to it',
  );
  t.end();
});

t.test('a separate rate group reads only the blocks it needs', (t) => {
  const driven = new DrivenRateGroup(1, { isMain: false });
  const [peer] = driven.peers as [SessionPeer];
  peer.needed.clear();
  peer.needed.add(3, 4);
  peer.needed.add(7, 9);
  driven.rateGroup.wake();
  driven.run(0, 1000);
  t.same(driven.opened, [3, 7, 8]);
  t.end();
});

t.test('a block that all receivers have before its round is sent is done', (t) => {
  const driven = new DrivenRateGroup(2, { rateBytesPerSec: 1e6 });
  for (const peer of driven.peers) peer.isMulticastReachable = true;
  driven.rateGroup.measure();
  driven.rateGroup.advance();
  driven.rateGroup.pollTransmit(0);
  t.equal(driven.sent.at(-1)?.count, 3, 'only part of it has gone to the group');
  const block = driven.rateGroup.rounds.window.find(0);
  for (const { index } of driven.peers) block?.clearMissing(index);
  driven.rateGroup.advance();
  t.same(driven.closed, [0]);
  driven.rateGroup.pollTransmit(100);
  t.equal(driven.sent.at(-1)?.block, 1, 'the next block follows');
  t.end();
});
