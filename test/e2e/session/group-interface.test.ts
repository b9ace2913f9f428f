/** The interface for sending to a group, and groups that cannot be joined. */
import { readFileSync } from 'node:fs';
import t from 'tap';
import { Endpoint } from '../../../src/node/net/endpoint.js';
import { groupSource } from '../../../src/node/net/groups/group-address.js';
import { JoinedGroups } from '../../../src/node/net/groups/joined-groups.js';
import { noSecondLoopback } from '../../support/loopback.js';

const at = (host: string, port = 7735) => ({ host, port });

/** Documentation addresses: a route to them leads away from loopback, if there is one. */
t.test('the interface is that of the receivers that the group can reach', async (t) => {
  const group = at('239.1.2.3');
  t.equal(await groupSource(group, [at('127.0.0.1')]), '127.0.0.1');
  t.equal(await groupSource(group, [at('192.0.2.1', 1), at('127.0.0.1')]), '127.0.0.1');
  t.equal(await groupSource(group, [at('127.0.0.1', 1)]), undefined, 'no receiver on its port');
  t.equal(await groupSource(group, [at('::1')]), undefined, 'no receiver of its address family');
});

t.test(
  'the majority of receivers decides, not the first one',
  { skip: noSecondLoopback },
  async (t) => {
    const receivers = [at('192.0.2.1'), at('127.0.0.1'), at('127.0.0.2')];
    t.match(await groupSource(at('239.1.2.3'), receivers), /^127\./);
  },
);

/** Per socket; undefined if the limit is unknown. */
function membershipLimit(): number | undefined {
  try {
    return Number(readFileSync('/proc/sys/net/ipv4/igmp_max_memberships', 'utf8'));
  } catch {
    return undefined;
  }
}

const limit = membershipLimit();
const noLimit =
  (limit === undefined || limit > 1000) && 'the system has no low limit on memberships';

t.test("exceeding the system's limit on groups is reported", { skip: noLimit }, async (t) => {
  const endpoint = await Endpoint.open({
    port: 0,
    bind: ['0.0.0.0'],
    handleDatagram: () => undefined,
    handleWritable: () => undefined,
    handleSendError: () => undefined,
  });
  t.teardown(() => endpoint.close());
  const groups = new JoinedGroups();
  const port = endpoint.addresses[0]?.port ?? 0;
  const groupOf = (i: number) => ({ host: `239.77.${i >> 8}.${i & 255}`, port });
  const join = (session: number) => groups.join(endpoint, session, groupOf(session));
  const reasons = Array.from({ length: (limit ?? 0) + 1 }, (_, session) => join(session));
  t.equal(reasons[0], undefined);
  t.equal(
    reasons.at(-1),
    'this host has joined as many groups as the system allows (net.ipv4.igmp_max_memberships)',
  );
  t.equal(
    groups.join(endpoint, 5000, groupOf(0)),
    undefined,
    'a group that is already joined works again',
  );
  for (let session = 0; session <= (limit ?? 0); session++) groups.leave(endpoint, session);
  t.equal(join(limit ?? 0), undefined, 'leaving a group makes room');
});
