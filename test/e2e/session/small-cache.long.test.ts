/** A relay whose cache is smaller than what passes through it, as a process. */
import { mkdirSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { formatAddress } from '../../../src/base/address.js';
import { isSameContent, writeRandomFile } from '../../support/loopback.js';
import { eventsOf, SessionPlace } from '../../support/session-commands.js';

const limitBytes = 3_000_000;

/** What the files of a folder take. Files may vanish meanwhile. */
function sizeOf(folder: string): number {
  let sum = 0;
  for (const name of readdirSync(folder, { recursive: true }) as string[]) {
    const facts = statSync(join(folder, name), { throwIfNoEntry: false });
    if (facts?.isFile() === true) sum += facts.size;
  }
  return sum;
}

t.test('the cache stays below its limit while larger objects pass through', async (t) => {
  const place = new SessionPlace(t);
  const paths = Object.entries({ large: 10_000_000, small: 2_000_000, other: 2_000_000 }).map(
    ([name, sizeBytes]) => writeRandomFile(place.sent, sizeBytes, name),
  );
  const server = await place.serve([...paths, '--open']);
  const upstream = ['--upstream', formatAddress(server.address)];
  const cacheSize = ['--cache-size', String(limitBytes)];
  const relay = await place.relay([...upstream, ...cacheSize, '--open', '--json']);
  const cache = join(place.folder, 'cache');
  let largestBytes = 0;
  const watching = setInterval(() => {
    largestBytes = Math.max(largestBytes, sizeOf(cache));
  }, 20);
  t.teardown(() => clearInterval(watching));
  for (const [i, name] of ['small', 'large', 'other', 'large', 'small'].entries()) {
    const dir = join(place.folder, `in ${i}`);
    mkdirSync(dir);
    const from = ['--from', formatAddress(relay.address), '--open', '--dir', dir];
    const { code, stderr } = await place.start(place.senderHome, ['fetch', name, ...from]).exited;
    t.equal(code, 0, stderr);
    t.ok(isSameContent(join(place.sent, name), join(dir, name)));
    largestBytes = Math.max(largestBytes, sizeOf(cache));
  }
  relay.program.kill('SIGTERM');
  const exit = await relay.program.exited;
  t.equal(exit.code, 0, exit.stderr);
  t.ok(largestBytes > 2_000_000 && largestBytes <= limitBytes, `${largestBytes} bytes`);
  t.match(eventsOf(exit, 'cache-result'), [{ hits: 0, misses: 5, fetchedBytes: 26_000_000 }]);
  t.equal(eventsOf(exit, 'unstored').length, 0);
});
