/** Invitations through relays that send on, between real processes: afterwards, all know each other. */
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { isSameContent, writeRandomFile } from '../../support/loopback.js';
import type { Program } from '../../support/processes.js';
import { eventsOf, SessionPlace } from '../../support/session-commands.js';

const buffered = true;

/** Starts `p2mp relay --to` with an invitation for its senders. */
async function startRelay(place: SessionPlace, name: string, to: string, code: string) {
  const home = join(place.folder, `keys of ${name}`);
  mkdirSync(home);
  const program = place.start(home, [
    ...['relay', '--to', to, '--dir', join(place.folder, name), '--port', '0'],
    ...['--bind', '127.0.0.1', '--receiver-invite', code, '--invite', '--json'],
  ]);
  const invitation = await codeOf(program);
  return { program, home, ...invitation };
}

/** The code of an invitation, and the address in its command. */
async function codeOf(program: Program): Promise<{ code: string; name: string }> {
  const { code, command } = await program.waitForEvent('invitation');
  const [, name = ''] = /^p2mp send PATH --to (\S+) --invite /.exec(String(command)) ?? [];
  return { code: String(code), name };
}

/** The rights and comments in the list of a host, without the keys. */
function rightsAt(home: string): string[] {
  const lines = readFileSync(join(home, 'authorized_keys'), 'utf8').trimEnd().split('\n');
  return lines.map((line) => line.replace(/p2mp-x25519 \S+ invited \S+, /, ''));
}

t.test('an invitation for each hop, and no key is copied', { buffered }, async (t) => {
  const place = new SessionPlace(t);
  const path = writeRandomFile(place.sent, 100_000);
  const receiver = await place.receive(['--invite', '--json']);
  const { code } = await codeOf(receiver.program);
  const far = await startRelay(place, 'far', receiver.name, code);
  const near = await startRelay(place, 'near', far.name, far.code);
  const words = ['send', path, '--to', near.name];
  const first = await place.start(place.senderHome, [...words, '--invite', near.code, '--json'])
    .exited;
  t.equal(first.code, 0, first.stderr);
  t.ok(isSameContent(path, join(receiver.dir, 'sent')));
  t.match(eventsOf(first, 'receiver-result'), { length: 3 });

  t.same(rightsAt(near.home), ['send came from 127.0.0.1']);
  const through = [
    'relay came from 127.0.0.1',
    'send came from 127.0.0.1',
    'send came through 127.0.0.1',
  ];
  for (const home of [far.home, place.receiverHome]) t.same(rightsAt(home).sort(), through);
  const known = readFileSync(join(place.senderHome, 'known_receivers'), 'utf8');
  t.same(
    known.split('\n').map((line) => line.split(' ')[0]),
    [near.name, `${near.name}/${far.name}`, `${near.name}/${far.name}/${receiver.name}`, ''],
  );
  t.match(await receiver.program.waitForEvent('invited-relay'), {
    ...{ sender: far.name, fingerprint: /^SHA256:/, origin: /^SHA256:/ },
    listFile: join(place.receiverHome, 'authorized_keys'),
  });

  const second = await place.start(place.senderHome, words).exited;
  t.equal(second.code, 0, second.stderr);
  t.equal(second.stderr, '');
});

t.test('options of invitations that do not fit together', { buffered }, async (t) => {
  const place = new SessionPlace(t);
  const sendOn = ['relay', '--to', '127.0.0.1:1', '--dir', join(place.folder, 'passing')];
  const code = `p2mp_${'A'.repeat(70)}`;
  for (const [args, message] of [
    [[...sendOn, '--invite', '--open'], /--invite and --open contradict each other/],
    [[...sendOn, '--invite', '--quiet'], /needs a place to print the invitation/],
    [[...sendOn, '--receiver-invite', 'p2mp_x'], /the code has 6 characters/],
    [
      [...sendOn, '--receiver-invite', code, '--accept-new'],
      /--receiver-invite and --accept-new contradict each other/,
    ],
    [['relay', '--cache', 'x', '--receiver-invite', code], /--receiver-invite is for --to/],
  ] as const) {
    const { code, stderr } = await place.start(place.receiverHome, args).exited;
    t.equal(code, 2, stderr);
    t.match(stderr, message);
  }
});
