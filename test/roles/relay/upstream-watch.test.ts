/** What a relay says of its upstream servers while no client asks, in virtual time. */
import t from 'tap';
import type { RelayEvent } from '../../../src/roles/relay/relay-events.js';
import { hasFetched, objectOf, RelayNet } from '../../support/relay-net.js';

const object = objectOf('object', 200);
const what = { name: 'object' };

/** What is said of upstream servers, in order. */
function noticesOf(events: readonly RelayEvent[]): string[] {
  return events.flatMap((event) => {
    if (event.type === 'upstream-answers') return [`${event.upstream} answers`];
    return event.type === 'upstream-away' ? [`${event.upstream}: ${event.reason}`] : [];
  });
}

const silence =
  'origin: no answer for 5 s; is p2mp serve running there, and does a firewall let UDP port 7735 through?';

t.test('a dead server is named at the start, once, and again when it answers', async (t) => {
  const net = new RelayNet('1');
  const { host } = net.server('origin', [object]);
  net.server('other', [object]);
  host.inject('kill');
  const { role } = net.relay('relay', ['origin', 'other'], { watchesUpstreams: true });
  net.simulation.run({ untilMs: 60_000 });
  t.same(noticesOf(role.events), ['other answers', silence]);
  host.inject('start');
  net.simulation.run({ untilMs: 90_000 });
  t.same(noticesOf(role.events).slice(2), ['origin answers']);
  const sentBytes = net.sentBy('relay');
  net.simulation.run({ untilMs: 200_000 });
  t.equal(net.sentBy('relay'), sentBytes, 'servers that answer are left alone');
});

t.test('a server that dies during a fill is watched until it answers', async (t) => {
  const net = new RelayNet('1');
  const { host } = net.server('origin', [object]);
  const { role } = net.relay('relay', ['origin'], { watchesUpstreams: true });
  const client = net.client('client', ['relay'], what);
  net.simulation.at(500, () => host.inject('kill'));
  net.simulation.run({ untilMs: 30_000 });
  t.same(noticesOf(role.events), ['origin answers', silence]);
  host.inject('start');
  net.simulation.run({ untilMs: 90_000 });
  t.same(noticesOf(role.events).slice(2), ['origin answers']);
  t.ok(hasFetched(client, object));
});

t.test('why a key is not trusted is said whole, and not to clients', async (t) => {
  const net = new RelayNet('1');
  net.server('origin', [object]);
  const { role } = net.relay('relay', ['origin'], { watchesUpstreams: true });
  const reason = `its key is not known here; add this line: ${'k'.repeat(2000)}`;
  role.refuseUpstream = () => reason;
  net.simulation.run({ untilMs: 30_000 });
  t.same(noticesOf(role.events), [`origin: ${reason}`]);
  const client = net.client('client', ['relay'], what);
  net.simulation.run({ untilMs: 35_000 });
  t.match(client.role.results, [{ reason: /origin: the relay does not trust its key$/ }]);
  role.refuseUpstream = undefined;
  net.simulation.run({ untilMs: 50_000 });
  t.same(noticesOf(role.events).slice(1), ['origin answers']);
});

t.test('a key that changes after the start is named with the next fetch', async (t) => {
  const net = new RelayNet('1');
  net.server('origin', [object]);
  const { role } = net.relay('relay', ['origin'], { watchesUpstreams: true });
  net.simulation.run({ untilMs: 5000 });
  role.refuseUpstream = () => 'its key has changed';
  net.client('client', ['relay'], what);
  net.simulation.run({ untilMs: 10_000 });
  t.same(noticesOf(role.events), ['origin answers', 'origin: its key has changed']);
});
