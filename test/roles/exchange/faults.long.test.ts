/** Honest peers of an exchange, on bad networks and with interruptions, in virtual time. */
import t from 'tap';
import { blockSizeBytes, ExchangeNet } from '../../support/exchange-net.js';

const megabit = 125_000;

/** Datagrams that are late or that networks repeat are nobody's fault. */
const usual = ['no-session', 'duplicate', 'replayed'];

function netOf(number: number): ExchangeNet {
  const net = new ExchangeNet({
    ...{ seed: `faults ${number}`, hasGroup: number % 2 === 0 },
    peers: Array.from({ length: 3 + (number % 2) }, (_, i) => ({
      ...{ name: `p${i}`, contentSizeBytes: (4 + ((number + 5 * i) % 16)) * blockSizeBytes - 100 },
      ...{ upBytesPerSec: 8 * megabit, downBytesPerSec: 8 * megabit },
      ...(i === 2 && number % 4 === 1 && { startsAtMs: 1500 }),
    })),
    link: {
      ...{ jitterMs: 3 * (number % 5), reorderProbability: 0.05, reorderDelayMs: 30 },
      duplicateProbability: number % 3 === 0 ? 0.02 : 0,
      loss: { model: 'bernoulli', probability: 0.05 * (number % 4) },
    },
    coordinator: { rejoinWithinMs: 20_000 },
  });
  if (number % 3 === 0) return net;
  const { host } = net.peer('p1');
  const isCut = number % 6 === 2;
  const atMs = 900 + ((97 * number) % 700);
  net.simulation.at(atMs, () => host.inject(isCut ? 'disconnect' : 'kill'));
  const afterMs = 200 + ((31 * number) % 900);
  net.simulation.at(atMs + afterMs, () => host.inject(isCut ? 'reconnect' : 'start'));
  return net;
}

t.test('honest peers get everything, and none has a fault', (t) => {
  for (let number = 1; number <= 24; number++) {
    const net = netOf(number);
    t.ok(net.run(), `${number} ends`);
    t.same(net.missing, [], `${number} is complete`);
    const faults = [...net.peers].flatMap(([name, { role }]) =>
      role.faults.map(({ kind, packet }) => ({ name, kind, packet })),
    );
    for (const event of net.coordinator.events)
      if (event.type === 'fault') faults.push({ name: 'coordinator', ...event });
    t.same(
      faults.filter(({ kind }) => !usual.includes(kind)),
      [],
      `${number} has no faults`,
    );
  }
  t.end();
});
