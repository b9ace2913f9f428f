/** Senders choose any label; --on-complete commands join it to the target folder. */
import { mkdirSync, readFileSync } from 'node:fs';
import { join, posix, win32 } from 'node:path';
import t from 'tap';
import { createOnComplete, nameOfLabel } from '../../src/cli/on-complete.js';
import { Output } from '../../src/cli/output/output.js';
import type { IncomingResult } from '../../src/session/receiver-events.js';

const labels = [
  '..',
  '../../etc/passwd',
  '/etc/passwd',
  '.',
  '',
  'a/../..',
  '../',
  '...',
  '. .',
  '//',
];

t.test('a label joined to the folder names something inside the folder', (t) => {
  const onWindows = ['..\\x', 'c:\\x', 'c:x', '\\\\host\\share', 'f:stream', '.. '];
  for (const label of labels) {
    t.equal(posix.dirname(posix.join('/in', nameOfLabel(label, 'linux'))), '/in', label);
  }
  for (const label of [...labels, ...onWindows]) {
    const name = nameOfLabel(label, 'win32');
    t.equal(win32.dirname(win32.join('c:\\in', name)), 'c:\\in', label);
    t.notMatch(name, ':');
  }
  for (const label of ['photos', 'a.txt and 3 more', '-rf', '$(id)', '.profile', 'c:x']) {
    t.equal(nameOfLabel(label, 'linux'), label, 'other labels stay as they are');
  }
  t.end();
});

t.test(
  'the environment of a command has the safe label',
  { skip: process.platform === 'win32' },
  async (t) => {
    const dir = join(t.testdir(), 'in');
    mkdirSync(dir);
    const commands = createOnComplete(new Output({ isJson: false, isQuiet: true }), {
      command: 'printf %s "$P2MP_LABEL" > "$P2MP_DIR/label"',
      ...{ maxRunning: 1, timeoutMs: 60_000, dir },
    });
    const result = {
      label: '../../etc',
      from: 'r',
      senderKey: new Uint8Array(32),
      manifestDigest: '',
    };
    commands.add({ ...result, contentSizeBytes: 0 } as unknown as IncomingResult);
    await commands.idle();
    t.equal(readFileSync(join(dir, 'label'), 'utf8'), '.._.._etc');
  },
);
