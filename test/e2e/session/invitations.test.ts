/** Invitations between real processes: two commands, one on each side, and both know each other afterwards. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { isSameContent, writeRandomFile } from '../../support/loopback.js';
import { parseResult } from '../../support/processes.js';
import {
  type ReceiverProgram,
  type ServerProgram,
  SessionPlace,
} from '../../support/session-commands.js';

const buffered = true;
const codePattern = /p2mp_[\w-]{70}/;

async function codeOf({ program }: ReceiverProgram): Promise<string> {
  const [code = ''] = await program.waitFor(codePattern);
  return code;
}

/** The words of the command that the receiver prints, with a real path. */
async function printedCommand({ program }: ReceiverProgram, path: string): Promise<string[]> {
  const [, line = ''] = await program.waitFor(/^ *p2mp (send PATH --to .* --invite \S{75})$/m);
  return line.split(' ').map((word) => (word === 'PATH' ? path : word));
}

t.test('two commands make both sides known to each other', { buffered }, async (t) => {
  const place = new SessionPlace(t);
  const receiving = await place.receive(['--invite']);
  const { program, name, dir } = receiving;
  const sent = writeRandomFile(place.sent, 100_000);
  const words = await printedCommand(receiving, sent);
  t.same(words.slice(0, 4), ['send', sent, '--to', name], 'the address is one that works');
  const first = await place.start(place.senderHome, words).exited;
  t.equal(first.code, 0, first.stderr);
  t.match(first.stderr, /^Created this sender's key, .*: SHA256:\S{43}$/m);
  t.ok(isSameContent(sent, join(dir, 'sent')));
  await program.waitFor(
    /invited: its key SHA256:\S{43} is now in .*authorized_keys\. The invitation is used up\./,
  );

  // From now on without an option, in both directions of a restart.
  t.equal((await place.send([sent, '--to', name]).exited).code, 0);
  program.kill('SIGINT');
  await program.exited;
  const again = await place.receive(['--port', name.split(':')[1] ?? '']);
  const third = await place.send([sent, '--to', again.name]).exited;
  t.equal(third.code, 0, third.stderr);
  t.equal(third.stderr, '');
  const [key = ''] =
    /p2mp-x25519 \S+/.exec(readFileSync(join(place.senderHome, 'key.pub'), 'utf8')) ?? [];
  const line = readFileSync(join(place.receiverHome, 'authorized_keys'), 'utf8');
  t.match(
    line,
    new RegExp(
      `^send ${key.replace(/[+/]/g, '\\$&')} invited \\d{4}-\\d\\d-\\d\\d, came from 127\\.0\\.0\\.1\n$`,
    ),
  );
  t.match(
    readFileSync(join(place.senderHome, 'known_receivers'), 'utf8'),
    /^127\.0\.0\.1:\d+ p2mp-x25519 \S{44}\n$/,
  );
});

t.test(
  'each further sender is refused with the reason, and in one line of the log',
  { buffered },
  async (t) => {
    const place = new SessionPlace(t);
    const receiving = await place.receive(['--invite=2', '--log', 'text']);
    const { program, name } = receiving;
    const sent = writeRandomFile(place.sent, 1000);
    const code = await codeOf(receiving);
    const send = (who: string, invitation = code) =>
      place.start(join(place.folder, who), ['send', sent, '--to', name, '--invite', invitation])
        .exited;
    t.equal((await send('ann')).code, 0);
    t.equal((await send('ben')).code, 0);
    t.equal((await send('ann')).code, 0, 'the same command again');
    const third = await send('cleo');
    t.equal(third.code, 1);
    const reason =
      'the invitation was good for 2 uses, and all of them are used; run the command there again with --invite for a new one';
    t.match(third.stderr, `${name}: refused: ${reason}`);
    await program.waitFor(/warn .*127\.0\.0\.1:\d+: refused: the invitation was good for 2 uses/);
    t.equal((await send('cleo')).code, 1);
    program.kill('SIGINT');
    const { stdout } = await program.exited;
    t.equal(stdout.match(/: refused: /g)?.length, 1);
    t.notOk(existsSync(join(place.folder, 'cleo', 'authorized_keys')));
  },
);

t.test('an invitation of an earlier run is not known', { buffered }, async (t) => {
  const place = new SessionPlace(t);
  const first = await place.receive(['--invite']);
  const code = await codeOf(first);
  first.program.kill('SIGINT');
  await first.program.exited;
  const { name } = await place.receive(['--invite']);
  const sent = writeRandomFile(place.sent, 1000);
  const exit = await place.send([sent, '--to', name, '--invite', code, '--json']).exited;
  t.match(parseResult(exit)['receivers'][0], {
    status: 'refused',
    reason:
      /does not know this invitation, perhaps because it was restarted since; run the command there again with --invite/,
  });
});

t.test(
  'several receivers: each invitation goes to the receiver whose key it names',
  { buffered },
  async (t) => {
    const place = new SessionPlace(t);
    const receivings = [await place.receive(['--invite', '--key', join(place.folder, 'one')], 'a')];
    const authorized = ['--authorized-keys', join(place.folder, 'list')];
    receivings.push(
      await place.receive(['--invite', '--key', join(place.folder, 'two'), ...authorized], 'b'),
    );
    const codes = await Promise.all(receivings.map(codeOf));
    const list = join(place.folder, 'codes');
    writeFileSync(list, `# of the lab\n${codes.toReversed().join('\n')}\n`);
    const sent = writeRandomFile(place.sent, 1000);
    const to = receivings.map(({ name }) => name).join(',');
    const exit = await place.send([sent, '--to', to, '--invite', `@${list}`]).exited;
    t.equal(exit.code, 0, exit.stderr);
    for (const { dir } of receivings) t.ok(isSameContent(sent, join(dir, 'sent')));
    t.equal((await place.send([sent, '--to', to]).exited).code, 0);
  },
);

t.test(
  'an invitation of another receiver is refused before anything is sent',
  { buffered },
  async (t) => {
    const place = new SessionPlace(t);
    const [one, two] = [
      await place.receive(['--invite', '--key', join(place.folder, 'one')], 'a'),
      await place.receive(['--invite', '--key', join(place.folder, 'two')], 'b'),
    ];
    const sent = writeRandomFile(place.sent, 1000);
    const exit = await place.send([sent, '--to', two.name, '--invite', await codeOf(one)]).exited;
    t.equal(exit.code, 1);
    t.match(
      exit.stderr,
      /its key SHA256:\S{43} is not the key of the invitation, SHA256:\S{43}: the invitation is from another receiver, or another host answers at this address/,
    );
    t.notOk(existsSync(join(place.senderHome, 'known_receivers')));
  },
);

t.test(
  'what an invitation cannot do is refused before anything is opened',
  { buffered },
  async (t) => {
    const place = new SessionPlace(t);
    const sent = writeRandomFile(place.sent, 1000);
    const cases: readonly (readonly [readonly string[], RegExp])[] = [
      [['receive', '--invite', '--open'], /--invite and --open contradict each other/],
      [['receive', '--invite', '--quiet'], /--invite: needs a place to print the invitation/],
      [['receive', '--invite=0'], /--invite 0: must be a whole number of at least 1/],
      [
        ['receive', '--invite', '--invite-ttl', '1y'],
        /--invite-ttl 1y: must be a time above 0, such as 90s, 30m, 1h or 2d/,
      ],
      [['receive', '--invite-ttl', '0'], /--invite-ttl 0: must be a time above 0/],
      [
        ['send', sent, '--to', 'a', '--invite', 'p2mp_abc'],
        /invitation: the code has 8 characters instead of 75/,
      ],
      [
        ['send', sent, '--to', 'a', '--invite', 'hello'],
        /invitation: is not an invitation, which starts with p2mp_/,
      ],
      [['send', sent, '--to', 'a', '--invite', '@no such file'], /no such file: does not exist/],
    ];
    for (const [args, reason] of cases) {
      const exit = await place.start(place.senderHome, args).exited;
      t.ok(exit.code === 2 || exit.code === 4, `${args.join(' ')}: ${exit.code}`);
      t.match(exit.stderr, reason);
    }
    const code = `p2mp_${'A'.repeat(70)}`;
    for (const option of ['--accept-new', '--open']) {
      const exit = await place.send([sent, '--to', 'a', '--invite', code, option]).exited;
      t.match(exit.stderr, `--invite and ${option} contradict each other`);
    }
    t.notOk(existsSync(join(place.senderHome, 'key')), 'no key is made for a command that fails');
  },
);

t.test(
  'an invited key that cannot be saved is trusted until the receiver ends',
  { buffered },
  async (t) => {
    const place = new SessionPlace(t);
    const folder = join(place.folder, 'lists');
    const list = join(folder, 'senders');
    const receiving = await place.receive(['--invite', '--authorized-keys', list]);
    const { program, name } = receiving;
    const code = await codeOf(receiving);
    // No list can be created in a folder that is a file.
    writeFileSync(folder, '');
    const sent = writeRandomFile(place.sent, 1000);
    t.equal((await place.send([sent, '--to', name, '--invite', code]).exited).code, 0);
    await program.waitFor(
      /is trusted until this command ends, but could not be saved: .*lists.*; add this line to .*senders yourself: send p2mp-x25519 \S{44} 127\.0\.0\.1\. The invitation is used up\./,
      'stderr',
    );
    t.equal((await place.send([sent, '--to', name]).exited).code, 0);
  },
);

/** The words of the command that a server prints. */
async function fetchCommand({ program }: ServerProgram): Promise<string[]> {
  const [, line = ''] = await program.waitFor(/^ *p2mp (fetch \S+ --from .* --invite \S{75})$/m);
  return line.split(' ');
}

t.test('a server and a client know each other after one command each', { buffered }, async (t) => {
  const place = new SessionPlace(t);
  const path = writeRandomFile(place.sent, 100_000);
  const serving = await place.serve([path, '--invite=2']);
  const words = await fetchCommand(serving);
  const name = `127.0.0.1:${serving.address.port}`;
  t.same(words.slice(0, 4), ['fetch', 'sent', '--from', name], 'the only object is named');
  const client = (home: string, ...args: string[]) =>
    place.start(join(place.folder, home), args).exited;
  const first = await client('ann', ...words, '--dir', join(place.folder, 'ann in'));
  t.equal(first.code, 0, first.stderr);
  t.ok(isSameContent(path, join(place.folder, 'ann in', 'sent')));
  await serving.program.waitFor(
    /invited: its key \S{50} is now in .*\. The invitation is good for/,
  );
  const list = await client('ben', 'list', name, ...words.slice(4));
  t.equal(list.code, 0, list.stderr);
  for (const home of ['ann', 'ben']) t.equal((await client(home, 'list', name)).code, 0);
  const third = await client('cleo', 'list', name, ...words.slice(4));
  t.equal(third.code, 1);
  t.match(third.stderr, /good for 2 uses, and all of them are used/);
  await serving.program.waitFor(/refused: the invitation was good for 2 uses/, 'stderr');

  const keys = readFileSync(join(place.receiverHome, 'authorized_keys'), 'utf8').split('\n');
  for (const key of keys.slice(0, 2)) t.match(key, /^fetch p2mp-x25519 \S{44} invited \d{4}-/);
  const known = readFileSync(join(place.folder, 'ann', 'known_receivers'), 'utf8');
  t.match(known, new RegExp(`^${name.replaceAll('.', '\\.')} p2mp-x25519 \\S{44}\n$`));
});

t.test(
  'another server at the address gets nothing from an invited client',
  { buffered },
  async (t) => {
    const place = new SessionPlace(t);
    const path = writeRandomFile(place.sent, 1000);
    const one = await place.serve([path, '--invite', '--key', join(place.folder, 'one')]);
    const two = await place.serve([path, '--open', '--key', join(place.folder, 'two')]);
    const [, , , , ...invited] = await fetchCommand(one);
    const from = `127.0.0.1:${two.address.port}`;
    const args = ['fetch', 'sent', '--from', from, ...invited, '--dir', place.folder];
    const exit = await place.start(place.senderHome, [...args, '--json']).exited;
    t.equal(exit.code, 1);
    t.match(parseResult(exit), {
      status: 'failed',
      reason: /is not the key of the invitation, .*: the invitation is from another server, or/,
    });
    t.notOk(existsSync(join(place.senderHome, 'known_receivers')));
  },
);

t.test('a relay invites clients, too, and says so in JSON', { buffered }, async (t) => {
  const place = new SessionPlace(t);
  const path = writeRandomFile(place.sent, 1000);
  const upstream = await place.serve([path, '--open']);
  const relay = await place.relay([
    ...['--upstream', `127.0.0.1:${upstream.address.port}`, '--cache-size', '1MB', '--accept-new'],
    ...['--invite', '--json'],
  ]);
  const { command, uses } = await relay.program.waitForEvent('invitation');
  t.equal(uses, 1);
  const [, ...words] = String(command).split(' ');
  const args = words.map((word) => (word === 'NAME' ? 'sent' : word));
  const exit = await place.start(place.senderHome, [...args, '--dir', join(place.folder, 'in')])
    .exited;
  t.equal(exit.code, 0, exit.stderr);
  t.match(await relay.program.waitForEvent('invited'), {
    ...{ client: /^127\.0\.0\.1:\d+$/, fingerprint: /^SHA256:/, usesLeft: 0 },
    listFile: join(place.receiverHome, 'authorized_keys'),
  });
});

t.test('what contradicts an invitation is refused', { buffered }, async (t) => {
  const place = new SessionPlace(t);
  const refused: [string[], RegExp][] = [
    [['serve', place.sent, '--invite', '--open'], /no client needs an invitation/],
    [['serve', place.sent, '--invite', '--quiet'], /needs a place to print the invitation/],
    [
      ['fetch', 'x', '--from', 'localhost', '--invite', 'p2mp_x', '--open'],
      /contradict each other/,
    ],
    [['fetch', 'x', '--from', 'localhost', '--invite', 'p2mp_x'], /the code has 6 characters/],
    [['list', 'localhost', '--invite', 'x'], /is not an invitation/],
  ];
  for (const [args, message] of refused) {
    const { code, stderr } = await place.start(place.receiverHome, args).exited;
    t.equal(code, 2, args.join(' '));
    t.match(stderr, message);
  }
});
