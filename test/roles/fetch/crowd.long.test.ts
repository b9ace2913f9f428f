/** One crowd, one session: hosts that fetch the same object at about the same time, in virtual time. */
import t from 'tap';
import { type CrowdRun, runCrowd, servedWithDigests } from '../../support/crowd.js';

const object = servedWithDigests('object', 200);
const crowdServer = { serves: [object], hasGroup: true };

/** How often a server sent the content. */
function sentTimes({ sentBytes }: CrowdRun, server = 's', { content } = object): number {
  return sentBytes(server) / content.length;
}

/** With the tag of each block. */
const framing = 1 + 16 / 4000;

/** The sum over all segments of how often each is sent if every loss is repaired by one datagram to the group. */
function timesWithRepairs(clientCount: number, lossProbability: number): number {
  let times = 1;
  for (let round = 1; round < 20; round++)
    times += 1 - (1 - lossProbability ** round) ** clientCount;
  return times;
}

for (const [count, lossProbability, blockCount] of [
  [8, 0, 200],
  [8, 0.05, 200],
  [100, 0, 60],
  [100, 0.05, 60],
] as const) {
  t.test(`${count} clients within 300 ms, loss ${lossProbability}`, async (t) => {
    const own = servedWithDigests('object', blockCount);
    const run = runCrowd({
      servers: { s: { serves: [own], hasGroup: true } },
      clients: Array.from({ length: count }, (_, i) => ({ atMs: (300 * i) / count })),
      lossProbability,
    });
    t.ok(run.roles.every((_, i) => run.holds(i, own)));
    // The queues of a hundred paths overflow when the rate is sought, each at its own moment.
    const extra = count > 8 ? 1.2 : 1.1;
    const most = extra * framing * timesWithRepairs(count, lossProbability);
    const times = sentTimes(run, 's', own);
    t.ok(times < most, `${times} times, ${most} at most`);
  });
}

t.test(
  'late clients get the rest together with the others, and the beginning by themselves',
  async (t) => {
    const run = runCrowd({
      servers: { s: crowdServer },
      // Everything takes 1,900 ms.
      clients: [{}, { atMs: 50 }, { atMs: 100 }, { atMs: 1000 }, { atMs: 1100 }],
    });
    t.ok(run.roles.every((_, i) => run.holds(i, object)));
    t.ok(run.elapsedMs(0) < 2300, `${run.elapsedMs(0)} ms`);
    for (const late of [3, 4]) t.ok(run.elapsedMs(late) < 2400, `${run.elapsedMs(late)} ms`);
    t.ok(sentTimes(run) < 1.8, `${sentTimes(run)} times`);
  },
);

t.test('a client alone is served at once, by unicast', async (t) => {
  const alone = runCrowd({ servers: { s: crowdServer }, clients: [{}] });
  const without = runCrowd({ servers: { s: { serves: [object] } }, clients: [{}] });
  t.ok(alone.holds(0, object));
  t.equal(alone.servers.host('s').role.sent[0]?.result.groupDatagramsSent, 0);
  const waitMs = alone.elapsedMs(0) - without.elapsedMs(0);
  t.ok(Math.abs(waitMs) < 15, `${waitMs} ms later than without a group: a round trip for digests`);
});

const deaf = { options: { hearsGroups: false } };

t.test('clients that multicast does not reach', async (t) => {
  const run = runCrowd({ servers: { s: crowdServer }, clients: [{}, {}, {}, deaf, deaf] });
  t.ok(run.roles.every((_, i) => run.holds(i, object)));
  t.ok(sentTimes(run) < 3.3, `${sentTimes(run)} times`);
});

t.test(
  'late clients that multicast does not reach are as fast as late ones that it reaches',
  async (t) => {
    const late = [{ atMs: 700 }, { atMs: 1000 }];
    const run = runCrowd({
      servers: { s: crowdServer },
      clients: [{}, {}, ...late, ...late.map((each) => ({ ...each, ...deaf }))],
    });
    t.ok(run.roles.every((_, i) => run.holds(i, object)));
    for (const i of [0, 1]) {
      const ratio = run.elapsedMs(4 + i) / run.elapsedMs(2 + i);
      t.ok(ratio < 1.25, `takes ${ratio} times as long`);
    }
    t.ok(sentTimes(run) < 3.9, `${sentTimes(run)} times`);
  },
);

t.test('two servers, and clients of which multicast reaches only some', async (t) => {
  const run = runCrowd({
    servers: { s: crowdServer, s2: crowdServer },
    clients: [{}, {}, deaf, deaf],
  });
  t.ok(run.roles.every((_, i) => run.holds(i, object)));
  for (const i of [2, 3]) {
    const ratio = run.elapsedMs(i) / run.elapsedMs(0);
    t.ok(ratio < 1.2, `takes ${ratio} times as long`);
  }
  const times = sentTimes(run, 's') + sentTimes(run, 's2');
  t.ok(times < 1.05 * framing * 3, `${times} times`);
});

t.test('a slow client does not hold up the others', async (t) => {
  const run = runCrowd({
    servers: { s: crowdServer },
    clients: [{}, {}, {}, {}, { rate: 50_000 }],
  });
  t.ok(run.roles.every((_, i) => run.holds(i, object)));
  for (const fast of [0, 1, 2, 3]) t.ok(run.elapsedMs(fast) < 5000, `${run.elapsedMs(fast)} ms`);
  t.ok(run.elapsedMs(4) > 14_000);
});

t.test('clients that leave, and come back', async (t) => {
  const run = runCrowd({
    servers: { s: crowdServer },
    clients: [{}, {}, { killAtMs: 800 }, { killAtMs: 900, startAtMs: 1200 }],
  });
  for (const i of [0, 1, 3]) t.ok(run.holds(i, object), `client ${i}`);
  for (const i of [0, 1]) t.ok(run.elapsedMs(i) < 3500, `${run.elapsedMs(i)} ms`);
  t.ok(sentTimes(run) < 1.8, `${sentTimes(run)} times`);
  const [{ result } = {}] = run.servers.host('s').role.sent;
  t.same(
    result?.receivers.map(({ status }) => status),
    ['complete', 'complete', 'failed', 'aborted', 'complete'],
  );
});

t.test('a client that has half already', async (t) => {
  const run = runCrowd({
    servers: { s: crowdServer },
    clients: [{ killAtMs: 1000, startAtMs: 5000 }, { atMs: 5000 }, { atMs: 5010 }],
  });
  t.ok(run.roles.every((_, i) => run.holds(i, object)));
  t.ok(
    (run.roles[0]?.results[0]?.report?.deliveredBytes ?? Infinity) < 0.65 * object.content.length,
  );
  t.ok(run.elapsedMs(0) < 2500, `${run.elapsedMs(0)} ms`);
  t.ok(sentTimes(run) < 1.75, `${sentTimes(run)} times`);
});

t.test('two crowds for two objects', async (t) => {
  const other = servedWithDigests('other', 150);
  const options = { what: { name: 'other' } };
  const run = runCrowd({
    servers: { s: { serves: [object, other], hasGroup: true } },
    clients: [{}, { options }, {}, { options }, {}, { options }],
  });
  for (const i of [0, 2, 4]) t.ok(run.holds(i, object), `client ${i}`);
  for (const i of [1, 3, 5]) t.ok(run.holds(i, other), `client ${i}`);
  t.ok(sentTimes(run) < 1.05 * framing * 1.75, `${sentTimes(run)} times`);
});

t.test('several servers, of which one serves a crowd', async (t) => {
  const from = ['s'];
  const run = runCrowd({
    servers: { s: crowdServer, alone: { serves: [object] } },
    clients: [{ options: { from } }, { options: { from } }, { options: { from } }, {}],
  });
  t.ok(run.roles.every((_, i) => run.holds(i, object)));
  t.ok(sentTimes(run) < 1.1 * framing, `${sentTimes(run)} times`);
  t.ok(
    run.elapsedMs(3) < 0.75 * run.elapsedMs(0),
    `${run.elapsedMs(3)} and ${run.elapsedMs(0)} ms`,
  );
});

t.test('several servers with a crowd each', async (t) => {
  const run = runCrowd({
    servers: { s: crowdServer, s2: crowdServer, s3: crowdServer },
    clients: Array.from({ length: 8 }, (_, i) => ({ atMs: 20 * i })),
  });
  t.ok(run.roles.every((_, i) => run.holds(i, object)));
  for (const server of ['s', 's2', 's3'])
    t.ok(sentTimes(run, server) < 1.1 * framing, `${server}: ${sentTimes(run, server)} times`);
});
