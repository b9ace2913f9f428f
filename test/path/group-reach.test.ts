/** Whether multicast reaches a receiver, as its reports show. */
import t from 'tap';
import { GroupReach } from '../../src/path/group-reach.js';
import type { Report } from '../../src/wire/report.js';

function reportOf(segmentsReceived: number): Report {
  return {
    state: 'receiving',
    cumulativeBurst: undefined,
    largestBurst: undefined,
    ackDelayMs: 0,
    stampMs: 0,
    isMulticastReachable: true,
    wantsTags: false,
    windowBlocks: 1,
    segmentsReceived,
    segmentsLost: 0,
    missingBytes: 1,
    receivedBytes: 0,
    firstBlock: 0,
    describedBlocks: 0,
    gaps: [],
  };
}

t.test('multicast that brings nothing is given up until the receiver restarts', (t) => {
  const reach = new GroupReach();
  let overByGroup = 0;
  const report = (received: number) => {
    overByGroup += 100;
    const traffic = { overByGroup, byUnicast: 0, isHeard: false };
    reach.takeReport(reportOf(received), true, traffic);
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
