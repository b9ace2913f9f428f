/** Which rate group serves which receiver: those that multicast reaches together, and each other one by itself. */
import { createHash } from 'node:crypto';
import t from 'tap';
import { DigestTree } from '../../../src/object/digest-tree.js';
import { DigestViews } from '../../../src/object/digest-view.js';
import { createSessionGeometry, type SessionGeometry } from '../../../src/object/geometry.js';
import { Path } from '../../../src/path/path.js';
import type { BatchEncoder } from '../../../src/transfer/batch.js';
import { Demand } from '../../../src/transfer/demand.js';
import { RateGroups } from '../../../src/transfer/groups/rate-groups.js';
import { ReportInterval } from '../../../src/transfer/report-interval.js';
import type { Report } from '../../../src/wire/report.js';

const blocks = 10;
const geometry = createSessionGeometry(0, blocks * 4000, 500, 4000) as SessionGeometry;
const sha256 = (bytes: Uint8Array) => new Uint8Array(createHash('sha256').update(bytes).digest());
const reachableReport = { segmentsReceived: 0, isMulticastReachable: true } as Report;
const answersUntilMs = 260;

interface Plan {
  readonly receiverCount: number;
  /** The receivers that answer probes. */
  readonly reached: readonly number[];
  readonly hasGroup?: boolean;
  readonly servesTogether?: boolean;
}

/** Receivers that have all been sent the probes of the group, and had time to answer. */
function probed({ receiverCount, reached, hasGroup = true, servesTogether = false }: Plan) {
  const address = { host: '192.0.2.1', port: 1 };
  const demands: Demand[] = [];
  const groups = new RateGroups({
    ...{ geometry, demands, hasGroup, servesTogether, maxBlocks: 100, randomPhase: 0 },
    digests: new DigestViews(sha256, new DigestTree(sha256, blocks)),
    encoder: {} as BatchEncoder,
    reportInterval: new ReportInterval(1000 / 1.4),
    ...{ rateBytesPerSec: undefined, createController: undefined, senderCount: () => 1 },
  });
  for (let i = 0; i < receiverCount; i++) {
    const demand = new Demand(i, new Path({ address }, 500));
    demand.resume();
    demands.push(demand);
    groups.add(demand);
  }
  groups.measureAll();
  const answer = (nowMs: number, receiver: number) =>
    groups.handleGroupReport(nowMs, demands[receiver] as Demand, reachableReport);
  for (const receiver of reached) answer(20, receiver);
  if (hasGroup) groups.awaitProbeAnswers(answersUntilMs);
  groups.splitOff(answersUntilMs - 1);
  const isTogether = () => demands.every((demand) => groups.of(demand) === groups.main);
  const wasTogether = isTogether();
  groups.splitOff(answersUntilMs);
  /** For each receiver, the number of its rate group; 0 is the main group. */
  const places = () => {
    const all = [...groups];
    return demands.map((demand) => all.indexOf(groups.of(demand)));
  };
  return { groups, demands, answer, places, wasTogether };
}

t.test('receivers that do not answer probes leave those that do', async (t) => {
  const { places, wasTogether, groups, demands } = probed({ receiverCount: 4, reached: [1, 2] });
  t.ok(wasTogether, 'until they had time to answer');
  t.same(places(), [1, 0, 0, 2]);
  t.same(
    [...groups].map(({ servedDemands }) => servedDemands.map(({ index }) => index)),
    [[1, 2], [0], [3]],
  );
  t.notOk(demands.some((demand) => groups.isSlow(demand)));
});

t.test('a receiver that answers late joins the others', async (t) => {
  const { places, answer, groups } = probed({ receiverCount: 3, reached: [0, 1] });
  t.same(places(), [0, 0, 1]);
  answer(900, 2);
  t.same(places(), [0, 0, 0]);
  t.same(groups.main.groupMembers, [0, 1, 2]);
});

t.test('where multicast reaches nobody, one of the receivers has the main group', async (t) => {
  t.same(probed({ receiverCount: 3, reached: [] }).places(), [1, 2, 0]);
  t.same(probed({ receiverCount: 1, reached: [] }).places(), [0]);
  t.same(probed({ receiverCount: 3, reached: [], hasGroup: false }).places(), [0, 1, 2]);
});

t.test('with too many receivers, some share a rate group, but not that of multicast', async (t) => {
  const places = probed({ receiverCount: 14, reached: [0, 1] }).places();
  t.same(places, [0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4]);
  const without = probed({ receiverCount: 12, reached: [], hasGroup: false }).places();
  t.same(without, [0, 1, 2, 3, 4, 5, 6, 7, 8, 0, 1, 2]);
});

t.test('the place of a receiver that is done is free', async (t) => {
  const { groups, demands, places } = probed({ receiverCount: 3, reached: [0, 1] });
  demands[2]?.end();
  const next = new Demand(3, new Path({ address: { host: '192.0.2.1', port: 1 } }, 500));
  next.resume();
  demands.push(next);
  groups.add(next);
  groups.measureAll();
  groups.awaitProbeAnswers(1000);
  groups.splitOff(1000);
  t.equal(places()[3], 1);
});

t.test('a relay that does not keep what it passes on serves all together', async (t) => {
  const plan = { receiverCount: 4, reached: [1, 2], servesTogether: true };
  t.same(probed(plan).places(), [0, 0, 0, 0]);
});
