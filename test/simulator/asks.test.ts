/** Hosts that ask each other for objects (SESSIONS 9), in virtual time. */
import t from 'tap';
import { answersOf, holds, runAsking, served } from '../support/asking-hosts.js';

const big = served('big', 400_000);
const small = served('small', 20_000);
const seeds = ['1', '2', '3', '4', '5'];

for (const lossProbability of [0, 0.1]) {
  const loss = `with ${100 * lossProbability} % loss`;

  t.test(`a host asks another for an object, ${loss}`, async (t) => {
    for (const seed of seeds) {
      const run = runAsking({
        ...{ seed, lossProbability },
        hosts: { server: { serves: [big, small] }, a: { asks: [{ of: 'server', name: 'big' }] } },
      });
      t.ok(run.isAtRest);
      const [server, a] = [run.host('server'), run.host('a')];
      t.ok(holds(a, big));
      t.same(answersOf(a), ['identify', 'answered', 'ended']);
      t.equal(server.role.serving?.asked.length, 1, 'the shell is asked once');
      t.match(server.role.sent, [{ result: { receivers: [{ status: 'complete' }], faults: {} } }]);
      t.same([a.role.asker?.askCount, a.role.asker?.faultCounts], [0, {}]);
      t.equal(server.role.listener?.channelCount, 0, 'no channel is kept');
      // If a proof is lost, the ask arrives before there is a channel.
      if (lossProbability === 0) t.same(server.role.listener?.faultCounts, {});
    }
  });

  t.test(`two hosts ask each other at the same time, ${loss}`, async (t) => {
    for (const seed of seeds) {
      const run = runAsking({
        ...{ seed, lossProbability },
        hosts: {
          a: { serves: [big], asks: [{ of: 'b', name: 'small' }] },
          b: { serves: [small], asks: [{ of: 'a', name: 'big' }] },
        },
      });
      t.ok(run.isAtRest);
      t.ok(holds(run.host('a'), small) && holds(run.host('b'), big));
    }
  });

  for (const hasGroup of [false, true]) {
    const where = hasGroup ? 'a session with a group' : 'a session';
    t.test(`many hosts join ${where} that runs, ${loss}`, async (t) => {
      for (const seed of seeds.slice(0, 2)) {
        const askers = Array.from({ length: 8 }, (_, i) => `r${i}`);
        const asking = askers.map((name, i) => [
          name,
          { asks: [{ of: 'server', name: 'big', atMs: 60 * i }] },
        ]);
        const run = runAsking({
          ...{ seed, lossProbability },
          hosts: { server: { serves: [big], hasGroup }, ...Object.fromEntries(asking) },
        });
        t.ok(run.isAtRest);
        for (const name of askers) t.ok(holds(run.host(name), big), name);
        const { sent } = run.host('server').role;
        t.equal(sent.length, 1, 'one session for all');
        const copies = (sent[0]?.result.bytesSent ?? 0) / big.content.length;
        if (hasGroup && lossProbability === 0) t.ok(copies < 3, `${copies} copies were sent`);
      }
    });
  }
}

t.test('a host that is killed asks again, and resumes', async (t) => {
  for (const seed of seeds) {
    const run = runAsking({
      seed,
      lossProbability: 0.02,
      hosts: {
        server: { serves: [big] },
        a: { asks: [{ of: 'server', name: 'big' }] },
        b: { asks: [{ of: 'server', name: 'big' }] },
      },
      prepare: ({ simulation, host }) => {
        simulation.at(500, () => host('a').host.inject('kill'));
        simulation.at(900, () => host('a').host.inject('start'));
      },
    });
    t.ok(run.isAtRest);
    const [server, a, b] = [run.host('server'), run.host('a'), run.host('b')];
    t.ok(holds(a, big) && holds(b, big));
    t.ok((a.role.received.at(-1)?.heldBeforeBytes ?? 0) > 0, 'it resumed');
    const [{ result } = { result: undefined }] = server.role.sent;
    const statuses = result?.receivers.map(({ status, reason }) => [status, reason]);
    t.same(statuses?.filter(([status]) => status === 'complete').length, 2);
    t.same(
      statuses?.filter(([status]) => status !== 'complete'),
      [['aborted', 'has asked again']],
    );
  }
});

t.test('a server that dies and comes back is asked again', async (t) => {
  for (const seed of seeds) {
    const run = runAsking({
      seed,
      lossProbability: 0.02,
      hosts: { server: { serves: [big] }, a: { asks: [{ of: 'server', name: 'big' }] } },
      prepare: ({ simulation, host }) => {
        simulation.at(500, () => host('server').host.inject('kill'));
        simulation.at(9000, () => host('server').host.inject('start'));
      },
    });
    t.ok(run.isAtRest);
    const a = run.host('a');
    t.ok(holds(a, big));
    t.same(answersOf(a), ['identify', 'answered', 'silent', 'answered', 'ended']);
    t.match(a.role.received, [{ status: 'failed', reason: /replaced/ }, { status: 'complete' }]);
    t.ok((a.role.received[1]?.heldBeforeBytes ?? 0) > 0, 'it resumed');
  }
});

t.test('after an interruption the same session goes on', async (t) => {
  for (const outageMs of [3000, 20_000]) {
    for (const seed of seeds) {
      const run = runAsking({
        seed,
        hosts: { server: { serves: [big] }, a: { asks: [{ of: 'server', name: 'big' }] } },
        prepare: ({ simulation, host }) => {
          simulation.at(500, () => host('a').host.inject('disconnect'));
          simulation.at(500 + outageMs, () => host('a').host.inject('reconnect'));
        },
      });
      t.ok(run.isAtRest);
      const [server, a] = [run.host('server'), run.host('a')];
      t.ok(holds(a, big));
      t.match(a.role.received, [{ status: 'complete' }]);
      t.equal(a.role.received.length, 1, 'one session');
      t.equal(server.role.sent.length, 1);
    }
  }
});

t.test('a server that is never there fails the ask', async (t) => {
  const run = runAsking({
    seed: '1',
    hosts: { server: {}, a: { asks: [{ of: 'server', name: 'big' }] } },
    prepare: ({ host }) => host('server').host.inject('disconnect'),
  });
  t.ok(run.isAtRest);
  t.match(run.host('a').role.answers, [
    { type: 'failed', server: 'server', reason: /^no answer for 30 s; is p2mp serve running/ },
  ]);
});

t.test('an object that is not served is refused', async (t) => {
  for (const lossProbability of [0, 0.1]) {
    for (const seed of seeds) {
      const run = runAsking({
        ...{ seed, lossProbability },
        hosts: { server: { serves: [big] }, a: { asks: [{ of: 'server', name: 'other' }] } },
      });
      t.ok(run.isAtRest);
      t.match(run.host('a').role.answers.at(-1), { type: 'refused', reason: 'no such object' });
      t.equal(run.host('server').role.listener?.channelCount, 0, 'the channel is forgotten');
    }
  }
});

t.test('a server whose key is not trusted gets no proof', async (t) => {
  const run = runAsking({
    seed: '1',
    hosts: {
      server: { serves: [big] },
      a: { asks: [{ of: 'server', name: 'big' }], refuseServer: () => 'another key than before' },
    },
  });
  t.match(run.host('a').role.answers, [
    { type: 'identify' },
    { type: 'failed', reason: 'another key than before' },
  ]);
  t.same(run.host('server').role.serving?.asked, []);
  t.equal(run.host('server').role.listener?.channelCount, 0);
});

t.test('the list of objects comes page by page', async (t) => {
  for (const lossProbability of [0, 0.2]) {
    const objects = Array.from({ length: 100 }, (_, i) => served(`object ${i}`, 1000 + i));
    const run = runAsking({
      ...{ seed: '1', lossProbability },
      hosts: { server: { serves: objects }, a: { asks: [{ of: 'server' }] } },
    });
    t.ok(run.isAtRest);
    const pages = run
      .host('a')
      .role.answers.flatMap((event) => (event.type === 'page' ? [event.page] : []));
    const names = pages.flatMap((page) => page.objects.map(({ name }) => name));
    t.same(names, objects.map(({ name }) => name).sort());
    t.ok(pages.length > 5, `${pages.length} pages`);
    t.same(
      pages.map(({ isLast }) => isLast),
      pages.map((_, i) => i === pages.length - 1),
    );
    t.equal(run.host('a').role.asker?.askCount, 0);
  }
});

t.test('a server that is never back fails the session, which keeps what has arrived', async (t) => {
  const run = runAsking({
    seed: '1',
    hosts: { server: { serves: [big] }, a: { asks: [{ of: 'server', name: 'big' }] } },
    prepare: ({ simulation, host }) => {
      simulation.at(500, () => host('server').host.inject('kill'));
    },
  });
  t.ok(run.isAtRest);
  t.same(answersOf(run.host('a')), ['identify', 'answered', 'silent', 'ended']);
  t.match(run.host('a').role.received, [{ status: 'failed', reason: /no response/ }]);
});

t.test('an ask waits for a server that takes its time, however long', async (t) => {
  const run = runAsking({
    seed: '1',
    lossProbability: 0.1,
    hosts: {
      server: { serves: [small], answersAfterMs: 100_000 },
      a: { asks: [{ of: 'server', name: 'small' }] },
    },
  });
  t.ok(run.isAtRest && holds(run.host('a'), small));
  t.same(answersOf(run.host('a')), ['identify', 'answered', 'ended']);
  t.equal(run.host('server').role.serving?.asked.length, 1);
});

t.test('a server that shuts down puts off the answer, and its successor gives it', async (t) => {
  for (const backAtMs of [5000, Infinity]) {
    const run = runAsking({
      seed: '1',
      hosts: {
        server: { serves: [small] },
        a: { asks: [{ of: 'server', name: 'small', atMs: 100 }] },
      },
      prepare: ({ simulation, host }) => {
        simulation.at(50, () => host('server').role.listener?.drain());
        if (backAtMs === Infinity) return;
        simulation.at(backAtMs, () => {
          host('server').host.inject('kill');
          host('server').host.inject('start');
        });
      },
    });
    t.ok(run.isAtRest);
    const a = run.host('a');
    t.equal(holds(a, small), backAtMs < Infinity);
    t.same(answersOf(a), [
      'identify',
      'deferred',
      ...(backAtMs < Infinity ? ['answered', 'ended'] : ['failed']),
    ]);
  }
});

t.test('a channel that has used up its numbers is replaced, on either side', async (t) => {
  for (const side of ['a', 'server']) {
    const run = runAsking({
      seed: '1',
      hosts: { server: { serves: [big] }, a: { asks: [{ of: 'server', name: 'big' }] } },
      prepare: ({ simulation, host }) => {
        simulation.at(500, () => {
          const [ask] = host('a').role.asker?.['asks'] ?? [];
          const [asked] = host('server').role.listener?.['channels'].values() ?? [];
          const channel = side === 'a' ? ask?.channel : asked?.proven.channel;
          Object.assign(channel as object, { sendCounter: 2 ** 32 });
        });
      },
    });
    t.ok(run.isAtRest && holds(run.host('a'), big), side);
    t.match(run.host('a').role.received, [{ status: 'complete' }], 'in one session');
    t.equal(run.host('a').role.received.length, 1);
  }
});

t.test('an ask that is cancelled ends its session at both sides', async (t) => {
  for (const atMs of [2, 12, 500]) {
    const run = runAsking({
      seed: '1',
      hosts: { server: { serves: [big] }, a: { asks: [{ of: 'server', name: 'big' }] } },
      prepare: ({ host }) => {
        const { host: machine, role } = host('a');
        machine.at(atMs, () => role.asker?.cancel(atMs, 0, 'no longer wanted'));
      },
    });
    t.ok(run.isAtRest);
    t.equal(run.host('a').role.asker?.askCount, 0);
    if (atMs < 500) continue;
    t.match(run.host('a').role.received, [{ status: 'failed', reason: 'no longer wanted' }]);
    t.match(run.host('server').role.sent, [
      { result: { receivers: [{ status: 'failed', reason: 'no longer wanted' }] } },
    ]);
  }
});

t.test('on a narrow path, the ask names a smaller MSS', async (t) => {
  for (const [limitBytes, expected] of [
    [1432, 1400],
    [1300, 1200],
    [600, 508],
  ] as const) {
    const run = runAsking({
      seed: '1',
      hosts: {
        server: { serves: [small] },
        a: { asks: [{ of: 'server', name: 'small' }], helloMssBytes: 1400 },
      },
      intercept: ({ bytes }) => (bytes.length > limitBytes ? [] : [bytes]),
    });
    t.ok(run.isAtRest && holds(run.host('a'), small));
    t.match(run.host('server').role.serving?.asked, [{ mssBytes: expected }]);
  }
});
