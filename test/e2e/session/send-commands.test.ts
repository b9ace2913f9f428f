/** Unsendable files in `p2mp send`, and what `--dry-run` refuses. */
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { isSameContent, writeRandomFile } from '../../support/loopback.js';
import { distFolder, parseEvents, parseResult } from '../../support/processes.js';
import { SessionPlace } from '../../support/session-commands.js';

const buffered = true;
const isWindows = process.platform === 'win32';

/** A name with 65 parts below a folder, which receivers refuse. */
function writeDeepFile(folder: string): string {
  const names = Array.from({ length: 64 }, () => 'd');
  mkdirSync(join(folder, ...names), { recursive: true });
  writeFileSync(join(folder, ...names, 'x'), 'x');
  return names.slice(1).join('/');
}

t.test(
  'a complete transfer with skipped entries has its own exit code',
  { buffered },
  async (t) => {
    const place = new SessionPlace(t);
    const { name, dir } = await place.receive();
    const deep = `sent/d/${writeDeepFile(place.sent)}`;
    const good = writeRandomFile(place.sent, 1000, 'good');
    const line = `${deep}: not sent: its name is more than 64 levels deep\n`;
    const args = [place.sent, '--to', name, '--open'];
    const exit = await place.send(args).exited;
    t.equal(exit.code, 5, exit.stderr);
    t.match(exit.stderr, line);
    t.match(exit.stdout, /^ {2}not sent: 1 entry$/m);
    t.ok(isSameContent(good, join(dir, 'sent', 'good')));
    t.match(await place.send([...args, '--quiet']).exited, { code: 5, stdout: '', stderr: line });
    const skipped = [{ name: deep, reason: 'its name is more than 64 levels deep' }];
    const json = await place.send([...args, '--quiet', '--json']).exited;
    t.match({ code: json.code, ...parseResult(json) }, { code: 5, status: 'complete', skipped });
    const dry = await place.send([...args, '--dry-run', '--json']).exited;
    t.match({ code: dry.code, ...parseResult(dry) }, { code: 5, skipped });
  },
);

t.test('unreadable files are skipped and reported', { buffered, skip: isWindows }, async (t) => {
  const place = new SessionPlace(t);
  const unreadable = writeRandomFile(place.sent, 1000, 'unreadable');
  chmodSync(unreadable, 0);
  writeRandomFile(place.sent, 1000, 'good');
  // Root may read everything.
  const user = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {};
  const run = (path: string) => {
    const args = [join(distFolder, 'cli/p2mp.js'), 'send', path, '--to', '127.0.0.1:7001'];
    return spawnSync(process.execPath, [...args, '--open', '--dry-run', '--json'], {
      ...user,
      encoding: 'utf8',
      env: { PATH: process.env['PATH'], P2MP_HOME: place.senderHome },
    });
  };
  const folder = run(place.sent);
  t.equal(folder.status, 5, folder.stderr);
  t.match(parseEvents(folder.stdout).at(-1), {
    entries: 2,
    names: ['sent', 'sent/good'],
    skipped: [{ name: 'sent/unreadable', reason: /^cannot be read: permission denied/ }],
  });
  const file = run(unreadable);
  t.equal(file.status, 4);
  t.match(file.stderr, /unreadable: permission denied; check the permissions$/m);
});

t.test(
  '--dry-run refuses what sending would refuse, with the same messages',
  { buffered },
  async (t) => {
    const place = new SessionPlace(t);
    const sent = writeRandomFile(place.sent, 1000);
    const badKey = join(place.folder, 'bad key');
    writeFileSync(badKey, 'no key');
    const to = ['--to', '127.0.0.1:7001'];
    const wrong: readonly (readonly string[])[] = [
      [sent, ...to, '--key', join(place.folder, 'missing')],
      [sent, ...to, '--open', '--key', badKey],
      [join(place.sent, 'missing'), ...to, '--open'],
      [sent, '--to', '127.0.0.1:7001,127.0.0.1:7001', '--open'],
      [sent, ...to, '--open', '--multicast', 'ff15::1'],
      [sent, ...to, '--open', '--mss', '1'],
      [sent, ...to, '--open', '--rate', '0'],
      ['-', ...to, '--open', '--stdin-name', 'a/b'],
    ];
    for (const args of wrong) {
      const programs = [place.send(args), place.send([...args, '--dry-run'])];
      const outcomes = await Promise.all(
        programs.map(async ({ exited }) => {
          const { code, stderr } = await exited;
          return { code, error: stderr.trimEnd().split('\n').at(-1) };
        }),
      );
      const [real, dry] = outcomes;
      t.ok(real?.code === 2 || real?.code === 4, args.join(' '));
      t.same(dry, real, real?.error ?? 'an error');
    }
  },
);

t.test('--dry-run has the exit code for unreachable receivers', { buffered }, async (t) => {
  const place = new SessionPlace(t);
  const sent = writeRandomFile(place.sent, 1000);
  // A link-local address without an interface has no route.
  const run = (to: string, ...more: string[]) =>
    place.send([sent, '--to', to, '--open', '--dry-run', ...more]).exited;
  const none = await run('[fe80::1]:7001');
  t.match(none, { code: 1, stdout: /7001: cannot send to fe80::1: the system/m });
  t.equal((await place.send([sent, '--to', '[fe80::1]:7001', '--open']).exited).code, 1);
  const some = await run('[fe80::1]:7001,127.0.0.1:7001', '--json');
  t.equal(some.code, 3);
  t.match(parseResult(some), { receivers: [{ reason: /^cannot send to/ }, {}] });
});
