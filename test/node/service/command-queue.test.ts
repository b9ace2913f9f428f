/**
 * The queue of user commands, with real shells: a few at a time, each with a time limit, no process
 * left over.
 */
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import {
  type CommandEnd,
  CommandQueue,
  type CommandQueueOptions,
  maxWaitingCommands,
} from '../../../src/node/service/command-queue.js';
import { createPipe } from '../../support/processes.js';

t.jobs = 4;
const buffered = true;
const skip = process.platform === 'win32' && 'Windows has another shell';

interface Setup {
  readonly queue: CommandQueue<number>;
  readonly folder: string;
  readonly ends: (CommandEnd & { readonly job: number })[];
}

/** A queue whose jobs are numbers, `$N` in the command; `$DIR` is a folder of the test. */
function createQueue(
  t: Test,
  command: string,
  options: Partial<CommandQueueOptions<number>> = {},
): Setup {
  const folder = t.testdir();
  const ends: Setup['ends'] = [];
  const queue = new CommandQueue<number>({
    command,
    maxRunning: 1,
    timeoutMs: 3_600_000,
    environmentOf: (job) => ({ N: String(job), DIR: folder }),
    onEnd: (job, end) => ends.push({ job, ...end }),
    ...options,
  });
  t.teardown(() => queue.stop());
  return { queue, folder, ends };
}

t.test('a few run at once, and all in order', { buffered, skip }, async (t) => {
  const command = 'mkdir "$DIR/now/$N"; ls "$DIR/now" | wc -l >>"$DIR/counts"; rmdir "$DIR/now/$N"';
  const { queue, folder, ends } = createQueue(t, command, { maxRunning: 3 });
  mkdirSync(join(folder, 'now'));
  for (let job = 0; job < 30; job++) queue.add(job);
  t.match(queue.counts, { running: 3, waiting: 27 });
  await queue.idle();
  const counts = readFileSync(join(folder, 'counts'), 'utf8').trim().split('\n').map(Number);
  t.equal(counts.length, 30);
  t.ok(Math.max(...counts) <= 3, `at most ${Math.max(...counts)} at once`);
  t.match(queue.counts, { running: 0, waiting: 0, ended: { done: 30, failed: 0 } });
  t.same(
    ends.map(({ job }) => job).sort((a, b) => a - b),
    [...Array(30).keys()],
  );
});

t.test("commands beyond the queue's limit are refused by name", { buffered, skip }, async (t) => {
  const { queue, ends } = createQueue(t, 'exec sleep 1000');
  for (let job = 0; job < maxWaitingCommands + 4; job++) queue.add(job);
  t.same(
    ends.map(({ job, status }) => [job, status]),
    [1001, 1002, 1003].map((job) => [job, 'refused']),
  );
  t.match(ends[0]?.reason, 'not run: 1000 commands are already waiting');
  queue.stop();
  await queue.idle();
  t.match(queue.counts.ended, { refused: maxWaitingCommands + 3, stopped: 1, done: 0 });
  queue.add(7);
  t.match(ends.at(-1), { job: 7, status: 'refused' }, 'what comes later');
});

t.test('processes that a command has started end with it', { buffered, skip }, async (t) => {
  for (const [name, command] of [
    ['heeds SIGTERM', 'sleep 1000 & echo runs; wait'],
    ['ignores it', 'trap "" TERM; sleep 1000 & echo runs; wait'],
    [
      'exits before the process that it started',
      '(trap "" TERM; exec sleep 1000) & echo runs; wait',
    ],
  ] as const) {
    t.test(name, { buffered }, async (t) => {
      const { queue, folder, ends } = createQueue(t, `exec >"$DIR/pipe"; ${command}`);
      // Ends once no process has the pipe open.
      const reader = createPipe(t, join(folder, 'pipe'));
      queue.add(1);
      await Promise.race([
        reader.waitFor(/runs/),
        queue.idle().then(() => Promise.reject(new Error(ends[0]?.reason))),
      ]);
      queue.stop();
      await queue.idle();
      t.match(ends, [{ job: 1, status: 'stopped' }]);
      await reader.exited;
      t.pass('no process is left');
    });
  }
});

t.test('a hanging command does not block the next', { buffered, skip }, async (t) => {
  const command = '[ "$N" = 1 ] && exec sleep 1000; exit 3';
  const { queue, ends } = createQueue(t, command, { timeoutMs: 500 });
  queue.add(1);
  queue.add(2);
  await queue.idle();
  t.match(ends, [
    { job: 1, status: 'killed', reason: 'killed after 0.5 s' },
    { job: 2, status: 'failed', reason: 'exit code 3' },
  ]);
});

t.test('a command that cannot start is a failure, not an exception', { buffered }, async (t) => {
  const ofJob = (job: number) => ({ X: job === 1 ? 'a\0b' : 'x'.repeat(300_000) });
  const { queue, ends } = createQueue(t, 'exit 0', { environmentOf: ofJob });
  queue.add(1);
  t.match(ends, [{ job: 1, status: 'failed', reason: 'did not start' }]);
  if (process.platform !== 'linux') return;
  queue.add(2);
  await queue.idle();
  t.match(ends[1], { job: 2, status: 'failed', reason: 'did not start' });
});
