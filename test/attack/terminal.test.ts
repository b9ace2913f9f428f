/**
 * Names that control a terminal or start new lines in a log: output shows them as text, whether a
 * peer or a local user chose them.
 */
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { P2mpError } from '../../src/base/errors.js';
import { toJsonLine } from '../../src/cli/output/output.js';
import { eventsOf, SessionPlace } from '../support/session-commands.js';
import { SessionWire } from '../support/session-wire.js';

const buffered = true;
const skip = process.platform === 'win32' && 'Windows does not allow such names';

/** Sets a title, starts a line, sets colors with a C1 control character, and reverses text. */
const evil = '\u001b]0;x\u0007\n<0>line\u009b31m\u202e';
const shown = '\\x1b]0;x\\x07\\x0a<0>line\\x9b31m\\x202e';
const acting = /(?!\n)[\p{Cc}\p{Bidi_Control}\u2028\u2029]|^<0>/mu;

t.test('the sender chooses a group name that the receiver cannot join', (t) => {
  const group = { host: evil, port: 7735 };
  const wire = new SessionWire({ sender: { group } }).run();
  const joined = wire.receivers[0]?.events.filter(({ type }) => type === 'join');
  t.match(joined, [{ group: { host: shown } }]);
  t.match(wire.outcomeOf(0), { status: 'complete' }, 'by unicast');
  t.end();
});

t.test('errors name files in one printable line', (t) => {
  t.equal(new P2mpError('SOURCE_CHANGED', `${evil}: was removed`).message, `${shown}: was removed`);
  const { message } = new P2mpError('INVALID_PLAN', 'plan:1:1: one\nplan:2:1: t\u001bwo');
  t.equal(message, 'plan:1:1: one\nplan:2:1: t\\x1bwo', 'each problem of a plan has its own line');
  t.end();
});

t.test('a line of JSON does not affect a terminal, and keeps its content', (t) => {
  const object = { event: 'skipped', name: `${evil}\u007f\u2028\u{1f600}` };
  const line = toJsonLine(object);
  t.notMatch(line, acting);
  t.same(JSON.parse(line), object);
  t.end();
});

for (const json of [false, true]) {
  const options = json ? ['--json'] : ['--verbose'];
  t.test(`output shows unsafe names as text, with ${options}`, { buffered, skip }, async (t) => {
    const place = new SessionPlace(t);
    const folder = join(place.sent, evil);
    mkdirSync(folder);
    writeFileSync(join(folder, evil), 'content');
    symlinkSync(`/${evil}`, join(folder, 'link'));
    const { program, name } = await place.receive(['--open', ...options]);
    const to = ['--to', name, '--open', ...options];
    const sent = await place.send([folder, ...to]).exited;
    const missing = await place.send([join(folder, `no${evil}`), ...to]).exited;
    program.kill('SIGTERM');
    const received = await program.exited;
    for (const { stdout, stderr } of [sent, missing, received]) {
      t.notMatch(stdout, acting);
      t.notMatch(stderr, acting);
    }
    t.match(missing.stderr, `no${shown}: does not exist`);
    if (json) t.match(eventsOf(sent, 'start'), [{ label: evil }], 'JSON has the exact name');
    else t.match(sent.stdout, `${shown}: 2 entries`);
  });
}
