/** The disk of a relay's cache becomes full while it fetches. Needs root on Linux. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { formatAddress } from '../../src/base/address.js';
import { isSameContent, writeRandomFile } from '../support/loopback.js';
import { SessionPlace } from '../support/session-commands.js';
import { mountSmallDisk } from './small-disk.js';

t.test('clients get their object although the disk of the cache fills up', async (t) => {
  const place = new SessionPlace(t);
  const path = writeRandomFile(place.sent, 8_000_000);
  const server = await place.serve([path, '--open', '--rate', '2MB']);
  await server.program.waitFor(/Offering sent/);
  const disk = mountSmallDisk(t, 'size=12m');
  const cache = ['--cache', join(disk, 'cache'), '--cache-size', '11MB'];
  const upstream = ['--upstream', formatAddress(server.address)];
  const relay = await place.relay([...upstream, ...cache, '--open', '--json']);
  const fetch = (into: string) => {
    const dir = join(place.folder, into);
    mkdirSync(dir);
    const from = ['--from', formatAddress(relay.address), '--open', '--json', '--dir', dir];
    return place.start(place.senderHome, ['fetch', 'sent', ...from]);
  };
  const first = fetch('first');
  await first.waitFor(/"event":"progress".*"deliveredBytes":[1-9]/);
  // As much as another program can get.
  try {
    writeFileSync(join(disk, 'filler'), Buffer.alloc(12 << 20));
  } catch (error) {
    t.equal((error as NodeJS.ErrnoException).code, 'ENOSPC');
  }
  t.match(await relay.program.waitForEvent('cache-error'), { reason: /the disk is full/ });
  // The second one comes while nothing can be stored.
  for (const [into, client] of [
    ['first', first],
    ['second', fetch('second')],
  ] as const) {
    const { code, stderr } = await client.exited;
    t.equal(code, 0, stderr);
    t.ok(isSameContent(path, join(place.folder, into, 'sent')), into);
  }
});
