/** `p2mp send` and `p2mp receive`, stopped or killed midway and started again. */
import { readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { isSameContent, writeRandomFile } from '../support/loopback.js';
import { parseResult } from '../support/processes.js';
import { eventsOf, SessionPlace, waitForNote } from '../support/session-commands.js';

t.jobs = 4;

const buffered = true;
const skip = process.platform === 'win32' && 'Windows does not have these signals';

/** So slow that no machine finishes during a test: the transfer would take ten minutes. */
const endless = { sizeBytes: 6_000_000, rate: ['--rate', '10k'] } as const;

/** By now the receiver has a partial file to keep. */
const receiving = /"event":"progress".*"activity":"receiving"/;

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  t.test(`${signal} to the sender midway`, { buffered, skip }, async (t) => {
    const place = new SessionPlace(t);
    const { program, name, dir } = await place.receive(['--open', '--once', '--json']);
    const sent = writeRandomFile(place.sent, endless.sizeBytes);
    const sender = place.send([sent, '--to', name, '--open', ...endless.rate]);
    await program.waitFor(receiving);
    sender.kill(signal);
    const { code, stdout, stderr } = await sender.exited;
    t.equal(code, 130);
    t.match(stdout, 'complete at 0 of 1 receiver', 'the summary is printed');
    t.match(stdout, new RegExp(`^ {2}${name} +aborted `, 'm'));
    t.match(stderr, /^p2mp send: interrupted; to resume, run the same command again$/m);
    const received = await program.exited;
    t.equal(received.code, 1, '--once: the session failed');
    t.match(eventsOf(received, 'session-result'), [{ status: 'failed', label: 'sent' }]);
    t.same(
      readdirSync(dir),
      ['.p2mp-part'],
      'the partial file is kept, and no complete file exists',
    );
  });
}

t.test('SIGINT to the receiver midway ends its sessions', { buffered, skip }, async (t) => {
  const place = new SessionPlace(t);
  const { program, name, dir } = await place.receive(['--open', '--json']);
  const sent = writeRandomFile(place.sent, endless.sizeBytes);
  const args = ['--open', '--json', ...endless.rate, '--give-up-after', '2'];
  const sender = place.send([sent, '--to', name, ...args]);
  await program.waitFor(receiving);
  program.kill('SIGINT');
  const received = await program.exited;
  t.equal(received.code, 130);
  const reason = 'the receiver was stopped; send again once it is back';
  t.match(eventsOf(received, 'session-result'), [{ status: 'failed', reason }]);
  t.same(readdirSync(dir), ['.p2mp-part']);
  const exit = await sender.exited;
  t.equal(exit.code, 1);
  t.match(parseResult(exit)['receivers'], [{ status: 'failed', reason }]);
});

t.test('SIGTERM lets the active session finish', { buffered, skip }, async (t) => {
  const place = new SessionPlace(t);
  const { program, name, dir } = await place.receive(['--open', '--json']);
  const sent = writeRandomFile(place.sent, 500_000);
  const sender = place.send([sent, '--to', name, '--open', '--json', '--rate', '100k']);
  await sender.waitForEvent('progress');
  program.kill('SIGTERM');
  await program.waitFor(
    /^p2mp receive: no longer accepting new sessions; exiting when /m,
    'stderr',
  );
  t.equal((await sender.exited).code, 0);
  const received = await program.exited;
  t.equal(received.code, 0);
  t.match(eventsOf(received, 'session-result'), [{ status: 'complete' }]);
  t.ok(isSameContent(sent, join(dir, 'sent')));
});

t.test('a second signal ends a waiting receiver at once', { buffered, skip }, async (t) => {
  const place = new SessionPlace(t);
  const { program, name } = await place.receive(['--open', '--json']);
  const sent = writeRandomFile(place.sent, endless.sizeBytes);
  const sender = place.send([sent, '--to', name, '--open', '--json', ...endless.rate]);
  await sender.waitForEvent('progress');
  program.kill('SIGTERM');
  await program.waitFor(/^p2mp receive: no longer accepting new sessions/m, 'stderr');
  program.kill('SIGTERM');
  const received = await program.exited;
  t.equal(received.code, 130);
  t.same(eventsOf(received, 'session-result'), []);
});

t.test('SIGINT after SIGTERM ends the session, and says so', { buffered, skip }, async (t) => {
  const place = new SessionPlace(t);
  const { program, name } = await place.receive(['--open', '--json']);
  const sent = writeRandomFile(place.sent, endless.sizeBytes);
  const args = ['--open', '--json', ...endless.rate, '--give-up-after', '2'];
  const sender = place.send([sent, '--to', name, ...args]);
  await program.waitFor(receiving);
  program.kill('SIGTERM');
  await program.waitFor(/^p2mp receive: no longer accepting new sessions/m, 'stderr');
  program.kill('SIGINT');
  const received = await program.exited;
  t.equal(received.code, 130);
  const reason = 'the receiver was stopped; send again once it is back';
  t.match(eventsOf(received, 'session-result'), [{ status: 'failed', reason }]);
  t.match(parseResult(await sender.exited)['receivers'], [{ status: 'failed', reason }]);
});

t.test('an idle receiver that is stopped', { buffered, skip }, async (t) => {
  const place = new SessionPlace(t);
  for (const [options, signal, code] of [
    [['--open'], 'SIGINT', 0],
    [['--open'], 'SIGTERM', 0],
    [['--open', '--once'], 'SIGINT', 130],
    [['--open', '--once'], 'SIGTERM', 130],
  ] as const) {
    const { program } = await place.receive(options);
    program.kill(signal);
    t.equal((await program.exited).code, code, `${options.join(' ')} ${signal}`);
  }
});

t.test('a receiver that is killed and restarted', { buffered, skip }, async (t) => {
  const place = new SessionPlace(t);
  const options = ['--open', '--json', '--once'];
  const first = await place.receive(options);
  const sent = writeRandomFile(place.sent, 4_000_000);
  const sender = place.send([sent, '--to', first.name, '--open', '--json', '--rate', '500k']);
  await waitForNote(first);
  first.program.kill('SIGKILL');
  t.match(await first.program.exited, { signal: 'SIGKILL' });
  t.notOk(isSameContent(sent, join(first.dir, 'sent')));
  const second = await place.receive([...options, '--port', String(first.port)]);
  const exit = await sender.exited;
  t.equal(exit.code, 0, 'the sender reconnects without help');
  t.equal(eventsOf(exit, 'connect').length, 2);
  const received = await second.program.exited;
  t.equal(received.code, 0);
  const [result] = eventsOf(received, 'session-result');
  t.match(result, { status: 'complete', heldBytes: 4_000_000 });
  t.ok(result?.['receivedBytes'] < 4_000_000, `${result?.['receivedBytes']} were received again`);
  t.ok(isSameContent(sent, join(first.dir, 'sent')));
  t.same(readdirSync(first.dir), ['sent'], 'the partial file is gone');
});

t.test('a sender that is killed, and the same command again', { buffered, skip }, async (t) => {
  const place = new SessionPlace(t);
  const receiver = await place.receive(['--open', '--json']);
  const sent = writeRandomFile(place.sent, 4_000_000);
  const args = [sent, '--to', receiver.name, '--open', '--json'];
  const killed = place.send([...args, '--rate', '500k']);
  await waitForNote(receiver);
  killed.kill('SIGKILL');
  await killed.exited;
  const exit = await place.send(args).exited;
  t.equal(exit.code, 0);
  const [result] = parseResult(exit)['receivers'];
  t.match(result, { status: 'complete', heldBytes: 4_000_000 });
  t.ok(result.receivedBytes < 4_000_000, `${result.receivedBytes} were received again`);
  t.ok(isSameContent(sent, join(receiver.dir, 'sent')));
  receiver.program.kill('SIGTERM');
  const received = await receiver.program.exited;
  const results = eventsOf(received, 'session-result').map(({ status, receivedBytes }) => [
    status,
    receivedBytes,
  ]);
  t.same(results.at(-1), ['complete', result.receivedBytes]);
  const sum = results.reduce((all, [, bytes]) => all + bytes, 0);
  t.equal(sum, 4_000_000, 'nothing was received twice');
});

t.test('data that the receiver already holds is not sent again', { buffered }, async (t) => {
  const place = new SessionPlace(t);
  const { name, dir } = await place.receive();
  const sent = writeRandomFile(place.sent, 200_000);
  const args = [sent, '--to', name, '--open', '--json'];
  t.equal((await place.send(args).exited).code, 0);
  const receivedBy = async (...more: string[]) => {
    const exit = await place.send([...args, ...more]).exited;
    t.equal(exit.code, 0);
    return parseResult(exit)['receivers'][0].receivedBytes;
  };
  t.equal(await receivedBy(), 200_000, 'a sender without a key has a new identity each time');
  await place.keygen(place.senderHome);
  t.equal(await receivedBy(), 200_000, 'this run has stored nothing yet');
  const { ino } = statSync(join(dir, 'sent'));
  t.equal(await receivedBy(), 0);
  t.equal(statSync(join(dir, 'sent')).ino, ino, 'it is the same file');
  t.equal(await receivedBy('--overwrite'), 200_000);
  writeFileSync(join(dir, 'sent'), 'of the receiver');
  t.equal(await receivedBy('--no-clobber'), 0);
  t.equal(statSync(join(dir, 'sent')).size, 'of the receiver'.length);
});

t.test('a receiver without a folder for partial files does not start', { buffered }, async (t) => {
  const place = new SessionPlace(t);
  const dir = join(place.folder, 'sent');
  writeFileSync(join(dir, '.p2mp-part'), 'in the way');
  const args = ['receive', '--open', '--port', '0', '--dir', dir];
  const program = place.start(place.receiverHome, args);
  // Without the check, the command would run forever.
  const kill = () => program.kill('SIGKILL');
  program.waitFor(/Listening/).then(kill, () => undefined);
  const exit = await program.exited;
  t.match(exit, { code: 4, stdout: '' });
  t.match(exit.stderr, /^p2mp receive: .*\.p2mp-part: [^\n]+\n$/m);
});
