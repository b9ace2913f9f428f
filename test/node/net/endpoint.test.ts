import { createSocket, type RemoteInfo } from 'node:dgram';
import { once } from 'node:events';
import { networkInterfaces } from 'node:os';
import t, { type Test } from 'tap';
import type { Address, Arrival } from '../../../src/base/address.js';
import { Endpoint, type EndpointOptions } from '../../../src/node/net/endpoint.js';
import { fatalSendError } from '../../../src/node/net/fatal-send-error.js';
import { hasIPv6, noOffload, noSecondLoopback, openSilentPort } from '../../support/loopback.js';
import type { Cleaner } from '../../support/processes.js';

/** Records the events of an endpoint in order. */
class Opened {
  readonly datagrams: { readonly from: Arrival; readonly text: string }[] = [];
  readonly errors: NodeJS.ErrnoException[] = [];
  private onChange: (() => void)[] = [];

  private constructor(readonly endpoint: Endpoint) {}

  static async open(t: Cleaner, options: Partial<EndpointOptions>): Promise<Opened> {
    let opened: Opened | undefined;
    const endpoint = await Endpoint.open({
      port: 0,
      handleDatagram: (from, bytes) => {
        opened?.datagrams.push({ from, text: Buffer.from(bytes).toString() });
        opened?.tell();
      },
      handleWritable: () => undefined,
      handleSendError: (error) => {
        opened?.errors.push(error);
        opened?.tell();
      },
      ...options,
    });
    t.teardown(() => endpoint.close());
    opened = new Opened(endpoint);
    return opened;
  }

  get address(): Address {
    const [address] = this.endpoint.addresses;
    if (address === undefined) throw new Error('no address');
    return address;
  }

  send(to: Address, text: string): void {
    this.endpoint.send({ to, bytes: Buffer.from(text) });
  }

  /** Resolves once the condition holds; it is checked after every event. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((resolve) => this.onChange.push(resolve));
  }

  private tell(): void {
    for (const resolve of this.onChange.splice(0)) resolve();
  }
}

/** An IPv6 address of an interface that has groups; loopback has none. Empty if there is no such interface. */
const outerIPv6 = Object.values(networkInterfaces())
  .flatMap((infos = []) => infos)
  .filter(({ internal, scopeid }) => !internal && scopeid === 0)
  .map(({ address }) => address)
  .slice(0, 1);
/** Interfaces that are not loopback, with an IPv4 address of each. */
const outerIPv4 = Object.entries(networkInterfaces()).flatMap(([name, infos = []]) =>
  infos
    .filter(({ internal, family }) => !internal && family === 'IPv4')
    .map(({ address }) => [name, address] as const),
);
const noOuterIPv6 = outerIPv6.length === 0 && 'this host has no IPv6 interface for groups';

for (const [kind, offload, skip] of [
  ['plain sockets', 'off', false],
  ['sockets with offload', 'auto', noOffload],
] as const) {
  t.test(kind, { skip }, async (t) => testEndpoints(t, offload));
}

t.test('a temporary error is not fatal', async (t) => {
  const error = Object.assign(new Error('unreachable'), { code: 'ENETUNREACH' });
  t.equal(fatalSendError(error, 500), undefined);
});

function testEndpoints(t: Test, offload: 'off' | 'auto'): void {
  const open = (t: Cleaner, options: Partial<EndpointOptions> = {}) =>
    Opened.open(t, { offload, ...options });

  for (const host of ['127.0.0.1', '::1']) {
    const skip = host === '::1' && !hasIPv6 ? 'this host has no IPv6' : false;
    t.test(`datagrams travel both ways on ${host}`, { skip }, async (t) => {
      const a = await open(t, { bind: [host] });
      const b = await open(t, { bind: [host] });
      t.match(a.address, { host, port: Number });
      a.send(b.address, 'there');
      await b.until(() => b.datagrams.length === 1);
      const [{ from, text }] = b.datagrams as [(typeof b.datagrams)[0]];
      t.match({ text, from }, { text: 'there', from: a.address });
      b.send(from, 'and back');
      await a.until(() => a.datagrams.length === 1);
      t.match(a.datagrams[0], { text: 'and back', from: b.address });
      t.same([...a.errors, ...b.errors], []);
    });
  }

  t.test('without named addresses, it listens on all of the host, at one port', async (t) => {
    const { endpoint } = await open(t);
    const hosts = endpoint.addresses.map(({ host }) => host);
    t.same(hosts, hasIPv6 ? ['0.0.0.0', '::'] : ['0.0.0.0']);
    t.equal(new Set(endpoint.addresses.map(({ port }) => port)).size, 1);
  });

  t.test(
    'an answer is sent from the address that was asked',
    { skip: noSecondLoopback },
    async (t) => {
      const both = await open(t, { bind: ['127.0.0.1', '127.0.0.2'] });
      const asking = createSocket('udp4').bind(0, '127.0.0.1');
      t.teardown(() => asking.close());
      await once(asking, 'listening');
      for (const { host, port } of both.endpoint.addresses) {
        asking.send('?', port, host);
        await both.until(() => both.datagrams.length > 0);
        const datagram = both.datagrams.pop();
        if (datagram !== undefined) both.send(datagram.from, '!');
        const [, from] = (await once(asking, 'message')) as [Buffer, RemoteInfo];
        t.match(from, { address: host, port });
      }
    },
  );

  t.test('a path begins at its own address', { skip: noSecondLoopback }, async (t) => {
    const paths = [{ host: '127.0.0.1' }, { host: '127.0.0.2' }];
    const a = await open(t, { paths });
    t.match(a.endpoint.pathAddresses, paths, 'nothing else is bound');
    t.equal(a.endpoint.addresses.length, 2);
    const b = await open(t, { bind: ['127.0.0.1'] });
    const sends = [{ from: '127.0.0.2' }, { from: '127.0.0.1' }, { from: '192.0.2.9' }, {}];
    for (const end of sends) {
      a.endpoint.send({ to: b.address, bytes: Buffer.from('x'), ...end });
      await b.until(() => b.datagrams.length > 0);
      const { host } = b.datagrams.pop()?.from ?? {};
      const wanted = end.from === '127.0.0.2' ? end.from : '127.0.0.1';
      t.equal(host, wanted, 'without such an address, the one that is nearest to the other host');
    }
    const [, second] = a.endpoint.addresses;
    b.send(second as Address, 'to the second');
    await a.until(() => a.datagrams.length === 1);
    t.equal(a.datagrams[0]?.from.localHost, '127.0.0.2');
  });

  t.test('addresses of paths come and go', { skip: noSecondLoopback }, async (t) => {
    const a = await open(t, { paths: [{ host: '127.0.0.1' }, { host: '127.0.0.2' }] });
    const [, second] = a.endpoint.addresses as [Address, Address];
    const b = await open(t, { bind: ['127.0.0.1'] });
    b.send(second, 'to the second');
    await a.until(() => a.datagrams.length === 1);
    const from = a.datagrams[0]?.from as Address;
    t.equal(await a.endpoint.setPaths([{ host: '127.0.0.1' }, { host: '127.0.0.3' }]), true);
    t.match(a.endpoint.pathAddresses, [{ host: '127.0.0.1' }, { host: '127.0.0.3' }]);
    b.send(a.endpoint.pathAddresses[1] as Address, 'to the third');
    await a.until(() => a.datagrams.length === 2);
    t.equal(a.datagrams[1]?.from.localHost, '127.0.0.3');
    a.endpoint.send({ to: from, bytes: Buffer.from('x') });
    await b.until(() => b.datagrams.length === 1);
    t.equal(b.datagrams[0]?.from.host, '127.0.0.1', 'an answer leaves although its socket is gone');
    t.equal(await a.endpoint.setPaths([{ host: '192.0.2.1' }]), false, 'not an own address');
    t.equal(a.endpoint.pathAddresses.length, 2, 'the last sockets stay');
    t.equal(await a.endpoint.setPaths([]), true);
    t.equal(a.endpoint.pathAddresses.length, 2);
  });

  t.test(
    'a socket that was bound becomes that of a path',
    { skip: noSecondLoopback },
    async (t) => {
      const a = await open(t, { bind: ['127.0.0.1'] });
      const number = a.address.port;
      const hosts = ['127.0.0.1', '127.0.0.2'];
      t.equal(await a.endpoint.setPaths(hosts.map((host) => ({ host }))), true);
      t.same(
        a.endpoint.pathAddresses,
        hosts.map((host) => ({ host, port: number })),
      );
      const b = await open(t, { bind: ['127.0.0.1'] });
      b.send({ host: '127.0.0.1', port: number }, 'x');
      await a.until(() => a.datagrams.length === 1);
      t.equal(a.datagrams[0]?.from.localHost, '127.0.0.1');
    },
  );

  t.test(
    'paths begin at sockets that were bound to all addresses',
    { skip: noSecondLoopback },
    async (t) => {
      const a = await open(t, {});
      const group = { host: '239.77.0.9', port: a.address.port };
      const canJoin = a.endpoint.joinGroup(group) === undefined;
      a.endpoint.sendGroupsBy('127.0.0.1', 0);
      const number = a.address.port;
      t.equal(await a.endpoint.setPaths([]), true);
      t.match(a.endpoint.addresses[0], { host: '0.0.0.0', port: number });
      t.equal(await a.endpoint.setPaths([{ host: '192.0.2.1' }]), false, 'not an own address');
      t.match(a.endpoint.addresses.at(-1), { host: '0.0.0.0', port: number }, 'all of them again');
      const paths = [{ host: '127.0.0.1' }, { host: '127.0.0.2' }];
      t.equal(await a.endpoint.setPaths(paths), true);
      const at = paths.map(({ host }) => ({ host, port: number }));
      t.same(a.endpoint.pathAddresses, at);
      const others = a.endpoint.addresses.filter(({ host }) => !host.startsWith('127.'));
      t.ok(
        others.every(({ host }) => host === '::'),
        'IPv6 is as before',
      );
      const b = await open(t, { bind: ['127.0.0.1'] });
      for (const each of at) b.send(each, each.host);
      await a.until(() => a.datagrams.length === 2);
      t.same(a.datagrams.map(({ from, text }) => [from.localHost, text]).sort(), [
        ['127.0.0.1', '127.0.0.1'],
        ['127.0.0.2', '127.0.0.2'],
      ]);
      if (!canJoin) return;
      b.endpoint.sendGroupsBy('127.0.0.1', 0);
      b.send(group, 'to the group');
      await a.until(() => a.datagrams.some(({ text }) => text === 'to the group'));
    },
  );

  const [name, outer] = outerIPv4[0] ?? ['', ''];
  t.test('a path leaves by its interface', { skip: outer === '' && 'no interface' }, async (t) => {
    const paths = [{ host: outer, interfaceName: name }];
    const { endpoint } = await open(t, { paths });
    t.same(endpoint.offload.routedHosts, offload === 'auto' ? undefined : [outer]);
  });

  t.test(
    'a port in use is refused with a reason, and no other socket stays open',
    { skip: noSecondLoopback },
    async (t) => {
      const taken = await openSilentPort(t);
      const opening = open(t, { bind: ['127.0.0.2', '127.0.0.1'], port: taken });
      await t.rejects(opening, {
        code: 'PORT_UNAVAILABLE',
        message: `UDP 127.0.0.1:${taken}: the port is in use; stop the program that uses it, or choose another port`,
      });
      const again = await open(t, { bind: ['127.0.0.2'], port: taken });
      t.equal(again.address.port, taken, 'its other address is free again');
    },
  );

  for (const [hosts, groupHost, sending] of [
    [['127.0.0.1', '127.0.0.2'], '239.255.77.36', '0.0.0.0'],
    [outerIPv6, 'ff15::77:36', '::'],
  ] as const) {
    const skip = hosts === outerIPv6 ? noOuterIPv6 : noSecondLoopback;
    t.test(
      `endpoints bound to ${hosts.join(' and ')} receive from a group`,
      { skip },
      async (t) => {
        const [from, stranger] = [await open(t, { bind: [sending] }), await open(t)];
        const bound: Opened[] = [];
        for (const host of hosts) {
          bound.push(await open(t, { bind: [host], port: bound[0]?.address.port ?? 0 }));
        }
        const [{ address }] = bound as [Opened];
        const group = { host: groupHost, port: address.port };
        for (const { endpoint } of bound) t.equal(endpoint.joinGroup(group), undefined);
        t.equal(stranger.endpoint.joinGroup(group), undefined);
        from.endpoint.sendGroupsBy(hosts[0] ?? '', 1);
        from.send(group, 'to all');
        await stranger.until(() => stranger.datagrams.length > 0);
        t.equal(stranger.datagrams[0]?.text, 'to all', 'although it has another port');
        stranger.endpoint.leaveGroup(group);
        for (const receiver of bound) {
          const { datagrams, address } = receiver;
          await receiver.until(() => datagrams.length > 0);
          t.same(
            datagrams.map(({ text }) => text),
            ['to all'],
            'once',
          );
          receiver.send(datagrams[0]?.from as Address, 'got it');
          await from.until(() => from.datagrams.length > 0);
          t.match(from.datagrams.pop(), { from: address, text: 'got it' }, 'from its own address');
        }
        for (const { endpoint } of bound) endpoint.leaveGroup(group);
        from.send(group, 'to nobody');
        for (const receiver of bound) {
          from.send(receiver.address, 'to one');
          await receiver.until(() => receiver.datagrams.length > 1);
          t.equal(receiver.datagrams[1]?.text, 'to one');
          t.equal(receiver.endpoint.joinGroup(group), undefined, 'joining again works');
        }
        t.same(
          [...bound, from].flatMap(({ errors }) => errors),
          [],
        );
      },
    );
  }

  t.test('an endpoint does not join groups of another IP version', async (t) => {
    const { endpoint } = await open(t, { bind: ['127.0.0.1'] });
    const group = { host: 'ff15::77:37', port: 7735 };
    t.equal(endpoint.joinGroup(group), 'no open socket for IPv6');
    endpoint.leaveGroup(group);
  });

  t.test('an address that the host does not have is refused with a reason', async (t) => {
    await t.rejects(open(t, { bind: ['192.0.2.1'] }), {
      code: 'PORT_UNAVAILABLE',
      message: /^UDP 192\.0\.2\.1:0: this host has no such address/,
    });
  });

  t.test('flush waits until everything was sent', async (t) => {
    const a = await open(t, { bind: ['127.0.0.1'] });
    const b = await open(t, { bind: ['127.0.0.1'] });
    for (let i = 0; i < 100; i++) a.send(b.address, String(i));
    await a.endpoint.flush();
    await a.endpoint.close();
    await b.until(() => b.datagrams.length === 100);
    t.same(
      b.datagrams.map(({ text }) => Number(text)),
      [...Array(100).keys()],
      'all of them, in order',
    );
  });

  t.test('a datagram that the system refuses is reported and ends nothing', async (t) => {
    const a = await open(t, { bind: ['127.0.0.1'] });
    const b = await open(t, { bind: ['127.0.0.1'] });
    a.send(b.address, 'x'.repeat(65_508));
    await a.until(() => a.errors.length === 1);
    const [error] = a.errors;
    t.match(error, { code: 'EMSGSIZE' });
    t.match(error && fatalSendError(error, 65_499), {
      code: 'DATAGRAM_TOO_LARGE',
      message: /^MSS 65499: .*use a smaller MSS/,
    });
    a.send(b.address, 'fits');
    await b.until(() => b.datagrams.length === 1);
    t.match(b.datagrams, [{ text: 'fits' }]);
  });

  t.test('closing frees the port; later datagrams are ignored', async (t) => {
    const a = await open(t, { bind: ['127.0.0.1'] });
    const { address } = a;
    await a.endpoint.close();
    await a.endpoint.close();
    a.send(address, 'too late');
    const b = await open(t, { bind: [address.host], port: address.port });
    t.same(b.address, address);
    t.same(a.errors, []);
  });
}
