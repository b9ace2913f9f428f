/** `p2mp send --delete` to a receiver that may not delete everything, and to one with a mount point in its folder. */
import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import t, { type Test } from 'tap';
import { nodePath, Program, parseResult, projectFolder } from '../support/processes.js';
import { SessionPlace } from '../support/session-commands.js';

const receiveArgs = ['--open', '--allow-delete', '--bind', '127.0.0.1', '--port', '0'];

function make(folder: string, ...names: readonly string[]): void {
  for (const name of names) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), name);
  }
}

async function sendTo(place: SessionPlace, port: string | number, ...args: readonly string[]) {
  const to = ['--to', `127.0.0.1:${port}`, '--open', '--delete', ...args];
  return place.send([place.sent, ...to]).exited;
}

/** Starts a receiver as root without the right to ignore the modes of files. */
async function startWithoutOverride(t: Test, place: SessionPlace, dir: string) {
  const drop = ['--bounding-set', '-dac_override,-dac_read_search,-fowner'];
  const command = [
    nodePath,
    join(projectFolder, 'dist/cli/p2mp.js'),
    'receive',
    '--dir',
    dir,
    ...receiveArgs,
  ];
  const env = { P2MP_HOME: place.receiverHome };
  const program = new Program(t, 'setpriv', [...drop, ...command], { env });
  const [, port = ''] = await program.waitFor(/listening.*?127\.0\.0\.1:(\d+)/i);
  return { program, port };
}

t.test('what the receiver may not delete is named on both sides, with exit code 5', async (t) => {
  const place = new SessionPlace(t);
  const dir = join(place.folder, 'in');
  make(place.sent, 'a');
  make(dir, 'sent/locked/x', 'sent/hidden/x', 'sent/old');
  const modes = { locked: 0o555, hidden: 0 };
  for (const [name, mode] of Object.entries(modes)) chmodSync(join(dir, 'sent', name), mode);
  t.teardown(() => {
    for (const name of Object.keys(modes)) chmodSync(join(dir, 'sent', name), 0o755);
  });
  const { program, port } = await startWithoutOverride(t, place, dir);
  const json = await sendTo(place, port, '--json');
  t.equal(json.code, 5);
  t.match(parseResult(json)['receivers'], [
    {
      ...{ status: 'complete', deleted: 1, undeleted: 2 },
      deletedNames: ['sent/old'],
      undeletedNames: [
        { name: 'sent/hidden', cause: 'denied' },
        { name: 'sent/locked/x', cause: 'denied' },
      ],
    },
  ]);
  t.ok(existsSync(join(dir, 'sent/locked/x')) && existsSync(join(dir, 'sent/hidden/x')));
  const text = await sendTo(place, port);
  t.equal(text.code, 5);
  t.match(text.stderr, /sent\/locked\/x: not deleted: permission denied there/);
  program.kill('SIGTERM');
  const { stderr } = await program.exited;
  t.match(stderr, 'sent/hidden: not deleted: cannot be read: permission denied');
  t.match(stderr, 'sent/locked/x: not deleted: permission denied');
});

t.test('deletion does not cross a mount point', async (t) => {
  const place = new SessionPlace(t);
  make(place.sent, 'a');
  const receiver = await place.receive(['--open', '--allow-delete']);
  make(receiver.dir, 'sent/old/x', 'sent/old/mounted/hidden', 'sent/older');
  const point = join(receiver.dir, 'sent/old/mounted');
  execFileSync('mount', ['-t', 'tmpfs', 'none', point]);
  t.teardown(() => execFileSync('umount', ['-l', point]));
  make(point, 'y');
  const exit = await sendTo(place, receiver.port, '--json');
  t.equal(exit.code, 0);
  t.match(parseResult(exit)['receivers'], [
    { deleted: 2, undeleted: 0, deletedNames: ['sent/old/x', 'sent/older'] },
  ]);
  t.ok(existsSync(join(point, 'y')));
  t.notOk(existsSync(join(receiver.dir, 'sent/old/x')));
  t.notOk(existsSync(join(receiver.dir, 'sent/older')));
});
