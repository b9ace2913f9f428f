/** `p2mp exchange` as processes: a coordinator and its peers. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import t from 'tap';
import { Exchange, resultOf } from '../../support/exchange-commands.js';
import { findClosedPort, noOffload } from '../../support/loopback.js';
import { SessionPlace } from '../../support/session-commands.js';

t.jobs = 4;

const buffered = true;

t.test('four peers exchange files, and log every chunk', { buffered }, async (t) => {
  const exchange = new Exchange(t);
  const coordinator = await exchange.coordinate('--peers', '4', '--open', '--link', '10MB');
  const names = ['anna', 'bert', 'cora', 'dan'];
  const peers = names.map((name) => {
    const paths = [exchange.write(name, 'my results.bin', 600_000)];
    if (name === 'anna') paths.push(exchange.write(name, 'nothing', 0));
    return exchange.join(name, paths, '--open');
  });
  for (const { exited } of peers) {
    const exit = await exited;
    t.equal(exit.code, 0, exit.stderr);
  }
  const exit = await coordinator.exited;
  t.equal(exit.code, 0, exit.stderr);
  t.match(exit.stdout, /4 peers, complete/);
  for (const name of names)
    for (const owner of names) {
      if (owner === name) continue;
      t.ok(exchange.has(name, owner, 'my results.bin'), `${name} has that of ${owner}`);
      const chunks = readFileSync(exchange.path(`logs of ${name}`, 'chunks.csv'), 'utf8');
      const rows = chunks.split('\n').filter((row) => row.startsWith(`${owner},my results.bin,`));
      t.same(rows.map((row) => row.split(',')[2]).sort(), ['0', '1', '2'], 'each chunk once');
    }
  t.ok(exchange.has('bert', 'anna', 'nothing'));
  const sums = readFileSync(exchange.path('logs of dan', 'md5sums.txt'), 'utf8');
  const content = readFileSync(exchange.path('of anna', 'my results.bin'));
  const md5 = createHash('md5').update(content).digest('hex');
  t.ok(sums.includes(`${md5}  anna/my results.bin\n`));
  const log = readFileSync(exchange.path('logs of dan', 'events.log'), 'utf8');
  for (const pattern of [/connected: anna/, /chunk 2 of anna/, /is complete: MD5/, /the end after/])
    t.match(log, pattern);
  const logOfAll = readFileSync(exchange.path('logs of all', 'events.log'), 'utf8');
  t.match(logOfAll, /the end after .* everything is complete/);
  const summary = readFileSync(exchange.path('logs of all', 'summary.csv'), 'utf8');
  t.equal(summary.trim().split('\n').length, 1 + 4 * 3 + 3);
  t.match(readFileSync(exchange.path('logs of all', 'report.html'), 'utf8'), /the least time is/);
});

t.test('peers with an invitation take part, and others do not', { buffered }, async (t) => {
  const exchange = new Exchange(t);
  const coordinator = await exchange.coordinate('--peers', '2', '--invite=2', '--json');
  const { code } = await coordinator.waitForEvent('invitation');
  const stranger = await exchange.join('dan', [], '--json', '--accept-new').exited;
  t.equal(stranger.code, 1);
  t.match(resultOf(stranger), { status: 'refused', reason: /does not let this key/ });
  const peers = ['anna', 'bert'].map((name) =>
    exchange.join(name, [exchange.write(name, 'data', 1000)], '--invite', code),
  );
  for (const { exited } of [...peers, coordinator]) {
    const exit = await exited;
    t.equal(exit.code, 0, exit.stderr);
  }
  t.ok(exchange.has('anna', 'bert', 'data'));
});

t.test(
  'a coordinator that does not run is named at once, and asked again',
  { skip: noOffload, buffered },
  async (t) => {
    const exchange = new Exchange(t);
    exchange.address = `127.0.0.1:${await findClosedPort()}`;
    const peer = exchange.join('anna', [], '--open');
    await peer.waitFor(
      /refused: no p2mp exchange coordinate runs there; it is asked again/,
      'stderr',
    );
    peer.kill('SIGINT');
    const { code, stdout } = await peer.exited;
    t.equal(code, 130);
    t.equal(stdout, '');
  },
);

t.test('wrong command lines', { buffered }, async (t) => {
  const place = new SessionPlace(t);
  for (const [args, message] of [
    [['coordinate'], /no number of peers/],
    [['join', 'localhost', '--dir', 'x', '--peers', '3'], /--peers: is for p2mp exchange coord/],
    [['coordinate', '--peers', '2', '--dir', 'x'], /--dir: is for p2mp exchange join/],
    [['join', 'localhost'], /no folder/],
    [['join', 'localhost', '--dir', 'x', '--name', 'a/b'], /--name a.b: must be a name/],
    [['joim'], /did you mean join/],
    [[], /no role/],
  ] as const) {
    const { code, stderr } = await place.start(place.senderHome, ['exchange', ...args]).exited;
    t.equal(code, 2);
    t.match(stderr, message);
  }
});
