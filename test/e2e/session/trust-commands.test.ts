/**
 * Trust between real processes: --open affects only its own side, and secrets are never printed.
 */

import { createPrivateKey } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { encodeChannelPacket } from '../../../src/wire/header.js';
import { isSameContent, writeRandomFile } from '../../support/loopback.js';
import { commandLinesWith, parseResult } from '../../support/processes.js';
import { eventsOf, SessionPlace } from '../../support/session-commands.js';

const buffered = true;
const isWindows = process.platform === 'win32';

t.test('--open at the sender does not make a receiver trust it', { buffered }, async (t) => {
  const place = new SessionPlace(t);
  // A list that trusts another sender.
  const line = await place.keygen(place.receiverHome);
  writeFileSync(join(place.receiverHome, 'authorized_keys'), `send ${line}`);
  const { name, dir } = await place.receive([]);
  const sent = writeRandomFile(place.sent, 1000);
  const exit = await place.send([sent, '--to', name, '--open', '--json']).exited;
  t.equal(exit.code, 1);
  t.match(parseResult(exit)['receivers'][0], {
    status: 'refused',
    reason: /the receiver does not trust the key SHA256:\S{43}; add to its authorized_keys/,
  });
  t.same(readdirSync(dir), []);
});

t.test('--open at the receiver does not make a sender trust it', { buffered }, async (t) => {
  const place = new SessionPlace(t);
  await place.keygen(place.senderHome);
  const { name, dir } = await place.receive(['--open']);
  const sent = writeRandomFile(place.sent, 1000);
  const exit = await place.send([sent, '--to', name, '--json']).exited;
  t.equal(exit.code, 1);
  t.match(parseResult(exit)['receivers'][0], {
    status: 'failed',
    reason: /its key SHA256:\S{43} is not known here/,
  });
  t.same(readdirSync(dir), []);
});

for (const format of ['people', 'json', 'log text', 'log json'] as const) {
  t.test(`adding the lines that both sides print establishes trust: ${format}`, async (t) => {
    const place = new SessionPlace(t);
    await place.keygen(place.senderHome);
    const authorized = join(place.receiverHome, 'authorized_keys');
    const known = join(place.senderHome, 'known_receivers');
    writeFileSync(authorized, '# nobody yet\n');
    const [kind, logFormat] = format.split(' ');
    const options =
      logFormat !== undefined ? ['--log', logFormat] : kind === 'json' ? ['--json'] : [];
    const { program, name, dir } = await place.receive(options);
    const sent = writeRandomFile(place.sent, 1000);
    const send = () => place.send([sent, '--to', name, '--json']).exited;

    const unknown = parseResult(await send())['receivers'][0];
    const [, knownLine = ''] =
      /add this line to .*known_receivers: (.*)$/.exec(unknown.reason) ?? [];
    t.ok(knownLine.startsWith(`${name} p2mp-x25519 `), unknown.reason);
    writeFileSync(known, `${knownLine}\n`);

    const refused = parseResult(await send())['receivers'][0];
    t.equal(refused.status, 'refused');
    const [, hint = ''] = /add to its authorized_keys .*: (.*)$/.exec(refused.reason) ?? [];
    const [, line = ''] = await program.waitFor(
      /(send p2mp-x25519 \S{44} 127\.0\.0\.1)/,
      format === 'people' ? 'stderr' : 'stdout',
    );
    t.equal(`${hint} 127.0.0.1`, line, 'the sender reports the same line');
    // A second attempt adds nothing to the log.
    t.equal(parseResult(await send())['receivers'][0].status, 'refused');
    writeFileSync(authorized, `${line}\n`);
    let exit = await send();
    // The list is reloaded within a second.
    for (let i = 0; i < 20 && exit.code !== 0; i++) exit = await send();
    t.equal(exit.code, 0, exit.stdout);
    t.ok(isSameContent(sent, join(dir, 'sent')));
    program.kill('SIGINT');
    const { stdout, stderr } = await program.exited;
    const said = (stdout + stderr).split('\n').filter((text) => text.includes(line));
    t.equal(said.length, 1, 'once');
    if (!said[0]?.startsWith('{')) t.match(said[0], authorized);
    else
      t.match(JSON.parse(said[0]), {
        event: 'turned-away',
        cause: 'untrusted',
        listFile: authorized,
        line,
      });
    if (logFormat !== undefined) t.match(said[0], /\bwarn\b/);
  });
}

t.test('a key known under another name is reported', { buffered }, async (t) => {
  const place = new SessionPlace(t);
  const line = await place.keygen(place.senderHome);
  writeFileSync(join(place.receiverHome, 'authorized_keys'), `send ${line}`);
  const { name, port } = await place.receive([]);
  const sent = writeRandomFile(place.sent, 1000);
  t.equal((await place.send([sent, '--to', name, '--accept-new']).exited).code, 0);
  const exit = await place.send([sent, '--to', `localhost:${port}`]).exited;
  t.equal(exit.code, 1);
  t.match(
    exit.stderr,
    `is not known here (it is the key of ${name}); run "p2mp receive --invite" on that host`,
  );
  t.match(exit.stderr, new RegExp(`: localhost:${port} p2mp-x25519 \\S{44}$`, 'm'));
});

t.test('a changed key is reported with the line to replace', { buffered }, async (t) => {
  const place = new SessionPlace(t);
  const line = await place.keygen(place.senderHome);
  writeFileSync(join(place.receiverHome, 'authorized_keys'), `send ${line}`);
  const { name } = await place.receive([]);
  const known = join(place.senderHome, 'known_receivers');
  writeFileSync(known, `${name} ${line.split(' ').slice(0, 2).join(' ')}\n`);
  const sent = writeRandomFile(place.sent, 1000);
  const changed = await place.send([sent, '--to', name]).exited;
  const [, given = ''] =
    /replace line 1 of .*known_receivers with: (.*)$/m.exec(changed.stderr) ?? [];
  writeFileSync(known, `${given}\n`);
  t.equal((await place.send([sent, '--to', name]).exited).code, 0);
});

t.test('a busy receiver reports whom it turned away', { buffered }, async (t) => {
  const place = new SessionPlace(t);
  const { program, name } = await place.receive(['--open', '--max-sessions', '1', '--json']);
  const sent = writeRandomFile(place.sent, 1_000_000);
  const slow = place.send([sent, '--to', name, '--open', '--rate', '50k']);
  await program.waitForEvent('connect');
  const second = await place.send([sent, '--to', name, '--open', '--json']).exited;
  t.equal(second.code, 1);
  const [event] = eventsOf({ stdout: program.stdout }, 'turned-away');
  t.match(event, { cause: 'no-room', sender: /^127\.0\.0\.1:\d+$/, reason: /session/ });
  t.notOk(event && 'line' in event, 'adding a key would not help');
  slow.kill('SIGKILL');
});

t.test('private keys appear only in their files', { buffered }, async (t) => {
  const place = new SessionPlace(t);
  const line = await place.keygen(place.senderHome);
  writeFileSync(join(place.receiverHome, 'authorized_keys'), `send ${line}`);
  const said: string[] = [];
  for (const format of [['--json'], []]) {
    const options = ['--verbose', '--once', ...format];
    const { program, name, dir } = await place.receive(options, `in ${format}`);
    const sent = writeRandomFile(place.sent, 100_000);
    const sender = place.send([sent, '--to', name, '--accept-new', '--verbose', ...format]);
    said.push(...commandLinesWith(place.folder));
    const [own, other] = [await sender.exited, await program.exited];
    t.equal(own.code, 0, own.stderr);
    t.ok(isSameContent(sent, join(dir, 'sent')));
    said.push(own.stdout, own.stderr, other.stdout, other.stderr);
  }
  for (const home of [place.senderHome, place.receiverHome]) {
    const keygen = await place.start(home, ['keygen', '--show', '--json']).exited;
    said.push(keygen.stdout, keygen.stderr, ...readdirSync(home));
    for (const name of readdirSync(home)) {
      if (name !== 'key') said.push(readFileSync(join(home, name), 'utf8'));
    }
  }
  t.ok(said.join('').length > 2000);
  for (const home of [place.senderHome, place.receiverHome]) {
    const pem = readFileSync(join(home, 'key'), 'utf8');
    const { d = '' } = createPrivateKey(pem).export({ format: 'jwk' });
    const secret = Buffer.from(d, 'base64url');
    t.equal(secret.length, 32);
    const spellings = [
      secret.toString('hex'),
      secret.toString('base64'),
      secret.toString('base64url'),
      secret.toString('latin1'),
      pem.split('\n')[1] as string,
    ];
    for (const spelling of spellings) {
      t.notOk(
        said.some((text) => text.includes(spelling)),
        'in any encoding',
      );
    }
    if (!isWindows) t.equal(statSync(join(home, 'key')).mode & 0o777, 0o600);
  }
});

t.test(
  'P2MP-FTP packets at a session port are not answered, and create no file',
  { buffered },
  async (t) => {
    const place = new SessionPlace(t);
    const { port, dir } = await place.receive(['--open']);
    const socket = createSocket('udp4');
    t.teardown(() => socket.close());
    const data = Buffer.concat([
      Buffer.from('000000000000', 'hex'),
      Buffer.from('5555', 'hex'),
      Buffer.from('hello'),
    ]);
    const hello = encodeChannelPacket('hello', 7, 0, 99, new Uint8Array(48));
    socket.send(data, port, '127.0.0.1');
    socket.send(hello, port, '127.0.0.1');
    // A reply to the first packet would have arrived first.
    const [answer] = (await once(socket, 'message')) as [Buffer];
    t.equal(answer[4], 2, 'a cookie');
    t.same(readdirSync(dir), []);
  },
);
