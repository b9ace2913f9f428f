/** Sessions with failing receiver disks: what the sender reports, and what the receiver keeps. */
import {
  closeSync,
  existsSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import t, { type Test } from 'tap';
import { FakedClock, noFaketime } from '../../support/faked-clock.js';
import { InjectedFault, noInjection, syncing, writing } from '../../support/injected-faults.js';
import { isSameContent, writeRandomFile } from '../../support/loopback.js';
import { distFolder, Program, parseResult } from '../../support/processes.js';
import {
  eventsOf,
  type ReceiverProgram,
  SessionPlace,
  stopMidway,
} from '../../support/session-commands.js';

const buffered = true;
const noStop = process.platform === 'win32' && 'Windows has no such signals';
const sizeBytes = 8_000_000;

/** Arguments of a receiver that a test starts itself. */
function receiveInto(dir: string): string[] {
  const where = ['--dir', dir, '--bind', '127.0.0.1', '--port', '0'];
  return ['receive', '--open', '--json', ...where];
}

/** A receiver, and a sender that is slow enough for the disk to fail midway. */
class Setup {
  readonly place: SessionPlace;
  readonly sent: string;

  constructor(readonly t: Test) {
    this.place = new SessionPlace(t);
    this.sent = writeRandomFile(this.place.sent, sizeBytes);
  }

  send(receivers: readonly ReceiverProgram[], ...options: string[]): Program {
    const to = receivers.map(({ name }) => name).join();
    return this.place.send([this.sent, '--to', to, '--open', '--json', ...options]);
  }

  isThere({ dir }: ReceiverProgram): boolean {
    return isSameContent(this.sent, join(dir, 'sent'));
  }

  /** Sends again with a working disk; the session completes, and kept data is not sent again. */
  async repeat(receiver: ReceiverProgram): Promise<number> {
    const exit = await this.send([receiver]).exited;
    this.t.equal(exit.code, 0, exit.stderr);
    this.t.ok(this.isThere(receiver), 'the object is complete');
    this.t.notOk(existsSync(join(receiver.dir, '.p2mp-part')), 'no part remains');
    return parseResult(exit)['receivers'][0].receivedBytes;
  }
}

t.test('a disk that fails midway', { buffered, skip: noInjection }, async (t) => {
  const setup = new Setup(t);
  const receiver = await setup.place.receive(['--open', '--json']);
  const other = await setup.place.receive(['--open', '--json'], 'other');
  const sender = setup.send([receiver, other], '--rate', '3MB');
  await stopMidway(sender, receiver);
  const fault = await InjectedFault.begin(t, receiver.program.pid, writing, 'error=EIO');
  sender.kill('SIGCONT');
  const exit = await sender.exited;
  await fault.end();
  t.equal(exit.code, 3, 'some receivers are complete');
  t.match(parseResult(exit)['receivers'], [
    { status: 'failed', reason: /disk I\/O error; check the disk/ },
    { status: 'complete' },
  ]);
  t.ok(setup.isThere(other), 'the other receiver is complete');
  t.same(
    readdirSync(receiver.dir),
    ['.p2mp-part'],
    'the failed receiver has no file that looks complete',
  );
  const againBytes = await setup.repeat(receiver);
  t.ok(againBytes < sizeBytes, `${againBytes} of ${sizeBytes} bytes were sent again`);
});

t.test('a disk that cannot make anything durable', { buffered, skip: noInjection }, async (t) => {
  const setup = new Setup(t);
  const receiver = await setup.place.receive(['--open', '--json']);
  const sender = setup.send([receiver], '--rate', '3MB');
  await stopMidway(sender, receiver);
  const fault = await InjectedFault.begin(t, receiver.program.pid, syncing, 'error=EIO');
  sender.kill('SIGCONT');
  const exit = await sender.exited;
  await fault.end();
  t.equal(exit.code, 1);
  t.match(parseResult(exit)['receivers'], [{ status: 'failed', reason: /disk I\/O error/ }]);
  t.same(
    readdirSync(receiver.dir),
    ['.p2mp-part'],
    'data that may not be durable gets no file name',
  );
  await setup.repeat(receiver);
});

t.test('a disk that makes nothing durable at all', { buffered, skip: noInjection }, async (t) => {
  const setup = new Setup(t);
  const receiver = await setup.place.receive(['--open', '--json']);
  const fault = await InjectedFault.begin(t, receiver.program.pid, syncing, 'error=EIO');
  const exit = await setup.send([receiver]).exited;
  await fault.end();
  t.equal(exit.code, 1);
  t.match(parseResult(exit)['receivers'], [{ status: 'refused', reason: /disk I\/O error/ }]);
  t.same(readdirSync(receiver.dir), [], 'nothing was created');
  await setup.repeat(receiver);
});

/** Changes to the part midway. */
const spoilers = {
  'is truncated': (path: string) => truncateSync(path, 100_000),
  'is overwritten in the middle': (path: string) => {
    const file = openSync(path, 'r+');
    writeSync(file, Buffer.alloc(5000, 7), 0, 5000, 70_000);
    closeSync(file);
  },
  'gets zeros in the middle, twice': (path: string) => {
    for (const at of [0, 300_000]) {
      const file = openSync(path, 'r+');
      writeSync(file, Buffer.alloc(100_000), 0, 100_000, at);
      closeSync(file);
    }
  },
};

for (const [what, spoil] of Object.entries(spoilers)) {
  t.test(`a part that ${what} midway`, { buffered, skip: noStop }, async (t) => {
    const setup = new Setup(t);
    const receiver = await setup.place.receive(['--open', '--json']);
    const sender = setup.send([receiver], '--rate', '3MB');
    const journal = await stopMidway(sender, receiver);
    spoil(join(dirname(journal), '0'));
    sender.kill('SIGCONT');
    const exit = await sender.exited;
    t.equal(exit.code, 0, exit.stdout);
    t.ok(setup.isThere(receiver), 'corrupted blocks were received again');
    receiver.program.kill('SIGTERM');
    const [result] = eventsOf(await receiver.program.exited, 'session-result');
    t.ok(result?.['badBlocks'] >= 1, `${result?.['badBlocks']} bad blocks`);
  });
}

/** Ways to lose a part midway, given the path of its file `0`. */
const removals = {
  'is removed with its folder': (path: string) =>
    rmSync(dirname(dirname(path)), { recursive: true }),
  'loses a file': (path: string) => rmSync(path),
  'is moved away': (path: string) => renameSync(dirname(path), join(dirname(path), '../../moved')),
};

for (const [what, remove] of Object.entries(removals)) {
  t.test(`a part that ${what} midway`, { buffered, skip: noStop }, async (t) => {
    const setup = new Setup(t);
    const receiver = await setup.place.receive(['--open', '--json']);
    const sender = setup.send([receiver], '--rate', '3MB');
    const journal = await stopMidway(sender, receiver);
    remove(join(dirname(journal), '0'));
    sender.kill('SIGCONT');
    const exit = await sender.exited;
    t.equal(exit.code, 1);
    const reason = /part: somebody removed what had arrived; send again, and leave/;
    t.match(parseResult(exit)['receivers'], [{ status: 'failed', reason }]);
    await setup.repeat(receiver);
  });
}

t.test(
  'a slow disk takes longer, and nothing is lost',
  { buffered, skip: noInjection },
  async (t) => {
    const setup = new Setup(t);
    const receiver = await setup.place.receive(['--open', '--json']);
    const other = await setup.place.receive(['--open', '--json'], 'other');
    const calls = `${writing},${syncing}`;
    const fault = await InjectedFault.begin(t, receiver.program.pid, calls, 'delay_enter=50000');
    const exit = await setup.send([receiver, other]).exited;
    await fault.end();
    t.equal(exit.code, 0, exit.stderr);
    t.ok(setup.isThere(receiver) && setup.isThere(other));
  },
);

t.test(
  'a limit on the size of files',
  { buffered, skip: process.platform === 'win32' && 'no ulimit' },
  async (t) => {
    const setup = new Setup(t);
    const dir = join(setup.place.folder, 'in');
    const p2mp = join(distFolder, 'cli', 'p2mp.js');
    const args = receiveInto(dir);
    const words = ['-c', 'ulimit -f 2048; exec "$@"', 'sh', process.execPath, p2mp, ...args];
    const env = { P2MP_HOME: setup.place.receiverHome };
    const program = new Program(t, 'bash', words, { env });
    const { addresses } = await program.waitForEvent('listening');
    const receiver = { program, port: 0, name: addresses[0], dir };
    const exit = await setup.send([receiver]).exited;
    t.equal(exit.code, 1);
    t.match(parseResult(exit)['receivers'], [
      {
        status: 'failed',
        reason: /exceeds the size limit; raise the limit or use another disk/,
      },
    ]);
    program.kill('SIGTERM');
    t.equal((await program.exited).signal, null, 'the receiver keeps running');
  },
);

t.test('a folder that cannot be written to is refused at the start', { buffered }, async (t) => {
  const place = new SessionPlace(t);
  const file = join(place.folder, 'a file');
  writeFileSync(file, '');
  const program = place.start(place.receiverHome, ['receive', '--open', '--dir', join(file, 'in')]);
  const exit = await program.exited;
  t.equal(exit.code, 4, exit.stdout);
  t.match(exit.stderr, /a part of the path is not a folder; check the name/);
});

t.test('clocks that jump', { buffered, skip: noFaketime }, async (t) => {
  const setup = new Setup(t);
  const clock = new FakedClock(join(setup.place.folder, 'clock'));
  const p2mp = join(distFolder, 'cli', 'p2mp.js');
  const start = (home: string, ...args: string[]) =>
    new Program(t, process.execPath, [p2mp, ...args], { env: { ...clock.env, P2MP_HOME: home } });
  const { place } = setup;
  const dir = join(place.folder, 'in');
  const receiver = start(place.receiverHome, ...receiveInto(dir), '--once');
  const { addresses } = await receiver.waitForEvent('listening');
  const options = [
    '--to',
    addresses[0],
    '--open',
    '--json',
    '--rate',
    '2MB',
    '--give-up-after',
    '5',
  ];
  const sender = start(place.senderHome, 'send', setup.sent, ...options);
  await sender.waitForEvent('progress');
  clock.set('+3d');
  await receiver.waitForEvent('progress').catch(() => undefined);
  clock.set('-3d');
  const exit = await sender.exited;
  t.equal(exit.code, 0, exit.stderr);
  t.equal((await receiver.exited).code, 0);
  t.ok(isSameContent(setup.sent, join(dir, 'sent')));
});
