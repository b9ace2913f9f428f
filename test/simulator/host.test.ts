import t from 'tap';
import type { Machine, Transmit } from '../../src/base/machine.js';
import { SimulatedDisk } from '../../src/simulator/disk.js';
import type { Role, SimulatedHost } from '../../src/simulator/host.js';
import { Simulation } from '../../src/simulator/simulation.js';

/** A machine that answers each datagram with the number of datagrams that it has received. */
class Counter implements Machine<{ type: 'got'; from: string }> {
  private readonly transmits: Transmit[] = [];
  private readonly events: { type: 'got'; from: string }[] = [];
  private count = 0;

  constructor(private readonly answers: boolean) {}

  handleDatagram(_nowMs: number, from: Transmit['to']): void {
    this.events.push({ type: 'got', from: from.host });
    this.count++;
    if (this.answers) this.transmits.push({ to: from, bytes: Uint8Array.of(this.count) });
  }

  handleTimeout(): void {}

  pollTransmit(): Transmit | undefined {
    return this.transmits.shift();
  }

  pollTimeout(): undefined {
    return undefined;
  }

  pollEvent() {
    return this.events.shift();
  }
}

/** Counts from zero in each life. */
class CountingRole implements Role<{ type: 'got'; from: string }> {
  readonly got: string[] = [];
  kills = 0;
  host: SimulatedHost | undefined;

  constructor(private readonly answers = true) {}

  boot(host: SimulatedHost) {
    this.host = host;
    return new Counter(this.answers);
  }

  handleEvent({ from }: { from: string }): void {
    this.got.push(from);
  }

  handleKill(): void {
    this.kills++;
  }
}

function twoHosts() {
  const sent: string[] = [];
  const simulation = new Simulation({
    seed: 'host',
    intercept: ({ from, to, bytes }) => {
      sent.push(`${from} ${to} ${bytes}`);
      return [bytes];
    },
  });
  const role = new CountingRole();
  const host = simulation.addRole('a', role, { addresses: ['a1', 'a2'] });
  const other = new CountingRole(false);
  simulation.addRole('b', other, { addresses: ['b1', 'b2'] });
  const links = ['1', '2'].map((i) => {
    const [forward, backward] = [
      simulation.createLink(`to ${i}`),
      simulation.createLink(`of ${i}`),
    ];
    simulation.connect(`b${i}`, `a${i}`, [forward]);
    simulation.connect(`a${i}`, `b${i}`, [backward]);
    return forward;
  });
  return { simulation, host, role, other, sent, links };
}

const hello = Uint8Array.of(0);

t.test('a host with two addresses answers from the one that has a path', (t) => {
  const { simulation, sent, other } = twoHosts();
  simulation.send('b2', 'a2', hello);
  simulation.send('b1', 'a1', hello);
  simulation.send('b1', 'a2', hello);
  simulation.run();
  t.same(sent, ['b2 a2 0', 'b1 a1 0', 'b1 a2 0', 'a2 b2 1', 'a1 b1 2']);
  t.same(other.got, ['a2', 'a1'], 'there is no path from b1 to a2');
  t.end();
});

t.test('a killed host forgets, and what it had begun does not happen', (t) => {
  const { simulation, host, role, sent } = twoHosts();
  const disk = new SimulatedDisk(simulation, host);
  const stored: string[] = [];
  disk.perform(5, () => stored.push('first'));
  disk.perform(10, () => stored.push('interrupted'));
  const at = (atMs: number, action: () => void) => simulation.at(atMs, action);
  at(0, () => simulation.send('b1', 'a1', hello));
  at(10, () => host.inject('kill'));
  at(11, () => simulation.send('b1', 'a1', hello));
  at(12, () => host.inject('start'));
  at(13, () => simulation.send('b1', 'a1', hello));
  simulation.run();
  t.same(stored, ['first']);
  t.same(sent, ['b1 a1 0', 'a1 b1 1', 'b1 a1 0', 'b1 a1 0', 'a1 b1 1'], 'the count restarts');
  t.equal(role.kills, 1);
  t.end();
});

t.test('a disconnected host and a link that is down lose everything', (t) => {
  const { simulation, host, role, links } = twoHosts();
  const [first] = links;
  const at = (atMs: number, action: () => void) => simulation.at(atMs, action);
  const sendBoth = () => {
    simulation.send('b1', 'a1', hello);
    simulation.send('b2', 'a2', hello);
  };
  const setDown = (isDown: boolean) => {
    if (first !== undefined) first.isDown = isDown;
  };
  at(1, () => host.inject('disconnect'));
  at(2, sendBoth);
  at(3, () => host.inject('reconnect'));
  at(4, () => setDown(true));
  at(5, sendBoth);
  at(6, () => setDown(false));
  at(7, sendBoth);
  simulation.run();
  t.same(role.got, ['b2', 'b1', 'b2']);
  t.equal(first?.counts.lost, 1);
  t.end();
});
