import { readFileSync } from 'node:fs';
import t from 'tap';
import { loadSystemCalls } from '../../../src/node/net/offload/offload-system.js';
import { largestDatagramBytes, pathMtuBytes } from '../../../src/node/net/path-mtu.js';
import { hasIPv6 } from '../../support/loopback.js';

const skip = (() => {
  try {
    loadSystemCalls();
    return false;
  } catch (error) {
    return `the system cannot be asked: ${(error as Error).message}`;
  }
})();

t.test('the MTU of the loopback interface', { skip }, async (t) => {
  const mtu = Number(readFileSync('/sys/class/net/lo/mtu', 'utf8'));
  // The length field of IPv4 has 16 bits: one less than the usual MTU of loopback.
  const ipv4Mtu = Math.min(mtu, 65_535);
  t.equal(pathMtuBytes({ host: '127.0.0.1', port: 7000 }), ipv4Mtu);
  t.equal(pathMtuBytes({ host: '127.0.0.1', port: 0 }), ipv4Mtu, 'without a port');
  t.equal(pathMtuBytes({ host: '239.255.0.1', port: 7000 }, { from: '127.0.0.1' }), ipv4Mtu);
  if (hasIPv6) t.equal(pathMtuBytes({ host: '::1', port: 7000 }), mtu);
});

t.test('without a route, nothing is known', { skip }, async (t) => {
  for (const host of ['255.255.255.255', 'name.example', 'fe80::1', 'fe80::1%none']) {
    t.equal(pathMtuBytes({ host, port: 7000 }), undefined, host);
  }
  const to = { host: '127.0.0.1', port: 7000 };
  t.equal(
    pathMtuBytes(to, { from: '192.0.2.77' }),
    undefined,
    'not from an address of another host',
  );
});

t.test('without the system call, nothing is known', async (t) => {
  const missing = () => {
    throw new Error('koffi is not installed');
  };
  const to = { host: '127.0.0.1', port: 7000 };
  t.equal(pathMtuBytes(to, { loadSystemCalls: missing }), undefined);
});

t.test('headers take their part of it', async (t) => {
  const ipv4 = { host: '192.0.2.1', port: 7000 };
  const ipv6 = { host: '2001:db8::1', port: 7000 };
  t.equal(largestDatagramBytes(ipv4, 1500), 1472);
  t.equal(largestDatagramBytes(ipv6, 1500), 1452);
  t.equal(largestDatagramBytes(ipv4, 65_535), 65_507);
  t.equal(largestDatagramBytes(ipv4, 65_536), 65_507, 'not more than UDP allows');
  t.equal(largestDatagramBytes(ipv6, 65_536), 65_488);
});
