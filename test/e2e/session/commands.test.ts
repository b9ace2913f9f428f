/** `p2mp send` and `p2mp receive`: output, files, and exit codes. */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { isSameContent, openSilentPort, writeRandomFile } from '../../support/loopback.js';
import {
  distFolder,
  type JsonEvent,
  Program,
  parseEvents,
  parseResult,
  runClient,
  startCommand,
} from '../../support/processes.js';
import { eventsOf, SessionPlace } from '../../support/session-commands.js';

t.jobs = 4;

const buffered = true;
const isWindows = process.platform === 'win32';
const noShell = isWindows && 'requires a POSIX shell';

const fingerprint = /SHA256:[A-Za-z0-9+/]{43}/;

t.test(
  'keys on both sides: first contact, recorded, and known afterwards',
  { buffered },
  async (t) => {
    const place = new SessionPlace(t);
    const line = await place.keygen(place.senderHome);
    writeFileSync(join(place.receiverHome, 'authorized_keys'), `# those who may\nsend ${line}`);
    const { program, name, dir } = await place.receive([]);
    t.match(program.stderr, /^Created this receiver's key, .*key: SHA256:\S{43}\n$/);
    const sent = writeRandomFile(place.sent, 200_000);

    const stranger = await place.send([sent, '--to', name]).exited;
    t.equal(stranger.code, 1, 'there is no terminal to ask for approval');
    t.match(stranger.stdout, 'complete at 0 of 1 receiver');
    t.notMatch(stranger.stdout, 'its key', 'the reason is printed once');
    t.notMatch(stranger.stdout, 'note');
    t.match(
      stranger.stderr,
      /^127\.0\.0\.1:\d+: failed: its key SHA256:\S{43} is not known here; .* or add this line to .*known_receivers: 127\.0\.0\.1:\d+ p2mp-x25519 \S{44}\n$/,
    );

    const first = await place.send([sent, '--to', name, '--accept-new']).exited;
    t.match(first, { code: 0, stderr: '' });
    t.match(first.stdout, /^sent: 1 entry, 200 kB, complete at 1 of 1 receiver\n/);
    t.match(first.stdout, /^ {2}content root [0-9a-f]{64}$/m);
    t.match(first.stdout, new RegExp(`^ {2}${name} +complete +200 kB `, 'm'));
    t.ok(isSameContent(sent, join(dir, 'sent')));
    const known = readFileSync(join(place.senderHome, 'known_receivers'), 'utf8');
    const key = readFileSync(join(place.receiverHome, 'key.pub'), 'utf8').split(' ')[1];
    t.match(known, `${name} p2mp-x25519 ${key}\n`);

    const again = await place.send([sent, '--to', name]).exited;
    t.match(again, { code: 0, stderr: '' }, 'the second time, the key is known');
    t.equal(readFileSync(join(place.senderHome, 'known_receivers'), 'utf8'), known);
    await program.waitFor(/^sent from 127\.0\.0\.1:\d+: complete, 200 kB, 0 B of it received, /m);
  },
);

t.test('a receiver with a changed key gets nothing', { buffered }, async (t) => {
  const place = new SessionPlace(t);
  const line = await place.keygen(place.senderHome);
  writeFileSync(join(place.receiverHome, 'authorized_keys'), `send ${line}`);
  const { name, dir } = await place.receive([]);
  const other = line.split(' ').slice(0, 2).join(' ');
  writeFileSync(join(place.senderHome, 'known_receivers'), `# hosts\n${name} ${other}\n`);
  const sent = writeRandomFile(place.sent, 1000);
  const exit = await place.send([sent, '--to', name, '--accept-new', '--json']).exited;
  t.equal(exit.code, 1);
  const result = parseResult(exit);
  t.match(result['receivers'], [{ receiver: name, status: 'failed' }]);
  t.match(
    result['receivers'][0].reason,
    /^its key has changed to SHA256:\S{43}: .* replace line 2 of .*known_receivers with: 127\.0\.0\.1:\d+ p2mp-x25519 \S{44}$/,
  );
  t.same(readdirSync(dir), []);
});

t.test(
  'an untrusted sender is refused, and does not count as a session',
  { buffered },
  async (t) => {
    const place = new SessionPlace(t);
    const line = await place.keygen(place.receiverHome);
    const list = join(place.folder, 'those who may');
    writeFileSync(list, `send ${line}`);
    const options = ['--once', '--json', '--authorized-keys', list];
    const { program, name, dir } = await place.receive(options);
    const sent = writeRandomFile(place.sent, 1000);
    await place.keygen(place.senderHome);
    const refused = await place.send([sent, '--to', name, '--accept-new', '--json']).exited;
    t.equal(refused.code, 1);
    const [receiver] = parseResult(refused)['receivers'];
    t.equal(receiver.status, 'refused');
    t.match(
      receiver.reason,
      /the receiver does not trust the key SHA256:\S{43}; add to its authorized_keys/,
    );
    t.same(readdirSync(dir), []);

    // The trusted sender knows the receiver's key.
    const args = ['--key', join(place.receiverHome, 'key')];
    const taken = await place.send([sent, '--to', name, '--json', ...args]).exited;
    t.equal(taken.code, 0, taken.stderr);
    const received = await program.exited;
    t.equal(received.code, 0, '--once counts only the trusted sender');
    t.equal(eventsOf(received, 'connect').length, 1);
  },
);

t.test('a named key must exist, and the usual one is created', { buffered }, async (t) => {
  const place = new SessionPlace(t);
  const sent = writeRandomFile(place.sent, 1000);
  const to = `127.0.0.1:${await openSilentPort(t)}`;
  const named = ['--key', join(place.senderHome, 'other key')];
  const exit = await place.send([sent, '--to', to, ...named]).exited;
  t.match(exit, { code: 4, stdout: '' });
  t.match(exit.stderr, /^p2mp send: .*key: no such key; create one with p2mp keygen --key .*\n$/);
  t.equal((await place.send([sent, '--to', to, '--dry-run']).exited).code, 0);
  t.same(readdirSync(place.senderHome), [], 'nothing has created a key so far');
  const second = await place.send([sent, '--to', to, '--give-up-after', '0.1']).exited;
  t.match(second, { code: 1, stderr: /^Created this sender's key, .*key: SHA256:\S{43}\n/ });
  t.same(readdirSync(place.senderHome).toSorted(), ['key', 'key.pub']);
  const list = join(place.receiverHome, 'authorized_keys');
  const args = ['receive', '--port', '0', '--dir', join(place.folder, 'in')];
  const receiver = await place.start(place.receiverHome, args).exited;
  t.match(
    receiver,
    { code: 4, stdout: '' },
    'nothing is received without a list of authorized keys',
  );
  t.ok(receiver.stderr.includes(`p2mp receive: ${list}: `), receiver.stderr);
});

t.test('--json reports a session from start to result, on both sides', { buffered }, async (t) => {
  const place = new SessionPlace(t);
  const { program, name } = await place.receive(['--open', '--once', '--json', '--name', 'hall 3']);
  const sent = writeRandomFile(place.sent, 400_000);
  // At least four seconds, with progress every second.
  const args = [sent, '--to', name, '--open', '--json', '--rate', '100k'];
  const exit = await place.send(args).exited;
  t.equal(exit.code, 0);
  const events = parseEvents(exit.stdout);
  const { time, offload, mssBytes, ...start } = events[0] as JsonEvent;
  t.match(time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  t.same(start, { event: 'start', label: 'sent', bytes: 400_000, entries: 1 });
  t.ok(
    mssBytes === 1400 || mssBytes === 8940,
    `${mssBytes}: 8940 if the system reports the MTU of loopback`,
  );
  t.match(offload, { send: Boolean, receive: Boolean });
  t.match(events[1], { event: 'connect', receiver: name, name: 'hall 3' });
  const progress = eventsOf(exit, 'progress');
  t.ok(progress.length > 0);
  for (const event of progress) {
    t.match(event, { receiver: name, address: name, name: 'hall 3', status: 'active' });
    t.ok(event['heldBytes'] <= 400_000);
  }
  const held = progress.map(({ heldBytes }) => heldBytes);
  t.same(
    held,
    held.toSorted((a, b) => a - b),
    'it rises',
  );
  t.equal(eventsOf(exit, 'receiver-result').length, 1, 'once for each receiver');
  const result = parseResult(exit);
  t.match(result, {
    status: 'complete',
    label: 'sent',
    entries: 1,
    bytes: 400_000,
    manifestDigest: /^[0-9a-f]{64}$/,
    contentRoot: /^[0-9a-f]{64}$/,
    multicastDatagrams: 0,
  });
  t.match(result['receivers'], [
    { receiver: name, status: 'complete', heldBytes: 400_000, receivedBytes: 400_000 },
  ]);

  const received = await program.exited;
  t.equal(received.code, 0);
  const printed = parseEvents(received.stdout);
  t.match(printed[0], {
    event: 'listening',
    addresses: [name],
    offload: { send: Boolean, receive: Boolean },
  });
  t.match(printed[1], { event: 'connect', label: 'sent', bytes: 400_000, fingerprint });
  t.ok(eventsOf(received, 'progress').length > 0);
  t.match(printed.at(-1), { event: 'result', status: 'stopped', completeSessions: 1 });
  const end = printed.at(-2);
  t.match(end, {
    event: 'session-result',
    sender: printed[1]?.['sender'],
    status: 'complete',
    manifestDigest: result['manifestDigest'],
    contentRoot: result['contentRoot'],
    heldBytes: 400_000,
    receivedBytes: 400_000,
  });
});

t.test('some receivers complete and some fail', { buffered }, async (t) => {
  const place = new SessionPlace(t);
  const { name, dir } = await place.receive();
  const silent = `127.0.0.1:${await openSilentPort(t)}`;
  const sent = writeRandomFile(place.sent, 100_000);
  const patience = ['--give-up-after', '2', '--open'];
  const exit = await place.send([sent, '--to', `${name},${silent}`, ...patience]).exited;
  t.equal(exit.code, 3);
  t.match(exit.stdout, 'complete at 1 of 2 receivers');
  t.match(exit.stderr, new RegExp(`^${silent}: failed: no answer for 2 s; .*\n$`, 'm'));
  t.ok(isSameContent(sent, join(dir, 'sent')));
  const none = await place.send([sent, '--to', silent, '--json', ...patience]).exited;
  t.equal(none.code, 1);
  t.match(parseResult(none), { status: 'incomplete', receivers: [{ status: 'failed' }] });
});

t.test(
  'prints nothing with --quiet, and only results with --quiet --json',
  { buffered },
  async (t) => {
    const place = new SessionPlace(t);
    const { name } = await place.receive();
    const sent = writeRandomFile(place.sent, 1000);
    const quiet = await place.send([sent, '--to', name, '--open', '--quiet']).exited;
    t.match(quiet, { code: 0, stdout: '', stderr: '' });
    const json = await place.send([sent, '--to', name, '--open', '--quiet', '--json']).exited;
    t.equal(json.stderr, '');
    t.equal(parseResult(json)['status'], 'complete');
    const names = parseEvents(json.stdout).map(({ event }) => event);
    t.same(names, ['receiver-result', 'result']);
  },
);

t.test('--dry-run shows what would be sent, and where', { buffered }, async (t) => {
  const place = new SessionPlace(t);
  writeRandomFile(place.sent, 3000, 'a file');
  const to = '127.0.0.1:7001,[::1]:7002';
  const shown = await place.send([place.sent, '--to', to, '--open', '--mss', '500', '--dry-run'])
    .exited;
  t.match(shown, { code: 0, stderr: '' });
  t.same(shown.stdout.split('\n'), [
    'sent',
    'sent/a file',
    '2 entries, 3.00 kB, would be sent to 2 receivers:',
    '  127.0.0.1:7001: 127.0.0.1, port 7001',
    '  [::1]:7002: ::1, port 7002',
    '  in segments of 500 bytes',
    '',
  ]);
  const json = await place.send([place.sent, '--to', to, '--open', '--dry-run', '--json']).exited;
  t.match(parseEvents(json.stdout), [
    {
      event: 'result',
      status: 'dry-run',
      entries: 2,
      names: ['sent', 'sent/a file'],
      bytes: 3000,
      skipped: [],
      receivers: [
        { receiver: '127.0.0.1:7001', address: '127.0.0.1:7001', status: 'planned' },
        { receiver: '[::1]:7002', address: '[::1]:7002', status: 'planned' },
      ],
      mssBytes: Number,
    },
  ]);
  const two = ['127.0.0.1', '127.0.0.2', '--open', '--dry-run', '--json'];
  const group = await place.send([place.sent, '--to', two.slice(0, 2).join(), ...two.slice(2)]);
  t.match(parseResult(await group.exited), { group: /^239\.\d+\.\d+\.\d+$/ });
  t.same(readdirSync(place.senderHome), []);
});

t.test('receivers from a file with comments', { buffered }, async (t) => {
  const place = new SessionPlace(t);
  const [one, two] = await Promise.all([
    place.receive(['--open'], 'one'),
    place.receive(['--open', '--name', 'other', '--key', join(place.folder, 'other')], 'two'),
  ]);
  const sent = writeRandomFile(place.sent, 50_000, 'a name  with spaces');
  const hosts = join(place.folder, 'hosts of the lab');
  writeFileSync(hosts, `# all\r\n${one.name} # first\r\n\r\n  ${two.name}\r\n`);
  const exit = await place.send([sent, '--to', `@${hosts}`, '--open', '--json']).exited;
  t.equal(exit.code, 0, exit.stderr);
  t.match(parseResult(exit), {
    label: 'a name  with spaces',
    receivers: [{ receiver: one.name }, { receiver: two.name }],
  });
  for (const { dir } of [one, two]) t.ok(isSameContent(sent, join(dir, 'a name  with spaces')));

  writeFileSync(hosts, `# all\n${one.name}\n${two.name} and more\n`);
  const bad = await place.send([sent, '--to', `@${hosts}`, '--open']).exited;
  t.match(bad, { code: 2, stdout: '' });
  t.ok(bad.stderr.startsWith(`p2mp send: ${hosts}:3: `), bad.stderr);
});

t.test('standard input is sent under a given name', { buffered, skip: noShell }, async (t) => {
  const place = new SessionPlace(t);
  const { name, dir } = await place.receive();
  const sent = writeRandomFile(place.sent, 300_000);
  const line = 'cat "$1" | "$2" "$3" send - --stdin-name "a tree.tar" --to "$4" --open --json';
  const p2mp = join(distFolder, 'cli', 'p2mp.js');
  const words = ['-c', line, 'sh', sent, process.execPath, p2mp, name];
  const env = { P2MP_HOME: place.senderHome };
  const exit = await new Program(t, 'sh', words, { env }).exited;
  t.equal(exit.code, 0, exit.stderr);
  t.equal(parseResult(exit)['label'], 'a tree.tar');
  t.ok(isSameContent(sent, join(dir, 'a tree.tar')));
});

t.test('--on-complete runs for each complete session', { buffered, skip: noShell }, async (t) => {
  const place = new SessionPlace(t);
  const out = join(place.folder, 'environment');
  const names = 'DIR LABEL SENDER SENDER_KEY BYTES CONTENT_ROOT MANIFEST_DIGEST'.split(' ');
  const lines = names.map((name) => `"$P2MP_${name}"`).join(' ');
  const command = `printf '%s\\n' ${lines} > '${out}'; exit 7`;
  const { program, name, dir } = await place.receive([
    '--open',
    '--once',
    '--on-complete',
    command,
  ]);
  const sent = writeRandomFile(place.sent, 20_000, "it's $HOME `id`");
  const exit = await place.send([sent, '--to', name, '--open', '--json']).exited;
  t.equal(exit.code, 0);
  const received = await program.exited;
  t.equal(received.code, 0, 'the exit code of the command does not affect the receiver');
  t.match(received.stderr, ': --on-complete: exit code 7\n');
  const [from] = /127\.0\.0\.1:\d+(?=: complete)/.exec(received.stdout) ?? [];
  const values = readFileSync(out, 'utf8').split('\n');
  t.same(values.slice(0, 3), [dir, "it's $HOME `id`", from]);
  t.match(values[3], fingerprint);
  const { contentRoot, manifestDigest } = parseResult(exit);
  t.same(values.slice(4), ['20000', contentRoot, manifestDigest, '']);
  t.match(received.stdout, `, content root ${contentRoot}\n`);
});

t.test('--metrics counts received data', { buffered }, async (t) => {
  const place = new SessionPlace(t);
  const { program, name } = await place.receive(['--open', '--json', '--metrics', '0']);
  const { address } = await program.waitForEvent('metrics');
  t.match(address, /^127\.0\.0\.1:\d+$/);
  const read = async () => {
    const response = await fetch(`http://${address}/metrics`);
    t.match(response.headers.get('content-type'), /^text\/plain/);
    const values: Record<string, number> = {};
    for (const line of (await response.text()).split('\n')) {
      const [, key = '', value] = /^(p2mp_\S+?|p2mp_.*\}) (\S+)$/.exec(line) ?? [];
      if (key !== '') values[key.replace(/sender="[^"]*",?/, '')] = Number(value);
    }
    return values;
  };
  const before = await read();
  t.match(before, {
    'p2mp_sessions_total{status="complete"}': 0,
    'p2mp_sessions_total{status="failed"}': 0,
    'p2mp_sessions_total{status="refused"}': 0,
    p2mp_received_bytes_total: 0,
    p2mp_data_datagrams_total: 0,
    p2mp_duplicate_datagrams_total: 0,
    p2mp_bad_blocks_total: 0,
    p2mp_active_sessions: 0,
    p2mp_buffered_bytes: 0,
  });
  const sent = writeRandomFile(place.sent, 300_000);
  const args = [sent, '--to', name, '--open', '--mss', '1400'];
  t.equal((await place.send(args).exited).code, 0);
  const { manifestDigest, contentRoot } = await program.waitForEvent('session-result');
  const between = await read();
  t.match(between, {
    'p2mp_sessions_total{status="complete"}': 1,
    p2mp_received_bytes_total: 300_000,
    p2mp_active_sessions: 0,
  });
  t.ok((between['p2mp_data_datagrams_total'] ?? 0) >= 215);
  const latest = `p2mp_last_complete_timestamp_seconds{label="sent",manifest_digest="${manifestDigest}",content_root="${contentRoot}"}`;
  t.ok(latest in between, latest);

  // It would take ten minutes.
  const slow = writeRandomFile(place.sent, 6_000_000, 'slow');
  const sender = place.send([slow, '--to', name, '--open', '--rate', '10k', '--json']);
  await sender.waitForEvent('progress');
  const during = await read();
  t.equal(during['p2mp_active_sessions'], 1);
  t.ok('p2mp_session_loss_ratio{label="slow"}' in during);
  const held = during['p2mp_session_held_ratio{label="slow"}'] ?? Number.NaN;
  t.ok(held >= 0 && held < 1, `${held} held`);
  sender.kill('SIGINT');
  t.equal((await sender.exited).code, 130);
  await program.waitFor(/"status":"failed"/);
  t.match(await read(), {
    'p2mp_sessions_total{status="complete"}': 1,
    'p2mp_sessions_total{status="failed"}': 1,
    p2mp_active_sessions: 0,
  });
  t.equal((await fetch(`http://${address}/`)).status, 404);
  t.equal((await fetch(`http://${address}/metrics/more`)).status, 404);
  program.kill('SIGTERM');
  t.equal((await program.exited).code, 0);
});

t.test('--classic receives both protocols on one port', { buffered }, async (t) => {
  const place = new SessionPlace(t);
  const copy = join(place.folder, 'a classic copy');
  const { program, name, dir } = await place.receive(['--open', '--json', '--classic', copy]);
  const sent = writeRandomFile(place.sent, 50_000);
  const classic = await runClient(t, [name], sent, 500);
  t.equal(classic.code, 0, classic.stderr);
  t.ok(isSameContent(sent, copy));
  t.match(await program.waitForEvent('classic-result'), { status: 'complete', bytes: 50_000 });
  const session = await place.send([sent, '--to', name, '--open']).exited;
  t.equal(session.code, 0, session.stderr);
  t.ok(isSameContent(sent, join(dir, 'sent')));
  t.match(await program.waitForEvent('session-result'), { status: 'complete', bytes: 50_000 });
  const second = writeRandomFile(place.sent, 700, 'second');
  t.equal((await runClient(t, [name], second, 500)).code, 0);
  t.ok(isSameContent(second, copy), 'and the next one in turn');
});

t.test('a reader that closes the pipe stops no session', { buffered }, async (t) => {
  const place = new SessionPlace(t);
  const { program, name, dir } = await place.receive(['--open', '--once', '--json']);
  program.closeStdout();
  const sent = writeRandomFile(place.sent, 300_000);
  const sender = place.send([sent, '--to', name, '--open', '--json', '--rate', '300k']);
  await sender.waitForEvent('start');
  sender.closeStdout();
  t.equal((await sender.exited).code, 0);
  t.equal((await program.exited).code, 0);
  t.ok(isSameContent(sent, join(dir, 'sent')));
});

interface Refusal {
  readonly args: readonly string[];
  readonly code: 2 | 4;
  /** The text after the name of the command. */
  readonly line: string | RegExp;
}

const to = ['--to', '127.0.0.1:7001'];

/**
 * Usage errors of `p2mp send` in a folder with `file`, `folder`, and `hosts`, which contains only a
 * comment.
 */
const sending: readonly Refusal[] = [
  { args: [], code: 2, line: 'nothing to send: name files or folders, or - for standard input' },
  { args: ['file'], code: 2, line: 'no receiver: name at least one with --to host[:port],...' },
  { args: ['file', '--to'], code: 2, line: 'to' },
  { args: ['file', '--to', ','], code: 2, line: '--to: no receiver; ' },
  { args: ['file', '--to', '@hosts'], code: 2, line: '--to: no receiver; ' },
  { args: ['file', '--to', '@missing'], code: 4, line: 'missing: does not exist; ' },
  { args: ['file', '--to', '@folder'], code: 4, line: 'folder: ' },
  { args: ['file', '--to', 'a:b:c'], code: 2, line: 'a:b:c: ' },
  { args: ['file', '--to', 'a:0'], code: 2, line: 'port 0: must be a whole number from 1 to ' },
  { args: ['file', '--to', 'a', '--port', 'x'], code: 2, line: 'port x: ' },
  { args: ['file', ...to, '--rate', 'fast'], code: 2, line: '--rate fast: ' },
  { args: ['file', ...to, '--rate', '0'], code: 2, line: '--rate 0: ' },
  { args: ['file', ...to, '--rate', '1'], code: 2, line: 'rate 1: must be at least 1000 bytes ' },
  { args: ['file', ...to, '--rate', '1', '--rate', '2'], code: 2, line: '--rate: given more than' },
  { args: ['file', ...to, '--give-up-after', '0'], code: 2, line: '--give-up-after 0: ' },
  {
    args: ['file', ...to, '--multicast-ttl', '256'],
    code: 2,
    line: /^--multicast-ttl 256: .* 255/,
  },
  { args: ['file', ...to, '--mss', 'x'], code: 2, line: 'MSS x: ' },
  { args: ['file', ...to, '--bogus'], code: 2, line: 'bogus' },
  {
    args: ['file', ...to, '--overwrite', '--no-clobber'],
    code: 2,
    line: '--overwrite and --no-clobber contradict each other; give only one',
  },
  { args: ['file', ...to, '--mss', '480'], code: 2, line: /480.* 481 / },
  { args: ['file', ...to, '--mss', '65001'], code: 2, line: /65001.* 65000/ },
  { args: ['file', ...to, '--multicast', '10.0.0.1'], code: 2, line: '--multicast 10.0.0.1: ' },
  { args: ['file', ...to, '--multicast', 'ff15::1'], code: 2, line: '--multicast ff15::1: ' },
  {
    args: ['file', '--to', '127.0.0.1,127.0.0.1:7735'],
    code: 2,
    line: ' are the same host and port ',
  },
  {
    args: ['file', '--to', 'nowhere.invalid'],
    code: 4,
    line: 'nowhere.invalid: unknown host name',
  },
  { args: ['missing', ...to], code: 4, line: 'missing: does not exist' },
  { args: ['file', 'folder/../file', ...to], code: 2, line: /file.*file/ },
  { args: ['-', '--stdin-name', 'a/b', ...to], code: 2, line: 'a/b' },
];

/** Usage errors of `p2mp receive`. */
const receiving: readonly Refusal[] = [
  {
    args: ['folder'],
    code: 2,
    line: 'folder: unexpected argument; name the target folder with --dir',
  },
  { args: ['--dir', 'file'], code: 4, line: /file/ },
  { args: ['--port', '65536'], code: 2, line: 'port 65536: ' },
  { args: ['--bind', '192.0.2.1'], code: 4, line: /192\.0\.2\.1:0: this host has no such/ },
  { args: ['--max-sessions', '0'], code: 2, line: '--max-sessions 0: ' },
  { args: ['--max-bytes', 'all'], code: 2, line: '--max-bytes all: ' },
  { args: ['--max-entries', '0'], code: 2, line: '--max-entries 0: ' },
  { args: ['--max-open-files', '1.5'], code: 2, line: '--max-open-files 1.5: ' },
  { args: ['--idle-timeout', '-1'], code: 2, line: '--idle-timeout -1: ' },
  { args: ['--metrics', 'x:y'], code: 2, line: 'port y: ' },
  { args: ['--metrics', '192.0.2.1:9'], code: 4, line: 'TCP 192.0.2.1:9 for metrics: ' },
  { args: ['--classic', 'folder'], code: 4, line: 'folder: is a folder; ' },
  { args: ['--on-complete'], code: 2, line: 'on-complete' },
  { args: ['--name', 'a', '--name', 'b'], code: 2, line: '--name: given more than once' },
  { args: ['--bogus'], code: 2, line: 'bogus' },
  {
    args: ['--overwrite', '--no-clobber'],
    code: 2,
    line: '--overwrite and --no-clobber contradict',
  },
  { args: ['--drain-timeout', '0'], code: 2, line: '--drain-timeout 0: ' },
  { args: ['--log', 'xml'], code: 2, line: '--log xml: must be one of text, json, journal' },
  {
    args: ['--log', 'json', '--json'],
    code: 2,
    line: '--json and --log exclude each other; give only one',
  },
  { args: ['--log-level', 'all'], code: 2, line: '--log-level all: must be one of error, warn' },
  {
    args: ['--log-level', 'info', '-q'],
    code: 2,
    line: '--log-level and --quiet contradict each other',
  },
];

for (const [verb, refusals] of Object.entries({ send: sending, receive: receiving })) {
  for (const { args, code, line } of refusals) {
    t.test(`p2mp ${verb} ${args.join(' ')}`, { buffered }, async (t) => {
      // The test runner names folders after tests, and these names would collide.
      const cwd = mkdtempSync(join(tmpdir(), 'p2mp-'));
      t.teardown(() => rmSync(cwd, { recursive: true }));
      writeFileSync(join(cwd, 'file'), 'content');
      writeFileSync(join(cwd, 'hosts'), '# nobody\n');
      mkdirSync(join(cwd, 'folder'));
      const home = mkdtempSync(join(tmpdir(), 'p2mp-home-'));
      t.teardown(() => rmSync(home, { recursive: true }));
      const port = verb === 'send' || args.includes('--port') ? [] : ['--port', '0'];
      const words = [verb, '--open', ...port, ...args];
      const program = startCommand(t, 'p2mp', words, { cwd, env: { P2MP_HOME: home } });
      // A command that wrongly accepts its input would run forever.
      const kill = () => program.kill('SIGKILL');
      // With --json, the error is printed there, as the result.
      const isJson = args.includes('--json');
      if (!isJson) program.waitFor(/\n/).then(kill, () => undefined);
      const exit = await program.exited;
      t.equal(exit.code, code, 'exit code');
      if (!isJson) t.equal(exit.stdout, '', 'nothing on standard output');
      const printed = exit.stderr.replace(/^(--open: |Created this receiver's key, ).*\n/gm, '');
      t.match(printed, /^[^\n]+\n$/, 'one line');
      t.ok(printed.startsWith(`p2mp ${verb}: `), 'the line starts with the name of the command');
      t.match(printed.slice(`p2mp ${verb}: `.length), line);
      t.equal(
        printed.includes(`(see p2mp ${verb} --help)`),
        code === 2,
        'only usage errors point to the help',
      );
      const left = readdirSync(cwd).filter((name) => name !== '.p2mp-part');
      t.same(left.sort(), ['file', 'folder', 'hosts'], 'no file is created or deleted');
    });
  }
}
