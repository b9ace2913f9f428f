/** Receiver addresses that are no host: both protocols refuse them at once, with a reason. */
import { networkInterfaces } from 'node:os';
import t from 'tap';
import { checkIsHost } from '../../../src/node/net/receiver-address.js';
import { writeRandomFile } from '../../support/loopback.js';
import { startCommand } from '../../support/processes.js';

const reasonFor = (host: string, name = host): string => {
  try {
    checkIsHost(name, { host, port: 7735 });
  } catch (error) {
    return (error as Error).message;
  }
  return '';
};

t.test('groups', async (t) => {
  for (const host of ['224.0.0.1', '239.1.2.3', '239.255.255.255', 'ff02::1', 'ff15::1%lo']) {
    t.match(reasonFor(host), /: is the address of a multicast group, not of a host; name each/);
  }
  t.match(reasonFor('239.1.2.3', 'all:7000'), /^all:7000 \(239\.1\.2\.3\): is the address of/);
});

t.test('broadcast addresses, of all networks and of those of this host', async (t) => {
  t.match(reasonFor('255.255.255.255'), /is the broadcast address of every network, not of a /);
  const loopback = networkInterfaces()['lo']?.find(({ family }) => family === 'IPv4');
  if (loopback?.cidr === '127.0.0.1/8') {
    t.match(reasonFor('127.255.255.255'), /is the broadcast address of lo \(127\.0\.0\.1\/8\)/);
  }
});

t.test('wildcards, which a receiver shows as its listening addresses', async (t) => {
  for (const host of ['0.0.0.0', '::']) {
    t.match(reasonFor(host), /: stands for all addresses of a host; name one of them$/, host);
  }
  t.match(reasonFor('::', 'any:7000'), /^any:7000 \(::\): stands for all/);
});

t.test('ordinary hosts are accepted', async (t) => {
  const own = Object.values(networkInterfaces()).flatMap((infos = []) => infos);
  const hosts = own.map(({ address }) => address);
  for (const host of [...hosts, '127.0.0.1', '223.255.255.254', '240.0.0.1', '::1', 'fe80::1%lo']) {
    t.equal(reasonFor(host), '', host);
  }
});

t.test('both protocols refuse them before anything is sent', { buffered: true }, async (t) => {
  const folder = t.testdir();
  const sent = writeRandomFile(folder, 1000);
  const env = { P2MP_HOME: folder };
  const commands = [
    ['p2mp', ['send', sent, '--to', '239.1.2.3', '--open']],
    ['p2mp', ['send', sent, '--to', '239.1.2.3', '--open', '--dry-run']],
    ['p2mpclient', ['239.1.2.3', '7735', sent, '500']],
  ] as const;
  for (const [command, args] of commands) {
    const exit = await startCommand(t, command, args, { env }).exited;
    t.equal(exit.code, 2, args.join(' '));
    t.match(exit.stderr, /239\.1\.2\.3: is the address of a multicast group/);
  }
});
