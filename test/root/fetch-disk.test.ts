/** Clients that fetch onto a disk that is too small, or becomes full. Needs root on Linux. */
import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { formatAddress } from '../../src/base/address.js';
import { isSameContent, writeRandomFile } from '../support/loopback.js';
import { parseResult } from '../support/processes.js';
import { SessionPlace } from '../support/session-commands.js';
import { mountSmallDisk } from './small-disk.js';

const sizeBytes = 8_000_000;

async function prepare(t: Test, diskSize: string, rate: string) {
  const place = new SessionPlace(t);
  const path = writeRandomFile(place.sent, sizeBytes);
  const { program, address } = await place.serve([path, '--open', '--rate', rate]);
  await program.waitFor(/Offering sent/);
  const disk = mountSmallDisk(t, `size=${diskSize}`);
  const from = ['--from', formatAddress(address), '--open', '--json', '--dir', disk];
  const fetch = () => place.start(place.senderHome, ['fetch', 'sent', ...from]);
  return { path, disk, server: program, fetch };
}

t.test('a disk without room for the object', async (t) => {
  const { disk, fetch } = await prepare(t, '2m', '50MB');
  const exit = await fetch().exited;
  t.equal(exit.code, 1);
  t.match(parseResult(exit), { status: 'failed', reason: /: needs 8\.00 MB, .* free; make room$/ });
  t.same(readdirSync(disk), [], 'nothing was begun');
});

t.test('a disk that fills up midway', async (t) => {
  const { path, disk, server, fetch } = await prepare(t, '12m', '2MB');
  const fetching = fetch();
  // Then there was room, and blocks have been written.
  await fetching.waitForFile(disk, /p2mp-part/);
  await fetching.waitFor(/"event":"progress".*"deliveredBytes":[1-9]/);
  // As much as another program can get.
  const filler = join(disk, 'filler');
  try {
    writeFileSync(filler, Buffer.alloc(12 << 20));
  } catch (error) {
    t.equal((error as NodeJS.ErrnoException).code, 'ENOSPC');
  }
  const exit = await fetching.exited;
  t.equal(exit.code, 1, exit.stderr);
  const reason = /sent: the disk is full; make room and try again/;
  t.match(parseResult(exit), { status: 'failed', reason });
  await server.waitFor(reason, 'stderr');
  rmSync(filler);
  const again = await fetch().exited;
  t.equal(again.code, 0, again.stderr);
  t.ok(isSameContent(path, join(disk, 'sent')));
  t.same(readdirSync(disk), ['sent']);
});
