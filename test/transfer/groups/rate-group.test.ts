/** What a rate group sends at once, and which blocks it sends to which receiver. */

import { createHash } from 'node:crypto';
import t from 'tap';
import { assert } from '../../../src/base/assert.js';
import { RangeSet } from '../../../src/base/range-set.js';
import { DigestTree } from '../../../src/object/digest-tree.js';
import { DigestViews } from '../../../src/object/digest-view.js';
import type { SessionGeometry } from '../../../src/object/geometry.js';
import { createSessionGeometry } from '../../../src/object/geometry.js';
import type { CongestionController } from '../../../src/path/congestion/congestion-control.js';
import { createCongestionController } from '../../../src/path/congestion/create-controller.js';
import { Path } from '../../../src/path/path.js';
import { SentBursts } from '../../../src/path/sent-bursts.js';
import type { BatchEncoder } from '../../../src/transfer/batch.js';
import { Demand } from '../../../src/transfer/demand.js';
import { RateGroup } from '../../../src/transfer/groups/rate-group.js';
import { ReportInterval } from '../../../src/transfer/report-interval.js';
import type { SessionBlock } from '../../../src/transfer/sealed-block.js';
import type { Gap, Report } from '../../../src/wire/report.js';

const mssBytes = 1400;
const segmentsPerBlock = 45;
const blocks = 10;
const geometry = createSessionGeometry(
  0,
  blocks * (mssBytes * segmentsPerBlock - 16),
  mssBytes,
  mssBytes * segmentsPerBlock - 16,
) as SessionGeometry;

interface Sent {
  readonly atMs: number;
  readonly block: number;
  readonly receiver: number;
  readonly count: number;
}

/** A rate group whose source provides blocks as soon as they are requested. */
class DrivenRateGroup {
  readonly sent: Sent[] = [];
  readonly opened: number[] = [];
  readonly demands: Demand[];
  readonly encoder = new CountingEncoder();
  readonly rateGroup: RateGroup;

  constructor(
    receiverCount: number,
    options: {
      readonly isMain?: boolean;
      readonly rateBytesPerSec?: number;
      readonly controller?: CongestionController;
    } = {},
  ) {
    const { isMain = true, rateBytesPerSec } = options;
    const address = { host: '192.0.2.1', port: 1 };
    this.demands = Array.from(
      { length: receiverCount },
      (_, i) => new Demand(i, new Path({ address }, 1400)),
    );
    const tree = new DigestTree(sha256, blocks);
    const digests = new DigestViews(sha256, tree);
    digests.open(new RangeSet());
    const reportInterval = new ReportInterval(1000 / 1.4);
    this.rateGroup = new RateGroup({
      isMain,
      geometry,
      demands: this.demands,
      digests,
      encoder: this.encoder as unknown as BatchEncoder,
      reportInterval,
      pathTo: ({ path }) => path,
      mayOpen: () => true,
      maxBlocks: 100,
      controller:
        options.controller ??
        createCongestionController({
          blockDatagrams: segmentsPerBlock,
          datagramSizeBytes: mssBytes + 16,
          reportIntervalMs: 2,
          randomPhase: 0,
          rateBytesPerSec,
        }),
    });
    for (const demand of this.demands) {
      demand.resume();
      demand.takeGaps(reportMissing([{ kind: 'whole', firstBlock: 0, blockCount: blocks }]));
    }
    this.measure();
    this.rateGroup.setContentOpen(true);
  }

  measure(): void {
    this.rateGroup.measure(this.demands.filter(({ isServed }) => isServed));
  }

  /** All receivers can be reached by multicast. */
  useGroup(): void {
    for (const { path } of this.demands)
      path.handleGroupReport(0, reachableReport, true, new SentBursts());
    this.measure();
  }

  advance(): void {
    this.rateGroup.advance();
    this.open();
  }

  open(): void {
    for (;;) {
      const block = this.rateGroup.openNext();
      if (block === undefined) break;
      this.opened.push(block.index);
      this.rateGroup.fill(block, new Uint8Array(1));
    }
  }

  /** Sends the next batch. @returns whether there was one */
  send(nowMs: number): boolean {
    const part = this.rateGroup.next(nowMs);
    if (part === undefined) return false;
    const { block, receiver, segments } = part;
    assert(block.wire !== undefined, 'a block is loaded before it is sent');
    const burst = this.sent.length;
    this.rateGroup.handleSent(nowMs, part, burst, 1416 * segments.size);
    this.demands[receiver]?.path.handleSent(nowMs, burst, segments.size);
    this.sent.push({ atMs: nowMs, block: block.index, receiver, count: segments.size });
    return true;
  }

  /** Sends everything that may leave, over a period. */
  run(fromMs: number, toMs: number): void {
    for (let nowMs = fromMs; nowMs < toMs; nowMs++) {
      this.rateGroup.handleTimeout(nowMs);
      this.advance();
      while (this.send(nowMs));
    }
  }

  get sentCount(): number {
    return this.sent.reduce((sum, { count }) => sum + count, 0);
  }
}

/** Notes which blocks it has loaded and unloaded. */
class CountingEncoder {
  readonly unloaded: number[] = [];

  load(block: SessionBlock): void {
    block.wire = new Uint8Array(1);
  }

  unload(block: SessionBlock): void {
    this.unloaded.push(block.index);
    block.wire = undefined;
  }
}

/** Allows everything, as on a short path whose receiver has much room. */
const generous = {
  handleMembers: () => undefined,
  handleSent: () => undefined,
  maySend: () => true,
  sendRate: () => 1,
  findRoom: () => 1e6,
} as unknown as CongestionController;

const sha256 = (bytes: Uint8Array) => new Uint8Array(createHash('sha256').update(bytes).digest());

function reportMissing(gaps: readonly Gap[], windowBlocks = 1000): Report {
  return { firstBlock: 0, describedBlocks: blocks, gaps, windowBlocks } as unknown as Report;
}

const reachableReport = { segmentsReceived: 0, isMulticastReachable: true } as Report;

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
  driven.useGroup();
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
  const [, second] = driven.demands as [Demand, Demand];
  second.takeReport(0, reportMissing([], 2), true);
  driven.measure();
  driven.run(0, 1000);
  t.same(driven.opened, [0, 1]);
  t.end();
});

t.test('a receiver that left needs again what was in flight to it', (t) => {
  const driven = new DrivenRateGroup(2);
  driven.run(0, 5);
  const [first, second] = driven.demands as [Demand, Demand];
  t.notOk(second.needs(0));
  second.suspend();
  driven.rateGroup.release(second);
  driven.measure();
  t.ok(second.needs(0), 'of the receiver that left');
  t.notOk(first.needs(0), 'not of the other');
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
  const [demand] = driven.demands as [Demand];
  demand.takeGaps(
    reportMissing([
      { kind: 'whole', firstBlock: 3, blockCount: 1 },
      { kind: 'whole', firstBlock: 7, blockCount: 2 },
    ]),
  );
  driven.measure();
  driven.run(0, 1000);
  t.same(driven.opened, [3, 7, 8]);
  t.end();
});

t.test('a block that all receivers have before its round is sent is done', (t) => {
  const driven = new DrivenRateGroup(2, { rateBytesPerSec: 1e6 });
  driven.useGroup();
  driven.advance();
  driven.send(0);
  t.equal(driven.sent.at(-1)?.count, 3, 'only part of it has gone to the group');
  const block = driven.rateGroup.rounds.window.find(0);
  for (const { index } of driven.demands) block?.clearMissing(index);
  driven.advance();
  t.same(driven.encoder.unloaded, [0]);
  driven.send(100);
  t.equal(driven.sent.at(-1)?.block, 1, 'the next block follows');
  t.end();
});

t.test('what has left makes room for further blocks, even if no report comes', (t) => {
  const driven = new DrivenRateGroup(1, { controller: generous });
  driven.advance();
  t.ok(driven.opened.length < blocks, 'only some are read ahead');
  while (driven.send(0)) driven.open();
  t.equal(driven.sentCount, blocks * segmentsPerBlock);
  t.end();
});
