/** Whether multicast reaches a receiver, as its reports show. */
import t from 'tap';
import { GroupReach } from '../../src/path/group-reach.js';
import type { Report } from '../../src/wire/report.js';

function reportOf(segmentsReceived: number): Report {
  return {
    state: 'receiving',
    path: 0,
    cumulativeBurst: undefined,
    largestBurst: undefined,
    ackDelayMs: 0,
    stampMs: 0,
    isMulticastReachable: true,
    wantsTags: false,
    windowBlocks: 1,
    shareBytesPerSec: undefined,
    segmentsReceived,
    segmentsLost: 0,
    missingBytes: 1,
    receivedBytes: 0,
    firstBlock: 0,
    describedBlocks: 0,
    gaps: [],
  };
}

/** Time between reports. */
const stepMs = 200;

t.test('multicast that brings nothing is given up until the receiver restarts', (t) => {
  const reach = new GroupReach();
  let [nowMs, overByGroup] = [0, 0];
  const report = (received: number) => {
    nowMs += stepMs;
    overByGroup += 100;
    const traffic = { byGroup: overByGroup, overByGroup, byUnicast: 0, isHeard: false };
    reach.takeReport(nowMs, reportOf(received), true, traffic);
    return reach.isReachable;
  };
  t.ok(report(50));
  t.same([50, 50, 50, 50, 150].map(report), [true, true, true, false, false]);
  reach.restart();
  t.same([0, 0, 0, 0, 0].map(report), [true, true, true, true, false], 'the count restarts');
  reach.restart();
  t.same([0, 0, 100, 100, 100].map(report), [true, true, true, true, true], 'data resets it');
  t.end();
});

t.test('multicast is given up when nothing arrives any more after a burst to the group', (t) => {
  const reach = new GroupReach();
  let [nowMs, byGroup] = [0, 0];
  const report = () => {
    nowMs += stepMs;
    byGroup += 100;
    // The last burst that arrived was sent to the group, and no later one is known to be over.
    reach.takeReport(nowMs, reportOf(50), true, {
      byGroup,
      overByGroup: 100,
      byUnicast: 0,
      isHeard: true,
    });
    return reach.isReachable;
  };
  t.same(Array.from({ length: 5 }, report), [true, true, true, true, false]);
  t.end();
});

t.test('datagrams to the group that wait behind unicast ones are not missed', (t) => {
  const reach = new GroupReach();
  let [nowMs, byGroup, byUnicast] = [0, 100, 0];
  const report = () => {
    nowMs += stepMs;
    byGroup += 100;
    byUnicast += 10;
    reach.takeReport(nowMs, reportOf(byUnicast + 50), true, {
      ...{ byGroup, overByGroup: 100, byUnicast, isHeard: false },
    });
    return reach.isReachable;
  };
  t.same(Array.from({ length: 8 }, report), Array(8).fill(true));
  t.end();
});

t.test('multicast is not given up because a full queue drops everything for a moment', (t) => {
  const reach = new GroupReach();
  let [nowMs, byGroup] = [0, 0];
  const report = (received: number) => {
    nowMs += 10;
    byGroup += 100;
    reach.takeReport(nowMs, reportOf(received), true, {
      ...{ byGroup, overByGroup: byGroup, byUnicast: 0, isHeard: false },
    });
    return reach.isReachable;
  };
  t.same([50, ...Array(20).fill(50), 60].map(report), Array(22).fill(true));
  t.end();
});
