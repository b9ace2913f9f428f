/** What a machine over real sockets is asked for, and when: also while the process is busy. */
import { execFileSync } from 'node:child_process';
import { setTimeout as wait } from 'node:timers/promises';
import t, { type Test } from 'tap';
import type { Machine, TimeMs } from '../../../src/base/machine.js';
import { type DeadlinePolicy, SocketRunner } from '../../../src/node/net/socket-runner.js';

/** Its deadline is always in the past, as after work that took longer than the wait. */
class LateMachine implements Machine<never> {
  timeouts = 0;
  handleDatagram(): void {}
  handleTimeout(): void {
    this.timeouts++;
  }
  pollTransmit(): undefined {
    return undefined;
  }
  pollTimeout(): TimeMs | undefined {
    return this.timeouts < 3 ? performance.now() - 5 : undefined;
  }
  pollEvent(): undefined {
    return undefined;
  }
}

/** Runs a machine that is late. @returns the delays of the timers that this process set */
async function runLate(t: Test, deadlines: DeadlinePolicy): Promise<number[]> {
  const machine = new LateMachine();
  const runner = await SocketRunner.open({
    machine,
    bind: ['127.0.0.1'],
    port: 0,
    deadlines,
    handleEvent: () => undefined,
    handleSendError: () => undefined,
  });
  const waitsMs: number[] = [];
  const { setTimeout } = globalThis;
  const watched = (handler: () => void, waitMs: number) => {
    waitsMs.push(waitMs);
    return setTimeout(handler, waitMs);
  };
  globalThis.setTimeout = watched as typeof setTimeout;
  try {
    runner.drain();
    while (machine.timeouts < 3) await wait(1);
  } finally {
    globalThis.setTimeout = setTimeout;
  }
  await runner.close();
  t.equal(machine.timeouts, 3, 'every deadline was handled');
  return waitsMs;
}

t.test('a deadline that has passed is handled in the next turn', async (t) => {
  for (const deadlines of ['exact', 'adaptive'] as const)
    t.same(await runLate(t, deadlines), [], 'no timer is set, since its minimum is a millisecond');
});

t.test('where deadlines may be late, no timer has a negative delay', async (t) => {
  for (const deadlines of ['adaptive', 'coarse'] as const) {
    const waitsMs = await runLate(t, deadlines);
    t.same(
      waitsMs.filter((waitMs) => waitMs < 0),
      [],
      deadlines,
    );
  }
});

t.test('datagrams that arrived during a stall are handled before the deadline', async (t) => {
  for (const deadlines of ['exact', 'adaptive', 'coarse'] as const) {
    const seen: string[] = [];
    let deadlineMs: TimeMs | undefined;
    const machine: Machine<never> = {
      handleDatagram: () => {
        seen.push('datagram');
      },
      handleTimeout: () => {
        seen.push('timeout');
        deadlineMs = undefined;
      },
      pollTransmit: () => undefined,
      pollTimeout: () => deadlineMs,
      pollEvent: () => undefined,
    };
    const runner = await SocketRunner.open({
      machine,
      bind: ['127.0.0.1'],
      port: 0,
      deadlines,
      handleEvent: () => undefined,
      handleSendError: () => undefined,
    });
    t.teardown(() => runner.close());
    const [{ port } = { port: 0 }] = runner.addresses;
    deadlineMs = performance.now() + 20;
    runner.drain();
    sendTo(port, 1);
    while (deadlineMs !== undefined) await wait(1);
    t.same(seen, ['datagram', 'timeout'], deadlines);
  }
});

/** Sends datagrams from another process, each by a socket of its own, and waits until they have left. */
function sendTo(port: number, count: number): void {
  const script = `const dgram = require('node:dgram');
    for (let i = 0; i < ${count}; i++) {
      const s = dgram.createSocket('udp4');
      s.send('x', ${port}, '127.0.0.1', () => s.close());
    }`;
  execFileSync(process.execPath, ['-e', script]);
}

for (const answersTogether of [true, false]) {
  const when = answersTogether ? 'after all that is read in a turn' : 'at once';
  t.test(`what a datagram leads to is sent ${when}, after its events`, async (t) => {
    const seen: string[] = [];
    let events = 0;
    const machine: Machine<'event'> = {
      handleDatagram: () => {
        seen.push('datagram');
        events++;
      },
      handleTimeout: () => undefined,
      pollTransmit: () => {
        seen.push('transmit');
        return undefined;
      },
      pollTimeout: () => undefined,
      pollEvent: () => {
        if (events === 0) return undefined;
        events--;
        return 'event';
      },
    };
    const runner = await SocketRunner.open({
      ...{ machine, bind: ['127.0.0.1'], port: 0, receivesBatches: true, answersTogether },
      handleEvent: (event) => seen.push(event),
      handleSendError: () => undefined,
    });
    t.teardown(() => runner.close());
    sendTo(runner.addresses[0]?.port ?? 0, 3);
    while (!seen.includes('transmit')) await wait(1);
    const taken = ['datagram', 'event'];
    if (answersTogether) t.same(seen, [...taken, ...taken, ...taken, 'transmit']);
    else t.same(seen.slice(0, 2), ['datagram', 'transmit']);
  });
}

t.test('a machine is drained once for all that asks for it in a turn', async (t) => {
  let drains = 0;
  const machine: Machine<never> = {
    handleDatagram: () => undefined,
    handleTimeout: () => undefined,
    pollTransmit: () => undefined,
    pollTimeout: () => {
      drains++;
      return undefined;
    },
    pollEvent: () => undefined,
  };
  const runner = await SocketRunner.open({
    ...{ machine, bind: ['127.0.0.1'], port: 0 },
    handleEvent: () => undefined,
    handleSendError: () => undefined,
  });
  t.teardown(() => runner.close());
  runner.drainSoon();
  runner.drainSoon();
  t.equal(drains, 0, 'nothing happens in the call');
  await new Promise((resolve) => setImmediate(resolve));
  t.equal(drains, 1);
});

t.test('a deadline is handled although something arrives in every turn', async (t) => {
  for (const deadlines of ['exact', 'adaptive', 'coarse'] as const) {
    const dueAtMs = performance.now();
    let timeouts = 0;
    const machine: Machine<never> = {
      handleDatagram: () => undefined,
      handleTimeout: () => {
        timeouts++;
      },
      pollTransmit: () => undefined,
      pollTimeout: () => (timeouts === 0 ? dueAtMs : undefined),
      pollEvent: () => undefined,
    };
    const runner = await SocketRunner.open({
      ...{ machine, bind: ['127.0.0.1'], port: 0, deadlines },
      handleEvent: () => undefined,
      handleSendError: () => undefined,
    });
    t.teardown(() => runner.close());
    const giveUpAtMs = dueAtMs + 10_000;
    while (timeouts === 0 && performance.now() < giveUpAtMs) {
      runner.drainSoon();
      await new Promise((resolve) => setImmediate(resolve));
    }
    t.equal(timeouts, 1, deadlines);
  }
});
