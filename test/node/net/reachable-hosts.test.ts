/** The addresses that a receiver gives to senders. */
import { isIPv6 } from 'node:net';
import { hostname, networkInterfaces } from 'node:os';
import t from 'tap';
import { findReachableHosts } from '../../../src/node/net/reachable-hosts.js';

const own = Object.values(networkInterfaces()).flatMap((infos) => infos ?? []);
const isOwn = (host: string) => own.some(({ address, internal }) => address === host && !internal);

t.test('an address that a receiver is bound to is given as it is', async (t) => {
  t.same(await findReachableHosts(['127.0.0.1']), ['127.0.0.1']);
  t.same(await findReachableHosts(['::1', '127.0.0.1']), ['::1', '127.0.0.1']);
});

t.test('a wildcard becomes the addresses of this host, never a wildcard or loopback', async (t) => {
  const hosts = await findReachableHosts(['0.0.0.0', '::']);
  t.equal(new Set(hosts).size, hosts.length, 'each once');
  if (hosts[0] === hostname())
    t.notOk(
      own.some(
        ({ internal, family, address }) =>
          !internal && family === 'IPv4' && !address.startsWith('169.254.'),
      ),
    );
  else {
    for (const host of hosts) {
      t.ok(isOwn(host), host);
      t.notMatch(host, /^fe80:/);
    }
  }
  const firstOfIPv6 = hosts.findIndex((host) => isIPv6(host));
  t.ok(
    hosts.every((host, i) => firstOfIPv6 < 0 || i < firstOfIPv6 || isIPv6(host)),
    'IPv4 first',
  );
});

t.test('a receiver of one IP version gives no address of the other one', async (t) => {
  const hosts = await findReachableHosts(['0.0.0.0']);
  t.notOk(hosts.some((host) => isIPv6(host)));
});
