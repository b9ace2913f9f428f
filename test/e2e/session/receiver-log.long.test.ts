/** Log output of `p2mp receive`: lines with time and level, for machines and for people. */
import t from 'tap';
import { writeRandomFile } from '../../support/loopback.js';
import { type Exit, type JsonEvent, parseEvents } from '../../support/processes.js';
import { SessionPlace } from '../../support/session-commands.js';

t.jobs = 2;

const buffered = true;
const skip = process.platform === 'win32' && 'Windows has no such signals';

/** Runs one complete and one refused session, then stops the receiver. */
async function play(place: SessionPlace, options: readonly string[]): Promise<Exit> {
  // An existing key is not reported.
  await place.keygen(place.receiverHome);
  const { program, name } = await place.receive(['--open', '--max-bytes', '1MB', ...options]);
  const sent = writeRandomFile(place.sent, 1000);
  const large = writeRandomFile(place.sent, 2_000_000, 'large');
  for (const path of [sent, large]) await place.send([path, '--to', name, '--open']).exited;
  program.kill('SIGTERM');
  return program.exited;
}

const time = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

function levelsOf(events: readonly JsonEvent[]): string[] {
  return events.map(({ level, event, status = '' }) => `${level} ${event} ${status}`.trim());
}

t.test('--log json', { buffered, skip }, async (t) => {
  const exit = await play(new SessionPlace(t), ['--log', 'json']);
  t.match(exit, { code: 0, stderr: '' }, 'everything goes to one stream');
  const events = parseEvents(exit.stdout);
  for (const event of events) {
    t.match(event, { time });
    t.same(Object.keys(event).slice(0, 3), ['time', 'level', 'event']);
  }
  t.same(levelsOf(events), [
    'warn message',
    'info listening',
    'info connect',
    'info session-result complete',
    'info connect',
    'error session-result refused',
    'info result stopped',
  ]);
  t.match(events[0], { message: /^--open: senders are not authenticated/ });
});

t.test('--log json at other levels', { buffered, skip }, async (t) => {
  const place = new SessionPlace(t);
  const debug = await play(place, ['--log', 'json', '--log-level', 'debug']);
  const printed = levelsOf(parseEvents(debug.stdout)).filter((each) => !each.startsWith('debug'));
  t.equal(printed.length, 7, printed.join());
  const { port } = await place.receive();
  const args = ['receive', '--open', '--bind', '127.0.0.1', '--port', String(port)];
  const taken = place.start(place.receiverHome, [...args, '--log', 'json']);
  const exit = await taken.exited;
  t.equal(exit.code, 4);
  t.match(
    exit.stderr,
    /^p2mp receive: UDP .*: the port is in use/,
    'a fatal error is still printed as text',
  );
});

t.test('--log text', { buffered, skip }, async (t) => {
  const exit = await play(new SessionPlace(t), ['--log', 'text', '--verbose']);
  t.match(exit, { code: 0, stderr: '' });
  const lines = exit.stdout.trimEnd().split('\n');
  const parts = lines.map((line) => /^(\S+) (error|warn |info |debug) (.*)$/.exec(line) ?? []);
  for (const [line, at] of parts) t.match(at, time, line);
  const texts = parts.map(([, , level = '', text]) => `${level.trim()} ${text}`).join('\n');
  t.match(
    texts,
    /^warn --open: senders are not authenticated; any host that reaches this port can send$/m,
  );
  t.match(texts, /^info Listening on 127\.0\.0\.1:\d+, receiving into /m);
  t.match(texts, /^info sent from 127\.0\.0\.1:\d+: 1\.00 kB, key SHA256:/m);
  t.match(texts, /^info sent from 127\.0\.0\.1:\d+: complete, /m);
  t.match(texts, /^error large from 127\.0\.0\.1:\d+: refused: /m);
  t.match(texts, /^debug sockets: /m);
});

t.test('--log journal', { buffered, skip }, async (t) => {
  const exit = await play(new SessionPlace(t), ['--log', 'journal']);
  t.match(exit, { code: 0, stderr: '' });
  t.match(exit.stdout, /^<4>--open: /m);
  t.match(exit.stdout, /^<6>Listening on /m);
  t.match(exit.stdout, /^<3>large from .*: refused: /m);
  t.notMatch(exit.stdout.trimEnd(), /^(?!<[3-7]>)/m, 'every line has its priority');
});

for (const [level, stdout, stderr] of [
  ['warn', '', /^--open: .*\n$/],
  ['error', '', ''],
  ['info', /^Listening on [^\n]*\nsent from [^\n]*\n$/, /^--open: .*\n$/],
] as const) {
  t.test(`--log-level ${level} without --log`, { buffered, skip }, async (t) => {
    const place = new SessionPlace(t);
    await place.keygen(place.receiverHome);
    // The second receiver never prints its port.
    const { program, port, name, dir } = await place.receive();
    program.kill('SIGTERM');
    await program.exited;
    const args = ['--dir', dir, '--bind', '127.0.0.1', '--port', String(port)];
    const options = ['--open', '--once', '--log-level', level];
    const second = place.start(place.receiverHome, ['receive', ...args, ...options]);
    const sent = writeRandomFile(place.sent, 1000);
    const sender = place.send([sent, '--to', name, '--open', '--give-up-after', '60']);
    t.equal((await sender.exited).code, 0);
    const exit = await second.exited;
    t.equal(exit.code, 0);
    t.match(exit.stdout, stdout);
    t.match(exit.stderr, stderr);
    if (stdout === '') t.equal(exit.stdout, '');
    if (stderr === '') t.equal(exit.stderr, '');
  });
}
