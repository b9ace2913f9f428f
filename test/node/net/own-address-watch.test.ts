/** Addresses of this host that come and go. */
import type { NetworkInterfaceInfo } from 'node:os';
import t from 'tap';
import { OwnAddressWatch } from '../../../src/node/net/own-address-watch.js';

function infoOf(address: string): NetworkInterfaceInfo {
  return {
    ...{ address, family: 'IPv4', netmask: '255.255.255.0', mac: '00:00:00:00:00:00' },
    ...{ internal: false, cidr: null },
  };
}

t.test(
  'a change of addresses is reported, and once more for their routes, whatever their order',
  async (t) => {
    let interfaces: NodeJS.Dict<NetworkInterfaceInfo[]> = { eth0: [infoOf('192.0.2.1')] };
    let count = 0;
    const watch = new OwnAddressWatch(
      () => count++,
      () => interfaces,
    );
    t.teardown(() => watch.close());
    const changesTo = (next: typeof interfaces) => {
      const before = count;
      interfaces = next;
      for (let i = 0; i < 4; i++) watch.check();
      return count - before;
    };
    t.equal(changesTo({ eth0: [infoOf('192.0.2.1')] }), 0);
    t.equal(changesTo({ eth0: [infoOf('192.0.2.2')] }), 2, 'another one');
    const both = { eth0: [infoOf('192.0.2.2')], wlan0: [infoOf('198.51.100.7')] };
    t.equal(changesTo(both), 2, 'one more');
    t.equal(changesTo({ wlan0: both.wlan0, eth0: both.eth0 }), 0, 'in another order');
    t.equal(changesTo({ wlan0: [infoOf('192.0.2.2')] }), 2, 'at another interface');
    t.equal(changesTo({}), 2, 'none');
    watch.checkAgain();
    t.equal(changesTo({}), 1, 'on request');
  },
);
