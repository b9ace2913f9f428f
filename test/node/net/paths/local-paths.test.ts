/** Which addresses of this host `--path` means, and what it refuses. */
import type { NetworkInterfaceInfo } from 'node:os';
import t from 'tap';
import {
  chooseLocalPaths,
  type LocalPathsOptions,
  type NetworkPaths,
  pathFinder,
} from '../../../../src/node/net/paths/local-paths.js';

function info(address: string, internal = false): NetworkInterfaceInfo {
  const more = { netmask: '', mac: '', cidr: null, internal };
  return address.includes(':')
    ? { family: 'IPv6', address, scopeid: 0, ...more }
    : { family: 'IPv4', address, ...more };
}

const interfaces = () => ({
  lo: [info('127.0.0.1', true), info('::1', true)],
  eth0: [info('fe80::1'), info('fd00::1'), info('10.1.0.1')],
  eth1: [info('10.2.0.1')],
  tun0: [info('fd99::1')],
  usb0: [info('fe80::9')],
});

function choose(choice: NetworkPaths | undefined, options: LocalPathsOptions = {}) {
  return chooseLocalPaths(choice, { interfaces, ...options });
}

const peersAt = (...hosts: string[]) => ({ peers: hosts.map((host) => ({ host, port: 7735 })) });

t.test('interfaces and addresses, in the order given', async (t) => {
  t.same(choose(undefined), []);
  t.same(choose(['eth1', '10.1.0.1']), [
    { host: '10.2.0.1', interfaceName: 'eth1' },
    { host: '10.1.0.1', interfaceName: 'eth0' },
  ]);
  t.same(choose(['tun0']), [{ host: 'fd99::1', interfaceName: 'tun0' }]);
  t.same(choose(['127.0.0.1', '127.0.0.2']), [{ host: '127.0.0.1' }, { host: '127.0.0.2' }]);
});

t.test('an interface stands for its address of the IP version of the peers', async (t) => {
  t.match(choose(['eth0'], peersAt('192.0.2.1')), [{ host: '10.1.0.1' }]);
  t.match(choose(['eth0'], peersAt('2001:db8::1')), [{ host: 'fd00::1' }]);
});

t.test('once addresses have changed, what is left of the choice is used', async (t) => {
  let present: ReturnType<NonNullable<LocalPathsOptions['interfaces']>> = interfaces();
  const findFor = (choice: NetworkPaths, options: LocalPathsOptions = {}) => {
    const changing = { interfaces: () => present, leadsTo: () => true, ...options };
    return pathFinder(choice, chooseLocalPaths(choice, changing), changing);
  };
  const named = findFor(['eth0', '10.2.0.1', 'tun0']);
  const found = findFor('auto', peersAt('192.0.2.1'));
  t.equal(pathFinder(undefined, []), undefined);
  present = { eth0: [info('10.1.0.7'), info('10.1.0.8')], eth2: [info('10.3.0.1')] };
  t.match(named?.(), [{ host: '10.1.0.7', interfaceName: 'eth0' }]);
  t.equal(named?.().length, 1);
  t.match(found?.(), [{ host: '10.1.0.7' }, { host: '10.3.0.1', interfaceName: 'eth2' }]);
  present = { eth2: [info('10.3.0.1')] };
  t.match(found?.(), [{ host: '10.3.0.1' }], 'even if only one interface is left');
  present = {};
  t.same(named?.(), []);
});

t.test('with auto, paths begin once there are two interfaces', async (t) => {
  let present: ReturnType<NonNullable<LocalPathsOptions['interfaces']>> = {};
  const options = { interfaces: () => present, leadsTo: () => true };
  t.same(chooseLocalPaths('auto', options), []);
  const find = pathFinder('auto', [], options);
  t.same(find?.(), [], 'all addresses are bound');
  present = { eth0: [info('10.1.0.7')] };
  t.same(find?.(), []);
  present = { eth0: [info('10.1.0.7')], eth1: [info('10.2.0.7')] };
  t.match(find?.(), [{ host: '10.1.0.7' }, { host: '10.2.0.7' }]);
  present = { eth1: [info('10.2.0.7')] };
  t.match(find?.(), [{ host: '10.2.0.7' }]);
});

t.test('wrong names are refused with a remedy', async (t) => {
  const has =
    'this host has lo (127.0.0.1), lo (::1), eth0 (fd00::1), eth0 (10.1.0.1), eth1 (10.2.0.1), tun0 (fd99::1)';
  const cases: [string[], string, LocalPathsOptions?][] = [
    [['eth9'], `path eth9: no such interface is up here; ${has}`],
    [['usb0'], `path usb0: no such interface is up here; ${has}`],
    [['10.9.0.9'], `path 10.9.0.9: this host has no such address; ${has}`],
    [['auto', 'eth0'], `path auto: cannot be given with others; ${has}`],
    [['a', 'b', 'c', 'd', 'e'], 'path 5 given; name at most 4 interfaces or addresses'],
    [['eth0', '10.1.0.1'], 'path eth0 and 10.1.0.1 are both 10.1.0.1; name it once'],
    [
      ['lo', 'eth0'],
      'path lo and eth0: loopback reaches only this host; name either loopback or other interfaces',
    ],
    [
      ['eth1'],
      `path eth1: has no IPv6 address, and the other side has no other one; ${has}`,
      peersAt('2001:db8::1'),
    ],
  ];
  for (const [names, message, options] of cases) {
    t.throws(() => choose(names, options), { code: 'INVALID_ARGUMENT', message }, names.join());
  }
});

t.test('loopback is refused for another host, and taken for this one', async (t) => {
  const message = /^path 127\.0\.0\.1: loopback does not reach 10\.9\.0\.1; name other interfaces/;
  t.throws(() => choose(['lo'], peersAt('10.9.0.1')), { code: 'INVALID_ARGUMENT', message });
  t.same(choose(['127.0.0.1'], peersAt('127.0.0.1', '10.1.0.1')), [{ host: '127.0.0.1' }]);
});

t.test('an empty name is refused with the remedy', async (t) => {
  const message = /^path '': a name is empty; give auto, or interfaces; this host has lo /;
  t.throws(() => choose(['']), { code: 'INVALID_ARGUMENT', message });
});

t.test('auto takes the interfaces that lead to a peer', async (t) => {
  const leadsTo = (name: string, host: string) =>
    host.startsWith('10.9.') && (name === 'eth0' || name === 'eth1');
  t.same(choose('auto', { ...peersAt('10.9.0.1'), leadsTo }), [
    { host: '10.1.0.1', interfaceName: 'eth0' },
    { host: '10.2.0.1', interfaceName: 'eth1' },
  ]);
  t.same(choose('auto', { ...peersAt('10.8.0.1'), leadsTo }), [], 'none leads there');
  t.same(
    choose('auto', { ...peersAt('127.0.0.1'), leadsTo: () => true }),
    [],
    'one is not several',
  );
});

t.test('without peers, auto takes those first that lead out, and at most four', async (t) => {
  const many = () =>
    Object.fromEntries([1, 2, 3, 4, 5].map((i) => [`eth${i}`, [info(`10.${i}.0.1`)]]));
  const leadsTo = (name: string) => name === 'eth5';
  const hosts = choose('auto', { interfaces: many, leadsTo }).map(({ host }) => host);
  t.same(hosts, ['10.5.0.1', '10.1.0.1', '10.2.0.1', '10.3.0.1']);
});
