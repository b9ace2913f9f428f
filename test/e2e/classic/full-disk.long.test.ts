/** A server with a full disk, simulated by a file size limit, which needs no privileges. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { writeRandomFile } from '../../support/loopback.js';
import {
  type Cleaner,
  distFolder,
  type Exit,
  Program,
  parseResult,
  runClient,
  startServer,
} from '../../support/processes.js';

t.jobs = 4;

/** Starts a server that may not write files larger than 64 KiB. */
async function serveOnFullDisk(
  t: Cleaner,
  copy: string,
): Promise<{ readonly server: string; readonly exited: Promise<Exit> }> {
  const command = 'ulimit -f 64; exec "$@"';
  const path = join(distFolder, 'cli', 'p2mpserver.js');
  const words = [process.execPath, path, '0', copy, '0', '--bind', '127.0.0.1', '--json', '--once'];
  const program = new Program(t, 'bash', ['-c', command, 'bash', ...words]);
  const { addresses } = await program.waitForEvent('listening');
  return { server: addresses[0], exited: program.exited };
}

const skip = process.platform === 'win32' && 'no file size limits on Windows';

for (const [what, size] of [
  ['a last segment that is short', 100_001],
  ['a last segment of full size', 100_000],
  ['more than fits into the buffers', 10_000_000],
] as const) {
  t.test(`a full disk is a failure: ${what}`, { buffered: true, skip }, async (t) => {
    const folder = t.testdir({ copies: { copy: 'old' } });
    const copy = join(folder, 'copies', 'copy');
    const sent = writeRandomFile(folder, size);
    const full = await serveOnFullDisk(t, copy);
    const good = await startServer(t, join(folder, 'good'), 0, ['--once']);
    const options = ['--give-up-after', '2', '--json'];
    const client = await runClient(t, [full.server, good.server], sent, 1000, options);
    t.equal(client.code, 3, 'the other server is complete');
    t.match(parseResult(client)['receivers'], [{ status: 'failed' }, { status: 'complete' }]);
    const served = await full.exited;
    t.equal(served.code, 4);
    t.match(parseResult(served), {
      status: 'failed',
      error: { code: 'TARGET_FAILED', message: /copy: the file exceeds the size limit/ },
    });
    t.same(readdirSync(join(folder, 'copies')), ['copy']);
    t.equal(readFileSync(copy).toString(), 'old');
  });
}
