/** `p2mp fetch` as a process, from `p2mp serve` as processes. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { formatAddress } from '../../../src/base/address.js';
import { formatPublicKey, generateKeyPair } from '../../../src/node/keys/key-files.js';
import {
  findClosedPort,
  isSameContent,
  noOffload,
  openSilentPort,
  writeRandomFile,
} from '../../support/loopback.js';
import { parseEvents } from '../../support/processes.js';
import { SessionPlace } from '../../support/session-commands.js';

t.jobs = 2;

const buffered = true;

t.test('a file comes from several servers at once', { buffered }, async (t) => {
  const place = new SessionPlace(t);
  const path = writeRandomFile(place.sent, 5_000_000);
  const servers = [];
  for (let i = 0; i < 3; i++) servers.push(await place.serve([path, '--open']));
  for (const { program } of servers) await program.waitFor(/Offering sent/);
  const from = servers.map(({ address }) => formatAddress(address)).join();
  const log = join(place.folder, 'parts.csv');
  const dir = join(place.folder, 'fetched to');
  const fetched = await place.start(place.senderHome, [
    ...['fetch', 'sent', '--from', from, '--open', '--dir', dir],
    ...['--split', 'equal', '--log', log],
  ]).exited;
  t.equal(fetched.code, 0, fetched.stderr);
  t.match(fetched.stdout, /sent: 5\.00 MB, complete from 3 sources/);
  t.ok(isSameContent(path, join(dir, 'sent')));
  const rows = readFileSync(log, 'utf8').trim().split('\n').slice(1);
  const sum = rows.reduce((bytes, row) => bytes + Number(row.split(',')[2]), 0);
  t.equal(sum, 5_000_000, 'the log covers each byte once');
  const seconds = Number(/^ {2}(\d\S*) s,/m.exec(fetched.stdout)?.[1]);
  const latest = Math.max(...rows.map((row) => Number(row.split(',')[4])));
  t.ok(latest <= seconds, `its times count from the start of the fetch: ${latest} of ${seconds} s`);
});

t.test('a second fetch finds everything there', { buffered }, async (t) => {
  const place = new SessionPlace(t);
  const path = writeRandomFile(place.sent, 300_000);
  const { program, address } = await place.serve([path, '--open']);
  await program.waitFor(/Offering sent/);
  const args = [
    'fetch',
    'sent',
    '--from',
    formatAddress(address),
    '--open',
    '--dir',
    join(place.folder, 'in'),
    '--json',
  ];
  for (const delivered of [300_000, 0]) {
    const exit = await place.start(place.senderHome, args).exited;
    const result = parseEvents(exit.stdout).at(-1);
    t.match(result, { event: 'result', status: 'complete', bytes: 300_000 });
    t.equal(result?.['deliveredBytes'], delivered);
  }
});

t.test('of servers that hold different content, a root chooses', { buffered }, async (t) => {
  const place = new SessionPlace(t);
  const paths = ['a', 'b'].map((name) => {
    mkdirSync(join(place.folder, name));
    return writeRandomFile(join(place.folder, name), 200_000);
  });
  writeFileSync(paths[1] as string, 'other');
  const servers = [];
  for (const path of paths) servers.push(await place.serve([path, '--open']));
  const roots = [];
  for (const { program } of servers) {
    const [, root = ''] = await program.waitFor(/content root ([0-9a-f]{64})/);
    roots.push(root);
  }
  const from = servers.map(({ address }) => formatAddress(address)).join();
  const args = ['fetch', 'sent', '--from', from, '--open', '--dir', join(place.folder, 'in')];
  const failed = await place.start(place.senderHome, args).exited;
  t.equal(failed.code, 1);
  t.match(failed.stderr, /the sources hold different content under this name/);
  for (const root of roots) t.ok(failed.stdout.includes(root));
  const chosen = await place.start(place.senderHome, [...args, '--root', roots[1] as string])
    .exited;
  t.equal(chosen.code, 0, chosen.stderr);
  t.equal(readFileSync(join(place.folder, 'in/sent'), 'utf8'), 'other');
});

t.test(
  'a refused port is reported at once; only if it is the last source, it ends the fetch',
  { skip: noOffload, buffered },
  async (t) => {
    const place = new SessionPlace(t);
    const path = writeRandomFile(place.sent, 300_000);
    const closed = `127.0.0.1:${await findClosedPort()}`;
    const into = ['--open', '--dir', join(place.folder, 'in')];
    const refused = /port \d+ at 127\.0\.0\.1 refused: no p2mp serve runs there/;
    const alone = await place.start(place.senderHome, ['fetch', 'sent', '--from', closed, ...into])
      .exited;
    t.equal(alone.code, 1);
    t.match(alone.stderr, /p2mp fetch: port .* \(connection refused\); start it, then try again/);
    t.notMatch(alone.stderr, /still trying/);
    const listed = await place.start(place.senderHome, ['list', closed, '--open']).exited;
    t.equal(listed.code, 1);
    t.match(listed.stderr, refused);
    const { program, address } = await place.serve([path, '--open']);
    await program.waitFor(/Offering sent/);
    const from = `${closed},${formatAddress(address)}`;
    const both = await place.start(place.senderHome, ['fetch', 'sent', '--from', from, ...into])
      .exited;
    t.equal(both.code, 0, both.stderr);
    t.match(both.stderr, refused);
  },
);

t.test('sources whose keys are not known end the fetch at once', { buffered }, async (t) => {
  const place = new SessionPlace(t);
  const path = writeRandomFile(place.sent, 300_000);
  const servers = [await place.serve([path, '--open']), await place.serve([path, '--open'])];
  const [first = '', second = ''] = servers.map(({ address }) => formatAddress(address));
  for (const from of [first, `${first},${second}`]) {
    const args = ['fetch', 'sent', '--from', from, '--dir', join(place.folder, 'in')];
    const { code, stderr } = await place.start(place.senderHome, args).exited;
    t.equal(code, 1);
    const lines = stderr.split('\n').filter((line) => line.includes('is not known here'));
    t.equal(lines.length, from === first ? 1 : 2, 'each is reported once');
    t.match(
      lines.at(-1),
      /^p2mp fetch: .*here; run "p2mp serve --invite" .*compare the key with .* "p2mp keygen/,
    );
    t.notMatch(stderr, /p2mp receive/);
  }
});

t.test('a source whose key has changed gets nothing and gives nothing', { buffered }, async (t) => {
  const place = new SessionPlace(t);
  const path = writeRandomFile(place.sent, 300_000);
  const { program, address } = await place.serve([path, '--open', '--json']);
  const source = formatAddress(address);
  const known = join(place.folder, 'known');
  const { publicKey } = await generateKeyPair();
  const other = formatPublicKey(publicKey, 'other');
  writeFileSync(known, `${source} ${other}\n`);
  const dir = join(place.folder, 'in');
  const args = ['fetch', 'sent', '--from', source, '--dir', dir, '--known-receivers', known];
  // Nor does it help to accept new keys: this one is not new.
  for (const option of [[], ['--accept-new']]) {
    const { code, stderr } = await place.start(place.senderHome, [...args, ...option]).exited;
    t.equal(code, 1);
    t.match(stderr, `p2mp fetch: ${source}: its key has changed to SHA256:`);
    t.match(stderr, `replace line 1 of ${known} with: ${source} p2mp-x25519 `);
  }
  const line = readFileSync(known, 'utf8');
  t.equal(line, `${source} ${other}\n`, 'the key stays known');
  t.strictSame(readdirSync(dir), []);
  program.kill('SIGTERM');
  const { stdout } = await program.exited;
  const events = parseEvents(stdout).map(({ event }) => event);
  t.notOk(events.includes('connect'), 'the server has seen no client');
});

t.test(
  'a key is kept for host and port, also if the host is named alone',
  { buffered },
  async (t) => {
    const place = new SessionPlace(t);
    const path = writeRandomFile(place.sent, 300_000);
    const { address } = await place.serve([path, '--open']);
    const port = ['--port', String(address.port)];
    const fetch = ['fetch', 'sent', '--from', '127.0.0.1', '--dir', join(place.folder, 'in')];
    for (const command of [['list', '127.0.0.1'], fetch]) {
      const known = join(place.folder, `known to ${command[0]}`);
      const trust = ['--known-receivers', known];
      for (const option of [['--accept-new'], []]) {
        const args = [...command, ...port, ...trust, ...option];
        const { code, stderr } = await place.start(place.senderHome, args).exited;
        t.equal(code, 0, stderr);
      }
      t.match(readFileSync(known, 'utf8'), `${formatAddress(address)} p2mp-x25519 `);
    }
  },
);

t.test(
  'after SIGHUP, sources of a file join and leave',
  { skip: process.platform === 'win32', buffered },
  async (t) => {
    const place = new SessionPlace(t);
    const path = writeRandomFile(place.sent, 300_000);
    const { program, address } = await place.serve([path, '--open']);
    await program.waitFor(/Offering sent/);
    const [server, silent] = [formatAddress(address), `127.0.0.1:${await openSilentPort(t)}`];
    const list = join(place.folder, 'mirrors.txt');
    writeFileSync(list, `${silent} # nobody answers`);
    const args = [
      'fetch',
      'sent',
      '--from',
      `@${list}`,
      '--open',
      '--dir',
      join(place.folder, 'in'),
    ];
    const fetching = place.start(place.senderHome, [...args, '--json']);
    await fetching.waitForEvent('progress');
    writeFileSync(list, 'a:b');
    fetching.kill('SIGHUP');
    t.match(await fetching.waitForEvent('reloaded'), { reason: /mirrors.txt:1: .*port/ });
    writeFileSync(list, server);
    fetching.kill('SIGHUP');
    const { code, stdout } = await fetching.exited;
    t.equal(code, 0);
    const events = parseEvents(stdout).filter(({ event }) =>
      /reloaded|joined|left/.test(`${event}`),
    );
    t.match(events, [
      { reason: /./ },
      { event: 'left', source: silent, isRetried: false },
      { event: 'reloaded', sources: [server] },
      { event: 'joined', source: server },
    ]);
  },
);

t.test(
  'a SIGHUP that comes before the fetch has begun counts',
  { skip: process.platform === 'win32', buffered },
  async (t) => {
    const place = new SessionPlace(t);
    const path = writeRandomFile(place.sent, 1000);
    const { address } = await place.serve([path, '--open']);
    // The command waits for what is written to this pipe.
    const list = join(place.folder, 'mirrors');
    execFileSync('mkfifo', [list]);
    const args = [
      'fetch',
      'sent',
      '--from',
      `@${list}`,
      '--open',
      '--dir',
      join(place.folder, 'in'),
    ];
    const fetching = place.start(place.senderHome, [...args, '--json']);
    const first = await open(list, 'w');
    fetching.kill('SIGHUP');
    await first.write(`127.0.0.1:${await openSilentPort(t)}`);
    await first.close();
    await fetching.waitForEvent('progress');
    const second = await open(list, 'w');
    await second.write(formatAddress(address));
    await second.close();
    t.equal((await fetching.exited).code, 0);
  },
);

t.test('wrong arguments', { buffered }, async (t) => {
  const place = new SessionPlace(t);
  const wrong: [string[], RegExp][] = [
    [[], /nothing to fetch/],
    [['x'], /no source: name at least one with --from/],
    [['x', '--from', 'h', '--origin', 'o'], /--origin o: o:7735 is not in the file of --known-/],
    [['x', '--from', 'h', '--origin', 'p2mp-x25519 x'], /truncated or altered key: "x"/],
    [['x', 'y', '--from', 'localhost'], /y: fetch one object at a time/],
    [['x', '--from', 'localhost', '--root', 'abc'], /--root abc: must be 64 hexadecimal digits/],
    [['x', '--from', 'localhost', '--split', 'half'], /--split half: must be speed or equal/],
  ];
  for (const [args, message] of wrong) {
    const exit = await place.start(place.senderHome, ['fetch', ...args]).exited;
    t.equal(exit.code, 2, args.join(' '));
    t.match(exit.stderr, message);
  }
  const log = join(place.folder, 'missing/parts.csv');
  const unwritable = ['fetch', 'x', '--from', 'localhost', '--open', '--log', log];
  const exit = await place.start(place.senderHome, unwritable).exited;
  t.equal(exit.code, 4);
  t.match(exit.stderr, /p2mp fetch: .*missing\/parts\.csv: does not exist/);
});
