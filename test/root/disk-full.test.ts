import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { parseEvents, runClient, startServer } from '../support/processes.js';
import { SessionPlace } from '../support/session-commands.js';
import { mountSmallDisk } from './small-disk.js';

t.test('a full disk fails the transfer on both sides, and no file remains', async (t) => {
  const folder = mountSmallDisk(t, 'size=512k');
  const file = join(t.testdir(), 'file.bin');
  // Far more than the disk holds and the receiver buffers.
  writeFileSync(file, randomBytes(4 * 1024 * 1024));
  const full = await startServer(t, join(folder, 'copy.bin'), 0, ['--once']);
  const good = await startServer(t, join(t.testdirName, 'copy.bin'), 0, ['--once']);

  const options = ['--give-up-after', '2', '--json'];
  const client = await runClient(t, [full.server, good.server], file, 8000, options);
  t.equal(client.code, 3, 'some receivers are complete');
  const result = parseEvents(client.stdout).at(-1);
  t.match(result?.['receivers'], [{ status: 'failed' }, { status: 'complete' }]);

  const { code, stderr } = await full.program.exited;
  t.equal(code, 4);
  t.match(stderr, /copy\.bin: the disk is full; make room and try again\n$/);
  t.equal(stderr.split('\n').length, 2, 'one line');
  t.strictSame(readdirSync(folder), []);
  t.equal((await good.program.exited).code, 0);
});

t.test('a disk that fills up at the last segment fails the transfer', async (t) => {
  const folder = mountSmallDisk(t, 'size=64k');
  const file = join(t.testdir(), 'file.bin');
  writeFileSync(file, randomBytes(100_001));
  const full = await startServer(t, join(folder, 'copy.bin'), 0, ['--once']);
  const client = await runClient(t, [full.server], file, 1000, ['--give-up-after', '2', '--json']);
  t.equal(client.code, 1);
  t.equal((await full.program.exited).code, 4);
  t.strictSame(readdirSync(folder), []);
});

t.test(
  'a receiver with a full disk is not ready, and one with a read-only disk is not healthy',
  async (t) => {
    const folder = mountSmallDisk(t, 'size=20m');
    const place = new SessionPlace(t);
    const args = ['receive', '--open', '--json', '--dir', folder, '--bind', '127.0.0.1'];
    const program = place.start(place.receiverHome, [...args, '--port', '0', '--metrics', '0']);
    const { address } = await program.waitForEvent('metrics');
    const ask = async (path: string) => {
      const response = await fetch(`http://${address}${path}`);
      const { reasons } = (await response.json()) as { reasons?: readonly string[] };
      return [response.status, reasons] as const;
    };
    t.strictSame(await ask('/readyz'), [200, undefined]);

    writeFileSync(join(folder, 'large'), randomBytes(8 * 1024 * 1024));
    const [code, reasons] = await ask('/readyz');
    t.equal(code, 503);
    t.match(reasons?.[0], / MB free, less than 16.8 MB$/);
    t.strictSame(await ask('/healthz'), [200, undefined], 'a restart would not help');

    execFileSync('mount', ['-o', 'remount,ro', folder]);
    const readOnly = [503, [`${folder}: the file system is read-only; use another one`]];
    t.strictSame(await ask('/healthz'), readOnly);
    t.strictSame(await ask('/readyz'), readOnly);
    execFileSync('mount', ['-o', 'remount,rw', folder]);
    t.strictSame(await ask('/healthz'), [200, undefined]);
    program.kill('SIGTERM');
    await program.exited;
  },
);
