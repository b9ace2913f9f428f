/** `p2mp send --delete`: what receivers delete, what they keep, and how both are reported. */
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { parseResult } from '../../support/processes.js';
import type { ReceiverProgram } from '../../support/session-commands.js';
import { eventsOf, SessionPlace } from '../../support/session-commands.js';

const buffered = true;
t.jobs = 2;
const allowing = ['--open', '--allow-delete'];

/** Creates files, and folders for names that end with a slash. */
function make(folder: string, ...names: readonly string[]): void {
  for (const name of names) {
    mkdirSync(join(folder, name.endsWith('/') ? name : join(name, '..')), { recursive: true });
    if (!name.endsWith('/')) writeFileSync(join(folder, name), name);
  }
}

/** All names below a folder, sorted. */
function list(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => !name.startsWith('.p2mp-part'))
    .toSorted();
}

interface Outcome {
  readonly status: string;
  readonly reason?: string;
  readonly deleted: number;
  readonly undeleted: number;
  readonly deletedNames?: readonly string[];
}

async function send(place: SessionPlace, receivers: readonly ReceiverProgram[], ...args: string[]) {
  const to = receivers.map(({ name }) => name).join();
  const exit = await place.send([...args, '--to', to, '--open', '--json', '--delete']).exited;
  const { error, ...result } = parseResult(exit);
  return {
    ...{ code: exit.code, stderr: exit.stderr, error, result },
    receivers: (result.receivers ?? []) as readonly Outcome[],
  };
}

t.test(
  'receivers delete what is not sent, only in the folders that are',
  { buffered },
  async (t) => {
    const place = new SessionPlace(t);
    make(place.sent, 'a', 'sub/b', 'empty/');
    const receivers = [await place.receive(allowing, 'one'), await place.receive(allowing, 'two')];
    const [one, two] = receivers as [ReceiverProgram, ReceiverProgram];
    make(one.dir, 'top', 'other/x', 'sent/old', 'sent/sub/old dir/deep/c', 'sent/sub/old dir/d');
    symlinkSync('../../other', join(one.dir, 'sent/sub/link'));
    const { code, receivers: outcomes } = await send(place, receivers, place.sent);
    t.equal(code, 0);
    t.match(outcomes, [
      { status: 'complete', deleted: 6, undeleted: 0 },
      { status: 'complete', deleted: 0, undeleted: 0, deletedNames: undefined },
    ]);
    t.strictSame(outcomes[0]?.deletedNames?.toSorted(), [
      ...['sent/old', 'sent/sub/link', 'sent/sub/old dir/', 'sent/sub/old dir/d'],
      ...['sent/sub/old dir/deep/', 'sent/sub/old dir/deep/c'],
    ]);
    const sent = ['sent', 'sent/a', 'sent/empty', 'sent/sub', 'sent/sub/b'];
    t.strictSame(list(one.dir), ['other', 'other/x', ...sent, 'top']);
    t.strictSame(list(two.dir), sent);
    for (const name of ['', 'sub']) {
      const times = [place.sent, join(one.dir, 'sent')].map((dir) =>
        Math.trunc(statSync(join(dir, name)).mtimeMs),
      );
      t.equal(
        times[0],
        times[1],
        'a folder has the time of the sender, although entries were deleted',
      );
    }
  },
);

t.test('a receiver that is already complete deletes too', { buffered }, async (t) => {
  const place = new SessionPlace(t);
  make(place.sent, 'a');
  utimesSync(join(place.sent, 'a'), 0, 0);
  const receiver = await place.receive(allowing);
  await place.keygen(place.senderHome);
  await send(place, [receiver], place.sent);
  make(receiver.dir, 'sent/new', 'sent/dir/new');
  t.match((await send(place, [receiver], place.sent)).receivers, [
    { status: 'complete', unchanged: 1, receivedBytes: 0, deleted: 3 },
  ]);
  t.strictSame(list(receiver.dir), ['sent', 'sent/a']);
});

t.test(
  'a dry run shows what each receiver would delete, and changes nothing',
  { buffered },
  async (t) => {
    const place = new SessionPlace(t);
    make(place.sent, 'a');
    const once = await place.receive([...allowing, '--once'], 'one');
    const refusing = await place.receive(['--open'], 'two');
    make(once.dir, 'sent/old\u001b[31m', 'sent/dir/x', 'top');
    const before = list(once.dir);
    const first = await send(place, [once, refusing], place.sent, '-n');
    t.match(first, { code: 3, result: { status: 'dry-run', names: ['sent', 'sent/a'] } });
    t.match(first.receivers, [
      {
        status: 'planned',
        toDelete: 3,
        toDeleteNames: ['sent/dir/x', 'sent/dir/', 'sent/old\u001b[31m'],
      },
      {
        status: 'refused',
        reason: /allows this sender no deletion: .*--allow-delete/,
        toDelete: undefined,
      },
    ]);
    t.strictSame(list(once.dir), before);
    const both = [once.name, refusing.name].join();
    const shown = await place.send([place.sent, '--to', both, '--open', '--delete', '-n']).exited;
    t.match(shown, { code: 3, stderr: /: refused: allows this sender no deletion: / });
    t.match(shown.stdout, /would be sent to 1 of 2 receivers:\n.*port \d+\n.*port \d+: refused\n/);
    const args = [place.sent, '--to', once.name, '--open', '--delete', '-n'];
    const { code, stdout } = await place.send(args).exited;
    t.equal(code, 0);
    t.match(
      stdout,
      /would delete 3 entries:\n {2}sent\/dir\/x\n {2}sent\/dir\/\n {2}sent\/old\\x1b\[31m\n/,
    );
    // Sessions that only list do not count for --once.
    t.match((await send(place, [once], place.sent)).receivers, [
      { status: 'complete', deleted: 3 },
    ]);
    t.equal((await once.program.exited).code, 0);
  },
);

t.test('a receiver without --allow-delete refuses before data is sent', { buffered }, async (t) => {
  const place = new SessionPlace(t);
  make(place.sent, 'a');
  const receiver = await place.receive(['--open']);
  make(receiver.dir, 'sent/old');
  t.match(await send(place, [receiver], place.sent, '-n'), {
    code: 1,
    receivers: [{ status: 'refused' }],
  });
  t.match(await send(place, [receiver], place.sent), {
    code: 1,
    receivers: [{ status: 'refused', receivedBytes: 0, reason: /^allows this sender no deletion/ }],
  });
  t.strictSame(list(receiver.dir), ['sent', 'sent/old']);
});

t.test('only keys with the right "delete" can delete, unless all may', { buffered }, async (t) => {
  const place = new SessionPlace(t);
  const line = await place.keygen(place.senderHome);
  const keys = join(place.receiverHome, 'authorized_keys');
  make(place.sent, 'a');
  const cases: [string, string[], boolean][] = [
    ['send', [], false],
    ['send,delete', [], true],
    ['send', ['--allow-delete'], true],
    ['send,delete', ['--no-clobber'], false],
  ];
  for (const [rights, options, isAllowed] of cases) {
    writeFileSync(keys, `${rights} ${line}`);
    const { program, dir, name } = await place.receive(options, `${rights}${options.join('')}`);
    make(dir, 'sent/old');
    const args = [place.sent, '--to', name, '--accept-new', '--delete', '--json'];
    const exit = await place.send(args).exited;
    t.match(parseResult(exit)['receivers'], [
      isAllowed
        ? { status: 'complete', deleted: 1 }
        : { status: 'refused', reason: /give its key the right "delete" in authorized_keys/ },
    ]);
    t.equal(existsSync(join(dir, 'sent/old')), !isAllowed, `${rights} ${options.join()}`);
    program.kill('SIGTERM');
    t.equal((await program.exited).code, 0);
  }
});

t.test('what the sender excludes or cannot read is not deleted', { buffered }, async (t) => {
  const place = new SessionPlace(t);
  make(place.sent, 'a', 'x.log', 'build/y', 'from');
  // The sender skips this link, because it leads out of what is sent.
  symlinkSync('/etc', join(place.sent, 'skipped'));
  const receiver = await place.receive(allowing);
  make(
    receiver.dir,
    'sent/k.log',
    'sent/dir/k.log',
    'sent/dir/gone',
    'sent/build/z/k',
    'sent/gone/',
  );
  make(receiver.dir, 'sent/skipped/in/it', 'sent/keep.log');
  const exclude = ['--exclude', '*.log', '--exclude', '/build/', '--include', 'keep.log'];
  t.match(await send(place, [receiver], place.sent, ...exclude), {
    code: 5,
    receivers: [{ status: 'complete', deleted: 3, undeleted: 0 }],
  });
  t.strictSame(list(receiver.dir), [
    ...['sent', 'sent/a', 'sent/build', 'sent/build/z', 'sent/build/z/k', 'sent/dir'],
    ...['sent/dir/k.log', 'sent/from', 'sent/k.log', 'sent/skipped', 'sent/skipped/in'],
    'sent/skipped/in/it',
  ]);
});

t.test('a destination: only the folders that are sent are cleaned', { buffered }, async (t) => {
  const place = new SessionPlace(t);
  make(place.sent, 'a');
  const receiver = await place.receive(allowing);
  make(receiver.dir, 'top', 'site/beside', 'site/sent/old', 'new/old');
  await send(place, [receiver], place.sent, '--dest', 'site/');
  t.strictSame(list(join(receiver.dir, 'site')), ['beside', 'sent', 'sent/a']);
  t.match(await send(place, [receiver], place.sent, '--dest', 'new'), { code: 0 });
  t.strictSame(list(join(receiver.dir, 'new')), ['a'], 'the renamed folder');
  t.match(await send(place, [receiver], `${place.sent}/.`, '--dest', 'site/'), { code: 0 });
  t.strictSame(list(receiver.dir), ['new', 'new/a', 'site', 'site/a', 'top'], 'the content of .');
});

t.test('several operands, a pipe and --checksum', { buffered }, async (t) => {
  const place = new SessionPlace(t);
  const other = join(place.folder, 'other');
  make(place.sent, 'a');
  make(other, 'b');
  const receiver = await place.receive(allowing);
  make(receiver.dir, 'top', 'sent/old', 'other/old');
  t.match(await send(place, [receiver], place.sent, join(other, 'b'), '-', '--checksum'), {
    code: 0,
  });
  const names = ['b', 'other', 'other/old', 'sent', 'sent/a', 'stdin', 'top'];
  t.strictSame(list(receiver.dir), names);
  t.match(await send(place, [receiver], place.sent, '-', other, '-n'), {
    result: { receivers: [{ toDelete: 1, toDeleteNames: ['other/old'] }] },
  });
  t.match(await send(place, [receiver], place.sent, other), { code: 0 });
  t.strictSame(list(receiver.dir), ['b', 'other', 'other/b', 'sent', 'sent/a', 'stdin', 'top']);
});

t.test('combinations that cannot be meant are refused', { buffered }, async (t) => {
  const place = new SessionPlace(t);
  make(place.sent, 'a');
  const to = ['--to', '127.0.0.1:1', '--open', '--delete'];
  const refusals: readonly [args: readonly string[], reason: RegExp][] = [
    [[join(place.sent, 'a')], /--delete: none of the paths is a folder/],
    [['-'], /--delete: none of the paths is a folder/],
    [[join(place.sent, 'a'), '--dest', 'dir/'], /--delete: none of the paths is a folder/],
    [[`${place.sent}/.`], /--delete: .*where nothing is deleted; name the folder itself/],
    [[place.sent, '--no-clobber'], /--no-clobber and --delete contradict each other/],
    [[place.sent, '--delete=maybe'], /delete/],
  ];
  for (const [args, reason] of refusals) {
    for (const dry of [[], ['-n']]) {
      const { code, stderr } = await place.send([...args, ...to, ...dry]).exited;
      t.equal(code, 2, args.join(' '));
      t.match(stderr, reason);
    }
  }
  const args = ['receive', '--open', '--allow-delete', '--no-clobber', '--port', '0'];
  t.match(await place.start(place.receiverHome, args).exited, {
    code: 2,
    stderr: /--allow-delete and --no-clobber contradict each other/,
  });
});

t.test('state of p2mp, and names that cannot be sent, stay', { buffered }, async (t) => {
  const place = new SessionPlace(t);
  make(place.sent, 'a');
  const dir = join(place.folder, 'in');
  const key = join(dir, 'sent/my/key of this host');
  make(dir, 'sent/.p2mp-part/x', 'sent/dir/.P2MP-part', 'sent/my/x', 'sent/old');
  const badName = Buffer.concat([Buffer.from(join(dir, 'sent', 'bad ')), Buffer.from([0xe9])]);
  writeFileSync(badName, '');
  const receiver = await place.receive([...allowing, '--key', key]);
  const sent = await send(place, [receiver], place.sent);
  t.match(sent, {
    code: 5,
    receivers: [
      {
        status: 'complete',
        ...{ deleted: 2, undeleted: 1, undeletedNames: [{ name: 'sent/bad é', cause: 'failed' }] },
        deletedNames: ['sent/my/x', 'sent/old'],
      },
    ],
  });
  t.ok(existsSync(key) && existsSync(`${key}.pub`), 'the key of the receiver');
  t.ok(existsSync(join(dir, 'sent/.p2mp-part/x')), 'parts of another receiver');
  t.ok(lstatSync(join(dir, 'sent/dir/.P2MP-part')).isFile());
  t.ok(existsSync(badName));
});

t.test(
  'a receiver that is killed midway has deleted nothing; a repetition does',
  { buffered },
  async (t) => {
    const place = new SessionPlace(t);
    writeFileSync(join(place.sent, 'large'), Buffer.alloc(20_000_000, 1));
    const receiver = await place.receive([...allowing, '--json']);
    make(receiver.dir, 'sent/old');
    const args = [
      place.sent,
      '--to',
      receiver.name,
      '--open',
      '--delete',
      '--rate',
      '4MB',
      '--give-up-after',
      '2',
    ];
    const sender = place.send([...args, '--json']);
    await sender.waitFor(/"event":"progress".*"heldBytes":[1-9]/);
    receiver.program.kill('SIGKILL');
    t.equal((await sender.exited).code, 1);
    t.strictSame(list(receiver.dir), ['sent', 'sent/old']);
    const again = await place.receive([...allowing, '--port', String(receiver.port)]);
    t.match(await send(place, [again], place.sent), { code: 0, receivers: [{ deleted: 1 }] });
    t.strictSame(list(receiver.dir), ['sent', 'sent/large']);
  },
);

t.test('an interrupted sender deletes nothing', { buffered }, async (t) => {
  const place = new SessionPlace(t);
  writeFileSync(join(place.sent, 'large'), Buffer.alloc(20_000_000, 1));
  const receiver = await place.receive([...allowing, '--json']);
  make(receiver.dir, 'sent/old');
  const args = [place.sent, '--to', receiver.name, '--open', '--delete', '--rate', '4MB', '--json'];
  const sender = place.send(args);
  await sender.waitFor(/"event":"progress".*"heldBytes":[1-9]/);
  sender.kill('SIGINT');
  t.equal((await sender.exited).code, 130);
  await receiver.program.waitFor(/"event":"session-result".*"status":"failed"/);
  t.strictSame(list(receiver.dir), ['sent', 'sent/old']);
});

t.test('5,000 extra files are listed and deleted', { buffered }, async (t) => {
  const place = new SessionPlace(t);
  make(place.sent, 'a');
  const receiver = await place.receive([...allowing, '--json']);
  const crowd = join(receiver.dir, 'sent/crowd');
  mkdirSync(crowd, { recursive: true });
  for (let i = 0; i < 5000; i++) writeFileSync(join(crowd, `file number ${i}`), '');
  const { code, receivers } = await send(place, [receiver], place.sent);
  t.match({ code, receivers }, { code: 0, receivers: [{ deleted: 5001 }] });
  t.equal(receivers[0]?.deletedNames?.length, 1000, 'the names are bounded');
  t.strictSame(list(receiver.dir), ['sent', 'sent/a']);
  receiver.program.kill('SIGINT');
  const [result] = eventsOf(await receiver.program.exited, 'session-result');
  t.match(result, { status: 'complete', deleted: 5001, undeleted: 0 });
  rmSync(receiver.dir, { recursive: true });
});
