import t from 'tap';
import type { Address } from '../../src/base/address.js';
import {
  type Machine,
  Runner,
  type Shell,
  type TimeMs,
  type Transmit,
} from '../../src/base/machine.js';
import { Queue } from '../../src/base/queue.js';

const peer = { host: '192.0.2.7', port: 7735 };

/**
 * A minimal machine. It answers each datagram, requests one byte from the shell, sends that too,
 * and wants to be woken ten milliseconds after its last input.
 */
class Repeater implements Machine<'need' | 'fed'> {
  private readonly answers = new Queue<Transmit>();
  private readonly events = new Queue<'need' | 'fed'>();
  private timeoutMs: TimeMs | undefined;

  handleDatagram(nowMs: TimeMs, from: Address, bytes: Uint8Array): void {
    this.answers.push({ to: from, bytes });
    this.events.push('need');
    this.timeoutMs = nowMs + 10;
  }

  handleTimeout(_nowMs: TimeMs): void {
    this.answers.push({ to: peer, bytes: Uint8Array.of(0xff) });
    this.timeoutMs = undefined;
  }

  provide(byte: number): void {
    this.answers.push({ to: peer, bytes: Uint8Array.of(byte) });
    this.events.push('fed');
  }

  pollTransmit(_nowMs: TimeMs): Transmit | undefined {
    return this.answers.shift();
  }

  pollTimeout(): TimeMs | undefined {
    return this.timeoutMs;
  }

  pollEvent(): 'need' | 'fed' | undefined {
    return this.events.shift();
  }
}

/** A repeater in a shell that logs its calls. */
function createRun(change: Partial<Shell<'need' | 'fed'>> = {}) {
  const machine = new Repeater();
  const log: string[] = [];
  const state = { nowMs: 100, roomLeft: Infinity };
  const runner = new Runner<'need' | 'fed'>(machine, {
    now: () => state.nowMs,
    canTransmit: () => state.roomLeft > 0,
    transmit: ({ to, bytes }) => {
      state.roomLeft--;
      log.push(`send ${bytes} to ${to.host}`);
    },
    handleEvent: (event) => {
      log.push(event);
      if (event === 'need') machine.provide(2);
    },
    scheduleTimeout: (atMs) => log.push(`wake at ${atMs}`),
    ...change,
  });
  return { machine, runner, log, state };
}

t.test('an input is followed by all its outputs, then by the timeout', (t) => {
  const { machine, runner, log } = createRun();
  runner.handleDatagram(peer, Uint8Array.of(1));
  t.strictSame(log, ['send 1 to 192.0.2.7', 'need', 'fed', 'send 2 to 192.0.2.7', 'wake at 110']);
  t.equal(machine.pollTransmit(100), undefined);
  t.equal(machine.pollEvent(), undefined);
  t.end();
});

t.test('the timeout is set after each input, also when there is none any more', (t) => {
  const { runner, log, state } = createRun();
  runner.drain();
  t.strictSame(log.splice(0), ['wake at undefined']);
  runner.handleDatagram(peer, Uint8Array.of(1));
  t.equal(log.splice(0).at(-1), 'wake at 110');
  state.nowMs = 105;
  runner.handleDatagram(peer, Uint8Array.of(1));
  t.equal(log.splice(0).at(-1), 'wake at 115');
  state.nowMs = 115;
  runner.handleTimeout();
  t.strictSame(log, ['send 255 to 192.0.2.7', 'wake at undefined']);
  t.end();
});

t.test('while the shell has no room nothing is sent, and nothing is lost', (t) => {
  const { runner, log, state } = createRun();
  state.roomLeft = 0;
  runner.handleDatagram(peer, Uint8Array.of(1));
  t.strictSame(log.splice(0), ['need', 'fed', 'wake at 110'], 'events are still delivered');
  state.roomLeft = 1;
  runner.drain();
  t.strictSame(log.splice(0), ['send 1 to 192.0.2.7', 'wake at 110']);
  state.roomLeft = 5;
  runner.drain();
  t.strictSame(log, ['send 2 to 192.0.2.7', 'wake at 110']);
  t.end();
});

t.test('drain takes the outputs of a direct call', (t) => {
  const { machine, runner, log } = createRun();
  machine.provide(9);
  runner.drain();
  t.strictSame(log, ['send 9 to 192.0.2.7', 'fed', 'wake at undefined']);
  t.end();
});

t.test('a datagram is taken with its events, and what follows is sent by the next drain', (t) => {
  const { runner, log } = createRun();
  runner.takeDatagram(peer, Uint8Array.of(1));
  runner.takeDatagram(peer, Uint8Array.of(3));
  t.strictSame(log.splice(0), ['need', 'fed', 'need', 'fed']);
  runner.drain();
  const sent = [1, 2, 3, 2].map((byte) => `send ${byte} to 192.0.2.7`);
  t.strictSame(log, [...sent, 'wake at 110']);
  t.end();
});

t.test('an event handler must not drain its own machine in any way', (t) => {
  const ways: ((runner: Runner<'need' | 'fed'>) => void)[] = [
    (runner) => runner.drain(),
    (runner) => runner.handleTimeout(),
    (runner) => runner.handleDatagram(peer, Uint8Array.of(3)),
  ];
  for (const way of ways) {
    const { runner } = createRun({ handleEvent: () => way(runner) });
    t.throws(() => runner.handleDatagram(peer, Uint8Array.of(1)), /drained its own machine/);
  }
  const { runner } = createRun({ transmit: () => runner.drain() });
  t.throws(() => runner.handleDatagram(peer, Uint8Array.of(1)), /drained its own machine/);
  t.end();
});

t.test('a shell that threw once can continue', (t) => {
  let isBroken = true;
  const seen: string[] = [];
  const { runner } = createRun({
    handleEvent: (event) => {
      if (isBroken) throw new Error('disk full');
      seen.push(event);
    },
  });
  t.throws(() => runner.handleDatagram(peer, Uint8Array.of(1)), /disk full/);
  isBroken = false;
  runner.handleDatagram(peer, Uint8Array.of(1));
  t.strictSame(seen, ['need']);
  t.end();
});
