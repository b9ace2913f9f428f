/** What all commands do alike: flags, errors with --json, lost output. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { writeRandomFile } from '../support/loopback.js';
import { distFolder, Program, parseResult, startCommand } from '../support/processes.js';
import { SessionPlace } from '../support/session-commands.js';

const to = ['--to', '127.0.0.1:7001'];

const badFlags: { name: 'p2mp' | 'p2mpserver'; args: string[]; flag: string }[] = [
  { name: 'p2mp', args: ['send', 'file', ...to, '--dry-run=1'], flag: '--dry-run=1' },
  { name: 'p2mp', args: ['send', 'file', ...to, '-q=yes'], flag: '-q=yes' },
  { name: 'p2mp', args: ['receive', '--no-clobber=on'], flag: '--no-clobber=on' },
  { name: 'p2mpserver', args: ['0', 'file', '0', '--once=maybe'], flag: '--once=maybe' },
];

for (const { name, args, flag } of badFlags) {
  t.test(`a flag with a value is refused: ${flag}`, async (t) => {
    const exit = await startCommand(t, name, args).exited;
    t.match(exit, { code: 2, stdout: '' });
    t.match(exit.stderr, `${flag}: takes no value; give ${flag.replace(/=.*/, '')}, or leave it`);
  });
}

t.test('a flag may have the value true or false', async (t) => {
  const exit = await startCommand(t, 'p2mp', ['send', 'missing', ...to, '--dry-run=true']).exited;
  t.match(exit, { code: 4, stderr: /missing: does not exist/ });
});

const errors = [
  { name: 'p2mp', args: ['send', 'missing', ...to], code: 'SOURCE_UNREADABLE' },
  { name: 'p2mp', args: ['receive', '--port', 'x'], code: 'INVALID_ARGUMENT' },
  { name: 'p2mpclient', args: ['127.0.0.1', '7001', 'missing', '500'], code: 'SOURCE_UNREADABLE' },
  { name: 'p2mpserver', args: ['0', 'missing/file', '0'], code: 'TARGET_UNWRITABLE' },
] as const;

for (const { name, args, code } of errors) {
  t.test(`with --json, an error of ${name} ${args[0]} is the result`, async (t) => {
    const exit = await startCommand(t, name, [...args, '--json'], { cwd: t.testdir() }).exited;
    t.match(parseResult(exit), { event: 'result', error: { code, message: String } });
    t.not(exit.stderr, '', 'it is printed for people too');
  });
}

t.test(
  'results that standard output cannot take are reported',
  { skip: !existsSync('/dev/full') },
  async (t) => {
    const place = new SessionPlace(t);
    const file = writeRandomFile(place.sent, 1000, 'file');
    const { name } = await place.receive();
    const program = join(distFolder, 'cli/p2mp.js');
    const args = [process.execPath, program, 'send', file, '--to', name, '--open'];
    const env = { P2MP_HOME: place.senderHome };
    const shell = new Program(t, 'sh', ['-c', '"$0" "$@" > /dev/full', ...args], { env });
    const { code, stderr } = await shell.exited;
    t.equal(code, 4);
    t.match(stderr, /^p2mp send: cannot write to standard output: .*ENOSPC.*; results are lost$/m);
  },
);

t.test('files that are kept are counted in the outcome', async (t) => {
  const place = new SessionPlace(t);
  const file = writeRandomFile(place.sent, 1000, 'file');
  const { name, dir } = await place.receive();
  writeRandomFile(dir, 10, 'file');
  const args = [file, '--to', name, '--open', '--no-clobber', '--json'];
  const exit = await place.send(args).exited;
  t.equal(exit.code, 0, exit.stderr);
  const reason = "kept 1 existing file, not compared with the sender's";
  t.match(parseResult(exit), { receivers: [{ status: 'complete', reason }] });
  const other = writeRandomFile(place.sent, 1000, 'other');
  const clean = await place.send([other, ...args.slice(1)]).exited;
  t.equal(parseResult(clean)['receivers'][0].reason, undefined);
  t.ok(existsSync(join(dir, 'other')));
});
