/** Routing tables of Linux. */
import t from 'tap';
import { parseRoutes4, parseRoutes6 } from '../../../../src/node/net/paths/interface-routes.js';

const table4 = `Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t0100010A\t0003\t0\t0\t100\t00000000\t0\t0\t0
eth1\t0000020A\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0
eth2\t0000030A\t00000000\t0000\t0\t0\t0\t0000FFFF\t0\t0\t0
`;

const table6 = `20010db8000000000000000000000000 20 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000001 00000000 00000001     eth0
00000000000000000000000000000000 00 00000000000000000000000000000000 00 00000000000000000000000000000000 ffffffff 00000001 00000000 00200200       lo
`;

t.test('an IPv4 route covers its network, and the default route everything', async (t) => {
  const [all, network, ...others] = parseRoutes4(table4);
  t.match([all, network], [{ interfaceName: 'eth0' }, { interfaceName: 'eth1' }]);
  t.same(others, [], 'a route that is down is none');
  t.ok(all?.covers('192.0.2.1'));
  t.ok(network?.covers('10.2.255.1'));
  t.notOk(network?.covers('10.3.0.1'));
});

t.test('an IPv6 route covers its network', async (t) => {
  const [network, ...others] = parseRoutes6(table6);
  t.match(network, { interfaceName: 'eth0' });
  t.same(others, [], 'a route that leads nowhere is none');
  t.ok(network?.covers('2001:db8::1'));
  t.notOk(network?.covers('2001:db9::1'));
});
