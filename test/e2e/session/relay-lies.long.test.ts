/** Clients and receivers of a relay that flips a bit now and then, as processes. */
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { isSameContent, writeRandomFile } from '../../support/loopback.js';
import { nodePath, Program, projectFolder } from '../../support/processes.js';
import { eventsOf, SessionPlace } from '../../support/session-commands.js';

t.jobs = 2;

const buffered = true;
const lyingRelay = join(projectFolder, 'test/support/lying-relay.mjs');

/** 131 blocks. */
const sizeBytes = 8_000_000;
const lieBlocks = 100;

/** @returns the program, and the port on which it listens */
async function startLiar(place: SessionPlace, kind: 'pull' | 'push', port: number) {
  const args = [lyingRelay, kind, String(port), join(place.folder, 'passing'), String(lieBlocks)];
  const program = new Program(t, nodePath, args);
  const [, own] = await program.waitFor(/listening on port (\d+)/);
  return { program, name: `127.0.0.1:${own}` };
}

t.test('a client stores nothing false of a lying relay, and names it', { buffered }, async (t) => {
  const place = new SessionPlace(t);
  const path = writeRandomFile(place.sent, sizeBytes);
  const { address } = await place.serve([path, '--open']);
  const relay = await startLiar(place, 'pull', address.port);
  const dir = join(place.folder, 'in');
  mkdirSync(dir);
  const fetchFrom = (from: string, options: readonly string[]) => {
    const args = ['fetch', 'sent', '--from', from, '--open', '--dir', dir];
    return place.start(place.senderHome, [...args, ...options]).exited;
  };
  const lied = await fetchFrom(relay.name, []);
  t.equal(lied.code, 1, lied.stderr);
  t.match(lied.stderr, `${relay.name}: sent a block with wrong content`);
  t.notOk(existsSync(join(dir, 'sent')));
  // What the relay sent before it lied is kept, and is right.
  const honest = await fetchFrom(`127.0.0.1:${address.port}`, ['--json']);
  t.equal(honest.code, 0, honest.stderr);
  t.ok(isSameContent(path, join(dir, 'sent')));
  const [fetched] = eventsOf(honest, 'result');
  const deliveredBytes = Number(fetched?.deliveredBytes);
  t.ok(deliveredBytes < sizeBytes / 2, `${deliveredBytes} bytes were missing`);
});

t.test('a receiver asks a lying relay again, and names it', { buffered }, async (t) => {
  const place = new SessionPlace(t);
  const path = writeRandomFile(place.sent, sizeBytes);
  const receiver = await place.receive(['--open', '--json']);
  const relay = await startLiar(place, 'push', receiver.port);
  const { code, stderr } = await place.send([path, '--to', relay.name, '--open']).exited;
  t.equal(code, 0, stderr);
  t.ok(isSameContent(path, join(receiver.dir, 'sent')));
  const { sender } = await receiver.program.waitForEvent('bad-block');
  t.equal(sender, relay.name);
});
