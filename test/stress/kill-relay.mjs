// Kills a relay with SIGKILL at random moments while 8 clients fetch through it, and starts it again: every client must
// end with an identical file, the cache must hold the object as a whole, and a fetch from it alone must verify.
//
//   npm run test:faults:relay -- [rounds] [seed]
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createRandom } from '../../dist/core.js';
import { killAll, portOf, sha256, startIn, wait, within } from './programs.mjs';

const [rounds = '20', seed = String(Date.now() % 1_000_000)] = process.argv.slice(2);
const clientCount = 8;
const sizeBytes = 8_000_000;
const rate = '1MB';
/** A little longer than the fetch takes. */
const spanMs = 9000;
/** Nothing that is waited for takes as long, however slow the machine is; a client without source gives up after 60 s. */
const limitMs = 180_000;

const folder = mkdtempSync(join(tmpdir(), 'p2mp-relay-faults-'));
const start = startIn(join(folder, 'home'));
const random = createRandom(seed, 'kill a relay');

async function stop(what, program, signal) {
  program.child.kill(signal);
  await within(limitMs, `${what} does not end by ${signal}`, program, program.ended);
}

async function playRound(number) {
  const base = join(folder, `round-${number}`);
  mkdirSync(base);
  const source = join(base, 'data file');
  const bytes = Buffer.alloc(sizeBytes);
  for (let i = 0; i < sizeBytes; i += 4) bytes.writeUInt32LE(random() * 2 ** 32, i);
  writeFileSync(source, bytes);
  const expected = sha256(source);
  const server = start(['serve', source, '--open', '--rate', rate, '--port', '0']);
  const upstream = `127.0.0.1:${await portOf(server, 'server')}`;
  const cache = ['relay', '--cache', join(base, 'cache')];
  const startRelay = (port) =>
    start([...cache, '--cache-size', '50MB', '--upstream', upstream, '--open', '--port', port]);
  let relay = startRelay('0');
  const port = await portOf(relay, 'relay');
  const fetchInto = (dir) => {
    mkdirSync(join(base, dir));
    const from = ['--from', `127.0.0.1:${port}`, '--open', '--dir', join(base, dir)];
    return { dir, ...start(['fetch', 'data file', ...from]) };
  };
  const isIdentical = (dir) => {
    try {
      return sha256(join(base, dir, 'data file')) === expected;
    } catch {
      return false;
    }
  };
  const complaints = [];
  const check = async (client) => {
    const { dir, ended, errors } = client;
    const code = await within(limitMs, `${dir} does not end`, client, ended);
    if (code !== 0 || !isIdentical(dir)) complaints.push(`${dir}: code ${code} ${errors()}`);
  };
  const clients = Array.from({ length: clientCount }, (_, i) => fetchInto(`client ${i}`));
  const joining = (client) => client.event(({ event }) => event === 'joined');
  await Promise.all(
    clients.map((client) =>
      within(limitMs, `${client.dir} does not join`, client, joining(client)),
    ),
  );
  await wait(random() * spanMs);
  await stop('relay', relay, 'SIGKILL');
  await wait(random() * 1000);
  relay = startRelay(String(port));
  await portOf(relay, 'relay');
  for (const client of clients) await check(client);
  // From the cache alone, after another kill.
  await stop('relay', relay, 'SIGKILL');
  const list = start([...cache, '--cache-list']);
  await within(limitMs, '--cache-list does not end', list, list.ended);
  const cached = list.events.filter(({ event }) => event === 'cached');
  if (cached.length !== 1) complaints.push(`the cache lists ${cached.length} objects`);
  relay = startRelay(String(port));
  await portOf(relay, 'relay');
  await check(fetchInto('late'));
  await stop('relay', relay, 'SIGTERM');
  const [result] = relay.events.filter(({ event }) => event === 'cache-result');
  if (result?.hits !== 1 || result.fetchedBytes !== 0)
    complaints.push(`no hit: ${JSON.stringify(result)}`);
  await stop('server', server, 'SIGKILL');
  rmSync(base, { recursive: true });
  return complaints;
}

let goodCount = 0;
let playedCount = 0;
try {
  for (let number = 1; number <= Number(rounds); number++) {
    const complaints = await playRound(number);
    playedCount++;
    if (complaints.length === 0) goodCount++;
    else console.log(`round ${number}: ${complaints.join('; ')}`);
    if (process.stdout.isTTY) process.stdout.write(`\r${number} rounds, ${goodCount} good `);
  }
} catch (error) {
  console.log(`seed ${seed}, round ${playedCount + 1}: ${error.message}`);
} finally {
  killAll();
  rmSync(folder, { recursive: true, force: true });
}
console.log(
  `seed ${seed}: in ${goodCount} of ${rounds} rounds, all ${clientCount} clients are identical and the cache is sound`,
);
process.exitCode = goodCount === Number(rounds) ? 0 : 1;
