import t from 'tap';
import { listRuns, type Plan, parsePlan } from '../../src/experiment/plan.js';
import { toRunRow } from '../../src/experiment/run-result.js';
import { simulateRun } from '../../src/experiment/simulated/run.js';
import { formatHeader, formatRun } from '../../src/node/experiment/runs-csv.js';

function parse(members: Readonly<Record<string, unknown>>): Plan {
  const base = { title: 'A plan', seed: 'seed', fileSizeBytes: 100_000, receivers: 8 };
  return parsePlan(JSON.stringify({ ...base, ...members }), 'plan.json');
}

/** The rows of runs.csv by column, with one run of each point. */
function rowsOf(plan: Plan): Record<string, string>[] {
  return [...listRuns(plan)].map((run) => {
    const names = formatHeader(run).trim().split(',');
    const cells = formatRun(toRunRow(run, simulateRun(run.point, run.seed)))
      .replace('\r\n', '')
      .split(',');
    return Object.fromEntries(names.map((name, i) => [name, cells[i] ?? 'none']));
  });
}

t.test('sessions by unicast and by multicast run with the links and losses of a plan', (t) => {
  const plan = parse({
    repetitions: 1,
    protocol: ['p2mp-ftp', 'unicast', 'multicast'],
    loss: 0.05,
    link: { rttMs: 20, rateBytesPerSec: 1_000_000 },
  });
  const [classic, unicast, multicast] = rowsOf(plan);
  for (const row of [classic, unicast, multicast]) t.equal(row?.['complete_receivers'], '8');
  // 200 segments: by unicast each goes to each of the eight receivers, by multicast once to all.
  t.ok(Number(unicast?.['datagrams']) >= 1600, 'datagrams by unicast');
  const byMulticast = Number(multicast?.['datagrams']);
  t.ok(byMulticast >= 200 && byMulticast < 800, 'datagrams by multicast');
  for (const row of [unicast, multicast]) {
    t.ok(Number(row?.['retransmissions']) > 0, 'the link loses datagrams');
    // 100 kB at 1 MB/s, and a round trip.
    t.ok(Number(row?.['delay_s']) > 0.12, 'time for 100 kB at 1 MB/s, and a round trip');
    t.same(
      [row?.['window'], row?.['timeout_ms'], row?.['rounds'], row?.['timeouts']],
      ['', '', '', ''],
    );
  }
  t.equal(classic?.['window'], '1');
  t.ok(Number(classic?.['rounds']) > 200);
  t.end();
});

t.test('the columns of a parameter appear only in plans that name it', (t) => {
  const [plain] = rowsOf(parse({ repetitions: 1 }));
  for (const name of ['protocol', 'enter_bad', 'leave_bad', 'loss_in_good', 'loss_in_bad']) {
    t.notOk(Object.hasOwn(plain ?? {}, name), name);
  }
  const gilbertElliott = { enterBad: 0.05, leaveBad: 0.2, lossInBad: 0.5 };
  const [bursts] = rowsOf(parse({ repetitions: 1, gilbertElliott }));
  t.same([bursts?.['enter_bad'], bursts?.['leave_bad']], ['0.05', '0.2']);
  t.same([bursts?.['loss_in_good'], bursts?.['loss_in_bad']], ['0', '0.5']);
  t.equal(bursts?.['loss'], '0.1', 'the mean loss');
  t.ok(Number(bursts?.['retransmissions']) > 0);
  t.end();
});
