/**
 * The upgrade in docs/OPERATIONS.md with real processes: the receiver is stopped, its sessions
 * finish, and another process takes over its port. No sender has to be restarted.
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { isSameContent, writeRandomFile } from '../../support/loopback.js';
import { parseResult } from '../../support/processes.js';
import { eventsOf, SessionPlace, waitForNote } from '../../support/session-commands.js';

t.jobs = 2;

const buffered = true;
const skip = process.platform === 'win32' && 'Windows has no such signals';

/** Senders must not time out while a busy machine starts a process. */
const patient = ['--open', '--json', '--give-up-after', '600'];

t.test(
  'running sessions finish, and later ones wait for the next process',
  { buffered, skip },
  async (t) => {
    const place = new SessionPlace(t);
    const { program, name, port, dir } = await place.receive(['--open', '--json']);
    const sent = writeRandomFile(place.sent, 800_000);
    const sender = place.send([sent, '--to', name, '--rate', '100k', ...patient]);
    await sender.waitForEvent('progress');
    // The running session cannot finish before the other programs have started, however slowly.
    sender.kill('SIGSTOP');
    program.kill('SIGTERM');
    await program.waitForEvent('draining');

    const late = writeRandomFile(place.sent, 5000, 'late');
    const lateSender = place.send([late, '--to', name, ...patient]);
    t.match(await lateSender.waitForEvent('deferred'), {
      receiver: name,
      reason: 'this receiver is shutting down and accepts no new sessions',
    });
    const early = await place.start(place.receiverHome, [
      ...['receive', '--open', '--dir', dir, '--bind', '127.0.0.1', '--port', String(port)],
    ]).exited;
    t.equal(early.code, 4, 'two receivers would take datagrams from each other');
    t.match(early.stderr, 'the port is in use');
    sender.kill('SIGCONT');

    t.equal((await sender.exited).code, 0, 'the running session completes');
    const old = await program.exited;
    t.equal(old.code, 0);
    t.match(eventsOf(old, 'session-result'), [{ status: 'complete', label: 'sent' }]);
    t.ok(isSameContent(sent, join(dir, 'sent')));

    const next = await place.receive(['--open', '--json', '--port', String(port)]);
    const lateExit = await lateSender.exited;
    t.equal(lateExit.code, 0, lateExit.stderr);
    t.equal(eventsOf(lateExit, 'deferred').length, 1, 'reported once');
    t.ok(isSameContent(late, join(dir, 'late')));
    t.match(await next.program.waitForEvent('session-result'), {
      status: 'complete',
      label: 'late',
    });
    t.same(readdirSync(dir).sort(), ['late', 'sent']);
  },
);

t.test('a sender that starts while no receiver runs waits', { buffered, skip }, async (t) => {
  const place = new SessionPlace(t);
  const { program, name, port, dir } = await place.receive(['--open']);
  program.kill('SIGTERM');
  t.equal((await program.exited).code, 0);
  const sent = writeRandomFile(place.sent, 5000);
  const sender = place.send([sent, '--to', name, ...patient]);
  await sender.waitForEvent('start');
  await place.receive(['--open', '--port', String(port)]);
  const exit = await sender.exited;
  t.equal(exit.code, 0, exit.stderr);
  t.ok(isSameContent(sent, join(dir, 'sent')));
});

t.test(
  'a session that exceeds the drain timeout continues with the next process',
  { buffered, skip },
  async (t) => {
    const place = new SessionPlace(t);
    const options = ['--open', '--json', '--drain-timeout', '0.1'];
    const first = await place.receive(options);
    const sizeBytes = 4_000_000;
    const sent = writeRandomFile(place.sent, sizeBytes);
    const sender = place.send([sent, '--to', first.name, '--rate', '500k', ...patient]);
    await waitForNote(first);
    first.program.kill('SIGTERM');
    const left = await first.program.exited;
    t.equal(left.code, 130, 'not all sessions finished');
    const [aside] = eventsOf(left, 'session-result');
    t.match(aside, {
      status: 'failed',
      reason: 'suspended because this receiver shut down; the sender resumes once it is back',
    });
    const heldBytes: number = aside?.['heldBytes'];
    t.ok(heldBytes > 0 && heldBytes < sizeBytes, `${heldBytes} held`);

    const second = await place.receive([...options, '--port', String(first.port)]);
    const exit = await sender.exited;
    t.equal(exit.code, 0, exit.stderr);
    t.equal(eventsOf(exit, 'connect').length, 2, 'the sender resumes without help');
    t.match(parseResult(exit)['receivers'], [{ status: 'complete' }]);
    const result = await second.program.waitForEvent('session-result');
    t.match(
      result,
      { status: 'complete', receivedBytes: sizeBytes - heldBytes },
      'nothing is sent twice',
    );
    t.ok(isSameContent(sent, join(first.dir, 'sent')));
    t.same(readdirSync(first.dir), ['sent']);
  },
);

t.test(
  'if all sessions finish, the receiver exits before the drain timeout',
  { buffered, skip },
  async (t) => {
    const place = new SessionPlace(t);
    const { program, name } = await place.receive(['--open', '--json', '--drain-timeout', '100']);
    const sent = writeRandomFile(place.sent, 300_000);
    const sender = place.send([sent, '--to', name, '--rate', '100k', ...patient]);
    await sender.waitForEvent('progress');
    program.kill('SIGTERM');
    t.equal((await sender.exited).code, 0);
    const exit = await program.exited;
    t.equal(exit.code, 0);
    t.match(eventsOf(exit, 'session-result'), [{ status: 'complete' }]);
  },
);
