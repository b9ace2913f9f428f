import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { FileReceiver } from '../../../src/node/file-receiver.js';
import { createOwnAddressCheck } from '../../../src/node/net/own-address.js';

t.test('bound to all addresses, each address of this host at its port is its own', async (t) => {
  const receiver = await FileReceiver.open({ port: 0, path: join(t.testdir(), 'copy') });
  t.teardown(() => receiver.close());
  const isOwn = createOwnAddressCheck(() => receiver.addresses);
  const port = receiver.addresses[0]?.port ?? 0;
  for (const infos of Object.values(networkInterfaces())) {
    for (const { address } of infos ?? []) {
      const family = address.includes(':') ? '::' : '0.0.0.0';
      const isServed = receiver.addresses.some(({ host }) => host === family);
      t.equal(isOwn({ host: address, port }), isServed, address);
      t.notOk(isOwn({ host: address, port: port ^ 1 }), 'another port');
    }
  }
  t.ok(isOwn({ host: '127.0.0.2', port }), 'the loopback interface has a whole network');
  t.notOk(isOwn({ host: '192.0.2.1', port }), 'another host');
});

t.test('bound to one address, no other is its own', (t) => {
  const isOwn = createOwnAddressCheck(() => [{ host: '127.0.0.1', port: 7735 }]);
  t.ok(isOwn({ host: '127.0.0.1', port: 7735 }));
  t.notOk(isOwn({ host: '127.0.0.2', port: 7735 }), 'a sender there may use the same port');
  t.notOk(isOwn({ host: '127.0.0.1', port: 7736 }));
  t.end();
});

t.test('before it listens nothing is its own', (t) => {
  let addresses = [] as { host: string; port: number }[];
  const isOwn = createOwnAddressCheck(() => addresses);
  t.notOk(isOwn({ host: '127.0.0.1', port: 7735 }));
  addresses = [{ host: '127.0.0.1', port: 7735 }];
  t.ok(isOwn({ host: '127.0.0.1', port: 7735 }));
  t.end();
});
