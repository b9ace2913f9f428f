/** Relays whose reports and content leave by the same link, in virtual time. */
import t from 'tap';
import type { Link } from '../../../src/simulator/link.js';
import { elapsedMs, hasFetched, objectOf, RelayNet } from '../../support/relay-net.js';

/** Each host has one link out and one link in. */
class NetOfLinks extends RelayNet {
  private readonly links = new Map<string, Link>();

  protected override connectAll(name: string, others: Iterable<string>): void {
    for (const other of others)
      for (const [from, to] of [
        [name, other],
        [other, name],
      ] as const)
        this.simulation.connect(from, to, [
          this.linkNamed(`${from} out`),
          this.linkNamed(`${to} in`),
        ]);
  }

  private linkNamed(name: string): Link {
    const known = this.links.get(name);
    if (known !== undefined) return known;
    const rate = { rateBytesPerSec: 500_000, queueLimitBytes: 25_000 };
    const link = this.simulation.createLink(name, {
      ...{ delayMs: 2, ...(name.endsWith('out') ? rate : {}) },
    });
    this.links.set(name, link);
    return link;
  }
}

const large = objectOf('object', 800);

function measure(relayCount: number): number {
  const net = new NetOfLinks('1');
  net.server('origin', [large]);
  let from = 'origin';
  for (let i = 0; i < relayCount; i++) {
    net.relay(`r${i}`, [from]);
    from = `r${i}`;
  }
  const client = net.client('a', [from], { name: 'object' });
  net.simulation.run({ untilMs: 60_000 });
  return hasFetched(client, large) ? elapsedMs(client) : Infinity;
}

t.test('what a relay passes on does not slow down what it gets', async (t) => {
  const directMs = measure(0);
  for (const [count, mostShare] of [
    [1, 1.1],
    [3, 1.15],
  ] as const) {
    const ms = measure(count);
    t.ok(ms < mostShare * directMs, `${count} relays: ${ms} ms, direct ${directMs} ms`);
  }
});
