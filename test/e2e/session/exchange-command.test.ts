/** `p2mp exchange` as processes: a coordinator and its peers. */
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import {
  findClosedPort,
  isSameContent,
  noOffload,
  writeRandomFile,
} from '../../support/loopback.js';
import { type Exit, type Program, parseEvents } from '../../support/processes.js';
import { SessionPlace } from '../../support/session-commands.js';

t.jobs = 4;

const buffered = true;

/** The processes of one exchange, each peer with a folder of its own. */
class Exchange {
  readonly place: SessionPlace;
  address = '';

  constructor(t: Test) {
    this.place = new SessionPlace(t);
  }

  async coordinate(...options: string[]): Promise<Program> {
    const { place } = this;
    const args = ['--port', '0', '--bind', '127.0.0.1', '--logs', this.path('logs of all')];
    const all = ['exchange', 'coordinate', ...args, ...options];
    const program = place.start(place.receiverHome, all);
    const [, port] = await program.waitFor(/listening.*?127\.0\.0\.1:(\d+)/i);
    this.address = `127.0.0.1:${port}`;
    return program;
  }

  join(name: string, paths: readonly string[], ...options: string[]): Program {
    const { place } = this;
    const home = this.path(`keys of ${name}`);
    mkdirSync(home, { recursive: true });
    const dirs = ['--dir', this.path(`to ${name}`), '--logs', this.path(`logs of ${name}`)];
    const index = ['--index', this.path(`index of ${name}`)];
    const all = ['exchange', 'join', this.address, ...paths, '--name', name, ...dirs, ...index];
    return place.start(home, [...all, ...options]);
  }

  path(...names: string[]): string {
    return join(this.place.folder, ...names);
  }

  /** Writes a file that a peer brings. @returns its path */
  write(peer: string, name: string, sizeBytes: number): string {
    const folder = this.path(`of ${peer}`);
    mkdirSync(folder, { recursive: true });
    return writeRandomFile(folder, sizeBytes, name);
  }

  /** Whether a peer has what another one brings. */
  has(peer: string, owner: string, name: string): boolean {
    return isSameContent(this.path(`of ${owner}`, name), this.path(`to ${peer}`, owner, name));
  }
}

/** The first chunk of this owner has arrived. */
function firstChunk(program: Program, owner: string): Promise<unknown> {
  return program.waitFor(new RegExp(`"event":"chunk","owner":"${owner}"`));
}

function resultOf({ stdout }: Exit) {
  return parseEvents(stdout).at(-1);
}

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
  const summary = readFileSync(exchange.path('logs of all', 'summary.csv'), 'utf8');
  t.equal(summary.trim().split('\n').length, 1 + 4 * 3 + 3);
  t.match(readFileSync(exchange.path('logs of all', 'report.html'), 'utf8'), /the least time is/);
});

t.test('an owner is killed: the others get what is left', { buffered }, async (t) => {
  const exchange = new Exchange(t);
  const coordinator = await exchange.coordinate('--peers', '3', '--open', '--json');
  const [anna, bert, cora] = ['anna', 'bert', 'cora'].map((name) => {
    const path = exchange.write(name, 'data', name === 'anna' ? 6_000_000 : 300_000);
    const rate = name === 'anna' ? ['--rate', '1MB'] : [];
    return exchange.join(name, [path], '--open', '--json', '--verbose', ...rate);
  }) as [Program, Program, Program];
  await firstChunk(bert, 'anna');
  anna.kill('SIGKILL');
  for (const { exited } of [bert, cora]) t.equal((await exited).code, 3);
  t.ok(exchange.has('bert', 'cora', 'data'));
  t.ok(exchange.has('cora', 'bert', 'data'));
  const exit = await coordinator.exited;
  t.equal(exit.code, 3);
  t.match(resultOf(exit)?.['reason'], /not everything from anna is left/);
  const held = [bert, cora].map((program) =>
    parseEvents(program.stdout)
      .at(-1)
      ?.['objects'].filter(({ owner }: { owner: string }) => owner === 'anna')
      .map(({ heldBytes }: { heldBytes: number }) => heldBytes),
  );
  t.same(held[0], held[1], 'both have the same');
});

t.test('a peer is interrupted, and continues; another one comes late', { buffered }, async (t) => {
  const exchange = new Exchange(t);
  // The machine may be too busy to start a process again soon.
  const coordinator = await exchange.coordinate(
    ...['--peers', '2', '--open', '--json', '--rejoin-within', '600'],
  );
  const paths = ['anna', 'bert', 'cora'].map((name) => exchange.write(name, 'data', 4_000_000));
  const [ofAnna, ofBert, ofCora] = paths as [string, string, string];
  const options = ['--open', '--json', '--verbose', '--rate', '1MB'];
  const anna = exchange.join('anna', [ofAnna], ...options);
  const bert = exchange.join('bert', [ofBert], ...options);
  await firstChunk(bert, 'anna');
  bert.kill('SIGINT');
  t.equal((await bert.exited).code, 130);
  const cora = exchange.join('cora', [ofCora], ...options);
  const again = exchange.join('bert', [ofBert], ...options);
  for (const { exited } of [anna, again, cora, coordinator]) {
    const exit = await exited;
    t.equal(exit.code, 0, exit.stderr);
  }
  for (const [name, owner] of [
    ...[['anna', 'bert'] as const, ['anna', 'cora'] as const, ['bert', 'anna'] as const],
    ...[['bert', 'cora'] as const, ['cora', 'anna'] as const, ['cora', 'bert'] as const],
  ])
    t.ok(exchange.has(name, owner, 'data'), `${name} has that of ${owner}`);
  const chunks = parseEvents(again.stdout).filter(({ event }) => event === 'chunk');
  t.ok(
    chunks.some(({ ['sources']: sources }) => sources.length === 0),
    'what was there is not sent again',
  );
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
