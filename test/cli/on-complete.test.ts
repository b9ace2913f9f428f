/** `p2mp receive --on-complete` with many complete sessions, and during shutdown. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { send } from '../../src/index.js';
import { generateKeyPair } from '../../src/node/keys/key-files.js';
import { createPipe, type Exit } from '../support/processes.js';
import { eventsOf, type ReceiverProgram, SessionPlace } from '../support/session-commands.js';

t.jobs = 2;
const buffered = true;
const skip = process.platform === 'win32' && 'requires a POSIX shell';

/** Sends small files, one object each, a few at a time. */
async function sendMany(place: SessionPlace, { port }: ReceiverProgram, count: number) {
  const keyPair = await generateKeyPair();
  const sendOne = async (i: number) => {
    const path = join(place.sent, `file ${i}`);
    writeFileSync(path, '');
    const { receivers } = await send({
      paths: [path],
      receivers: [{ host: '127.0.0.1', port }],
      keyPair,
      trustReceiver: () => true,
    });
    if (receivers[0]?.status !== 'complete') throw new Error(receivers[0]?.reason);
  };
  for (let i = 0; i < count; i += 5) {
    await Promise.all([0, 1, 2, 3, 4].map((j) => sendOne(i + j)));
  }
}

/** The outcomes of commands in the events, sorted. */
function outcomesOf(exit: Pick<Exit, 'stdout'>): string[] {
  return eventsOf(exit, 'on-complete')
    .map(({ ['status']: status }) => String(status))
    .sort();
}

t.test('many complete sessions run few commands at once', { buffered, skip }, async (t) => {
  const place = new SessionPlace(t);
  const now = join(place.folder, 'now');
  mkdirSync(now);
  const command = `mkdir '${now}/'$$; ls '${now}' | wc -l >>'${now}.counts'; rmdir '${now}/'$$`;
  const options = ['--on-complete', command, '--on-complete-jobs', '2', '--metrics', '0'];
  const receiver = await place.receive(['--open', '--json', ...options]);
  const { address } = await receiver.program.waitForEvent('metrics');
  await sendMany(place, receiver, 40);
  const metrics = await (await fetch(`http://${address}/metrics`)).text();
  for (const name of ['total{status="done"}', 'total{status="refused"}', 'running', 'waiting']) {
    t.ok(metrics.includes(`\np2mp_on_complete_${name} `), name);
  }
  receiver.program.kill('SIGTERM');
  const exit = await receiver.program.exited;
  t.equal(exit.code, 0, 'queued commands finish first');
  t.same(outcomesOf(exit), Array(40).fill('done'));
  const counts = readFileSync(`${now}.counts`, 'utf8').trim().split('\n').map(Number);
  t.equal(counts.length, 40);
  t.ok(Math.max(...counts) <= 2, 'never more than two at once');
});

t.test('a command that hangs is killed, and --once ends', { buffered, skip }, async (t) => {
  const place = new SessionPlace(t);
  const options = ['--on-complete', 'sleep 1000', '--on-complete-timeout', '0.5'];
  const receiver = await place.receive(['--open', '--once', ...options]);
  await sendMany(place, receiver, 1);
  const { code, stderr } = await receiver.program.exited;
  t.equal(code, 0, 'the killed command does not affect the exit code');
  t.match(stderr, /file 0 from \S+: --on-complete: killed after 0.5 s; see --on-complete-timeout/);
});

t.test(
  'after SIGTERM, commands may run as long as --drain-timeout',
  { buffered, skip },
  async (t) => {
    const place = new SessionPlace(t);
    const options = ['--on-complete', 'sleep 1000', '--on-complete-jobs', '1'];
    const all = ['--open', '--json', '--drain-timeout', '0.5', ...options];
    const receiver = await place.receive(all);
    await sendMany(place, receiver, 5);
    receiver.program.kill('SIGTERM');
    const exit = await receiver.program.exited;
    t.equal(exit.code, 130);
    t.same(outcomesOf(exit), [...Array(4).fill('refused'), 'stopped']);
  },
);

t.test('a second signal kills running commands', { buffered, skip }, async (t) => {
  const place = new SessionPlace(t);
  const pipe = join(place.folder, 'pipe');
  const reader = createPipe(t, pipe);
  const command = `exec >'${pipe}'; trap '' TERM; echo runs; while :; do sleep 0.1; done`;
  const receiver = await place.receive(['--open', '--json', '--on-complete', command]);
  await sendMany(place, receiver, 1);
  await Promise.race([
    reader.waitFor(/runs/),
    receiver.program.exited.then(({ stderr }) => Promise.reject(new Error(stderr))),
  ]);
  receiver.program.kill('SIGTERM');
  // Two simultaneous signals would merge into one.
  receiver.program.kill('SIGINT');
  t.equal((await receiver.program.exited).code, 130);
  await reader.exited;
  t.pass('the command no longer runs');
});
