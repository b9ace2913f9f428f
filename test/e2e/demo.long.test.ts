/** `npm run demo`: both protocols, every copy compared. */
import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { commandLinesWith, distFolder, nodePath, Program } from '../support/processes.js';

t.jobs = 2;
const buffered = true;

function startDemo(t: Test, options: Readonly<Record<string, string>> = {}) {
  const temporary = join(t.testdir(), 'temporary files');
  mkdirSync(temporary);
  const env = { TMPDIR: temporary, ...options };
  const program = new Program(t, nodePath, [join(distFolder, 'cli/demo/demo.js')], { env });
  return { program, temporary };
}

t.test(
  'the demo sends by both protocols, compares all copies and cleans up',
  { buffered },
  async (t) => {
    const { program, temporary } = startDemo(t);
    const { code, stdout, stderr } = await program.exited;
    t.equal(code, 0, stderr);
    t.equal(stderr, '');
    t.match(
      stdout,
      /^1\. P2MP-FTP[\s\S]*retransmission[\s\S]*theory says 1\.151[\s\S]*\n2\. A session/,
    );
    t.equal(stdout.match(/receiver \d: complete, .*copy identical$/gm)?.length, 6, stdout);
    // Lines wrap, depending on the figures.
    t.match(stdout, /Multicast[\s\S]*?\d\s+[kM]?B\s+left\s+the\s+sender\s+for/);
    t.match(stdout, /\nAll six copies are identical to what was sent \(.* in all\)\.\n$/);
    t.notMatch(stdout, '\x1b', 'a pipe gets no escape codes');
    t.same(
      stdout.split('\n').filter((line) => line.length > 80),
      [],
    );
    t.same(readdirSync(temporary), []);
    t.same(commandLinesWith(temporary), []);
  },
);

t.test('Ctrl-C leaves no file and no process', { buffered }, async (t) => {
  const { program, temporary } = startDemo(t);
  await program.waitFor(/^1\. P2MP-FTP/m);
  await program.waitForFile(temporary, /^p2mp demo /);
  program.kill('SIGINT');
  const { code, stderr } = await program.exited;
  t.equal(code, 130);
  t.equal(stderr, 'demo: interrupted; its receivers and files are removed\n');
  t.same(readdirSync(temporary), []);
  t.same(commandLinesWith(temporary), []);
});

t.test('without room for its files, the demo says so and fails', { buffered }, async (t) => {
  const { program } = startDemo(t, { TMPDIR: join(t.testdir(), 'missing') });
  const { code, stderr } = await program.exited;
  t.equal(code, 4);
  t.match(stderr, /^demo: .*missing: .*does not exist/);
});
