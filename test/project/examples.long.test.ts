/** The programs in examples/ work with the built package. */
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { isSameContent, openSilentPort, writeRandomFile } from '../support/loopback.js';
import { Program, projectFolder } from '../support/processes.js';

function run(t: { teardown(handler: () => unknown): unknown }, name: string, args: string[]) {
  const path = join(projectFolder, 'examples', `${name}.mjs`);
  return new Program(t, process.execPath, [path, ...args]);
}

t.test('one example receives what the other sends', async (t) => {
  const folder = t.testdir({ sent: { 'a folder': {} } });
  const sent = join(folder, 'sent');
  const file = writeRandomFile(sent, 100_000, 'a file');
  writeFileSync(join(sent, 'a folder', 'more'), 'more');
  const receiver = run(t, 'receive', [join(folder, 'in'), '0']);
  const [, port] = await receiver.waitFor(/^listening on port (\d+)$/m);
  const to = `127.0.0.1:${port}`;
  const sender = await run(t, 'send', [file, join(sent, 'a folder'), to]).exited;
  t.match(sender, { code: 0, stderr: '' });
  t.match(sender.stdout, /^127\.0\.0\.1 connected\n127\.0\.0\.1: complete *\n$/);
  const received = await receiver.exited;
  t.match(received, { code: 0, stderr: '' }, 'the receiver exits by itself');
  t.match(received.stdout, /^a file and 1 more from 127\.0\.0\.1:\d+$/m);
  t.match(received.stdout, /^a file and 1 more: complete, 100004 bytes received *$/m);
  t.same(readdirSync(join(folder, 'in')).sort(), ['a file', 'a folder']);
  t.ok(isSameContent(file, join(folder, 'in', 'a file')));
  t.same(readdirSync(join(folder, 'in', 'a folder')), ['more']);
});

t.test('an error is one line with its code', async (t) => {
  const to = `127.0.0.1:${await openSilentPort(t)}`;
  const sender = await run(t, 'send', [join(t.testdir(), 'missing'), to]).exited;
  t.match(sender, { code: 2, stdout: '' });
  t.match(sender.stderr, /^SOURCE_UNREADABLE: .*missing: does not exist; [^\n]+\n$/);
});

for (const name of ['send', 'receive']) {
  t.test(`${name} without arguments prints its usage`, async (t) => {
    const stderr = new RegExp(`^usage: node examples/${name}\\.mjs [^\\n]+\\n$`);
    t.match(await run(t, name, []).exited, { code: 2, stdout: '', stderr });
  });
}
