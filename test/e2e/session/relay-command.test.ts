/** `p2mp relay` as a process: events, metrics, the cache from the command line, and kill -9. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { formatAddress } from '../../../src/base/address.js';
import { isSameContent, writeRandomFile } from '../../support/loopback.js';
import { parseEvents } from '../../support/processes.js';
import {
  eventsOf,
  type ServerProgram,
  SessionPlace,
  stopMidway,
} from '../../support/session-commands.js';

t.jobs = 2;

const buffered = true;

const upstreamOf = ({ address }: ServerProgram) => ['--upstream', formatAddress(address)];
const common = ['--open', '--json', '--cache-size', '50MB'];

/** Starts `p2mp fetch`; the content goes to a folder of this name. */
function startFetch(
  place: SessionPlace,
  { address }: ServerProgram,
  into: string,
  more: readonly string[] = [],
) {
  const dir = join(place.folder, into);
  mkdirSync(dir);
  const from = ['--from', formatAddress(address), '--open', '--dir', dir, '--json'];
  return place.start(place.senderHome, ['fetch', 'sent', ...from, ...more]);
}

t.test(
  '--json reports hits, misses and fills; the cache can be listed and cleared',
  {
    buffered,
  },
  async (t) => {
    const place = new SessionPlace(t);
    const path = writeRandomFile(place.sent, 300_000);
    const server = await place.serve([path, '--open']);
    const relay = await place.relay([...upstreamOf(server), ...common, '--metrics', '0']);
    const { address: metrics } = await relay.program.waitForEvent('metrics');
    for (const into of ['a', 'b']) {
      const { code, stderr } = await startFetch(place, relay, into).exited;
      t.equal(code, 0, stderr);
      t.ok(isSameContent(path, join(place.folder, into, 'sent')));
    }
    const text = await (await fetch(`http://${metrics}/metrics`)).text();
    for (const line of [
      'p2mp_cache_hits_total 1',
      'p2mp_cache_misses_total 1',
      'p2mp_upstream_bytes_total 300000',
      'p2mp_saved_bytes 300000',
    ])
      t.match(text, new RegExp(`^${line}$`, 'm'));
    const ready = await fetch(`http://${metrics}/readyz`);
    t.equal(ready.status, 200);
    const cache = ['relay', '--cache', join(place.folder, 'cache'), '--json'];
    const busy = await place.start(place.receiverHome, [...cache, '--cache-clear']).exited;
    t.equal(busy.code, 4, 'a cache in use is not cleared');
    relay.program.kill('SIGTERM');
    const exit = await relay.program.exited;
    t.equal(exit.code, 0, exit.stderr);
    const names = parseEvents(exit.stdout).map(({ event }) => event);
    for (const name of ['listening', 'cache', 'miss', 'fill', 'filled', 'hit', 'connect'])
      t.ok(names.includes(name), name);
    t.match(eventsOf(exit, 'cache-result'), [{ hits: 1, misses: 1, fetchedBytes: 300_000 }]);
    for (const [option, status, count] of [
      ['--cache-list', 'listed', 1],
      ['--cache-clear', 'cleared', 1],
      ['--cache-list', 'listed', 0],
    ] as const) {
      const done = await place.start(place.receiverHome, [...cache, option]).exited;
      t.equal(done.code, 0, done.stderr);
      t.match(eventsOf(done, 'result'), [{ status, objects: count }]);
      t.equal(eventsOf(done, 'cached').length, count);
    }
  },
);

t.test('--origin: the key of the server that must say what a name is', { buffered }, async (t) => {
  const place = new SessionPlace(t);
  const key = await place.keygen(place.receiverHome);
  const path = writeRandomFile(place.sent, 100_000);
  const server = await place.serve([path, '--open']);
  const relay = await place.relay([...upstreamOf(server), ...common]);
  const serverName = formatAddress(server.address);
  const known = join(place.folder, 'known');
  writeFileSync(known, `${serverName} ${key}`, { mode: 0o600 });
  for (const [into, origin] of [
    ['by key', [key]],
    ['by name', [serverName, '--known-receivers', known]],
  ] as const) {
    const { code, stderr } = await startFetch(place, relay, into, ['--origin', ...origin]).exited;
    t.equal(code, 0, stderr);
    t.ok(isSameContent(path, join(place.folder, into, 'sent')));
  }
});

t.test('after kill -9, the relay continues with what it had', { buffered }, async (t) => {
  const place = new SessionPlace(t);
  const path = writeRandomFile(place.sent, 6_000_000);
  const server = await place.serve([path, '--open', '--rate', '2MB']);
  const first = await place.relay([...upstreamOf(server), ...common]);
  const client = startFetch(place, first, 'a');
  const dir = join(place.folder, 'cache');
  await first.program.waitForFile(dir, /\.object$/);
  await stopMidway(server.program, { program: first.program, dir });
  first.program.kill('SIGKILL');
  await first.program.exited;
  server.program.kill('SIGCONT');
  const port = ['--port', String(first.address.port)];
  const second = await place.relay([...upstreamOf(server), ...common, ...port]);
  const { code, stderr } = await client.exited;
  t.equal(code, 0, stderr);
  t.ok(isSameContent(path, join(place.folder, 'a', 'sent')));
  second.program.kill('SIGTERM');
  const exit = await second.program.exited;
  const [result] = eventsOf(exit, 'cache-result');
  const fetchedBytes = Number(result?.['fetchedBytes']);
  t.ok(fetchedBytes < 6_000_000, `${fetchedBytes} bytes were fetched again`);
});

t.test('behind two relays, a refused upstream host is named at once', { buffered }, async (t) => {
  const place = new SessionPlace(t);
  const server = await place.serve([writeRandomFile(place.sent, 1000), '--open']);
  server.program.kill('SIGKILL');
  await server.program.exited;
  const near = await place.relay([...upstreamOf(server), ...common]);
  const cache = ['--cache', join(place.folder, 'far')];
  const far = await place.relay([...upstreamOf(near), ...common, ...cache]);
  const client = startFetch(place, far, 'a', ['--give-up-after', '60']);
  const { port } = server.address;
  const cause = `port ${port} at 127.0.0.1 refused: no p2mp serve runs there`;
  const { reason } = await client.waitForEvent('deferred');
  t.match(
    String(reason),
    `${formatAddress(near.address)}: ${formatAddress(server.address)}: ${cause}`,
  );
  t.match(await far.program.waitForEvent('refused'), { reason });
  t.match(await near.program.waitForEvent('refused'), { reason: cause });
  client.kill('SIGINT');
  await client.exited;
});

t.test('wrong options are usage errors', { buffered }, async (t) => {
  const place = new SessionPlace(t);
  const cache = ['--cache', join(place.folder, 'cache')];
  const upstream = ['--upstream', '127.0.0.1'];
  for (const [args, message] of [
    [upstream, 'no cache: name its folder with --cache'],
    [[...cache, '--cache-size', '1GB'], 'no upstream host'],
    [[...cache, ...upstream], 'no limit: say what the cache may take'],
    [[...cache, ...upstream, '--cache-size', 'much'], '--cache-size much: must be a number'],
    [[...cache, '--cache-list', '--cache-clear'], 'give only one of them'],
    [
      [...cache, '--cache-list', ...upstream],
      '--upstream and --cache-list: --cache-list needs only',
    ],
    [[...cache, '--cache-clear', '--open'], /--open and --cache-clear: .*; leave --open out/],
    [[...cache, '--cache-clear', '--port', '1'], '--port and --cache-clear: '],
    [
      [...cache, ...upstream, '--cache-size', '10'],
      /10 bytes have no room for a single block, which takes \d+; give the unit, such as 10GB/,
    ],
    [
      [...cache, ...upstream, '--cache-size', '1GB', '--multicast', 'never'],
      '--multicast is for --to',
    ],
    [
      [...cache, '--upstream', '127.0.0.1,127.0.0.1:7735', '--cache-size', '1GB', '--open'],
      'are the same host and port',
    ],
    [['--to', '127.0.0.1', '--dir', 'x', '--max-clients', '3'], 'leave --max-clients out'],
    [[...cache, ...upstream, '--cache-size', '1GB', '--drain-timeout', 'x'], '--drain-timeout x:'],
    [['--to', '127.0.0.1', '--dir', place.folder, '--drain-timeout', 'x'], '--drain-timeout x:'],
  ] as const) {
    const { code, stderr } = await place.start(place.receiverHome, ['relay', ...args]).exited;
    t.equal(code, 2);
    t.match(stderr, message);
  }
});
