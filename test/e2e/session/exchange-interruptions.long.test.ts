/** Peers of `p2mp exchange` that are killed, interrupted or late, as processes. */
import { readFileSync } from 'node:fs';
import t from 'tap';
import { Exchange, firstChunk, resultOf } from '../../support/exchange-commands.js';
import { type Program, parseEvents } from '../../support/processes.js';

t.jobs = 4;

const buffered = true;

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
  for (const { stdout } of [coordinator, bert]) {
    const events = parseEvents(stdout);
    t.match(
      events.find(({ event }) => event === 'absent'),
      { peer: 'anna', presence: 'silent' },
    );
    t.match(
      events.find(({ event }) => event === 'awaited'),
      { peers: ['anna'] },
    );
  }
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
  const absences = parseEvents(anna.stdout).filter(({ event }) => event === 'absent');
  t.match(absences[0], { peer: 'bert', presence: 'left' }, 'it has said that it leaves');
  const rows = readFileSync(exchange.path('logs of anna', 'chunks.csv'), 'utf8').split('\n');
  const froms = rows.slice(1).flatMap((row) => row.split(',')[4]?.split(' ') ?? []);
  t.same(
    froms.filter((from) => !['bert', 'cora'].includes(from)),
    [],
    'a peer keeps its name',
  );
  const chunks = parseEvents(again.stdout).filter(({ event }) => event === 'chunk');
  t.ok(
    chunks.some(({ ['sources']: sources }) => sources.length === 0),
    'what was there is not sent again',
  );
});
