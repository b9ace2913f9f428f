/** Fetches while clocks jump. */
import { join } from 'node:path';
import t from 'tap';
import { FakedClock, noFaketime } from '../../support/faked-clock.js';
import { isSameContent, writeRandomFile } from '../../support/loopback.js';
import { distFolder, Program } from '../../support/processes.js';
import { SessionPlace } from '../../support/session-commands.js';

const p2mp = join(distFolder, 'cli', 'p2mp.js');

t.test('clocks that jump during a fetch', { skip: noFaketime }, async (t) => {
  const place = new SessionPlace(t);
  const path = writeRandomFile(place.sent, 6_000_000);
  const clock = new FakedClock(join(place.folder, 'clock'));
  const start = (home: string, ...args: string[]) =>
    new Program(t, process.execPath, [p2mp, ...args, '--open', '--json'], {
      env: { ...clock.env, P2MP_HOME: home },
    });
  const where = ['--bind', '127.0.0.1', '--port', '0', '--index', join(place.folder, 'index')];
  const server = start(place.receiverHome, 'serve', path, ...where, '--rate', '2MB');
  const { addresses } = await server.waitForEvent('listening');
  await server.waitForEvent('indexed');
  const dir = join(place.folder, 'in');
  const client = start(place.senderHome, 'fetch', 'sent', '--from', addresses[0], '--dir', dir);
  await client.waitForEvent('progress');
  clock.set('+3d');
  await server.waitForEvent('progress');
  clock.set('-3d');
  const exit = await client.exited;
  t.equal(exit.code, 0, exit.stderr);
  t.ok(isSameContent(path, join(dir, 'sent')));
});
