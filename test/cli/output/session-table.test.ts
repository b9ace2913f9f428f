/** The live table of `p2mp send`: its content, and its life on a pseudo terminal. */
import { execFileSync, spawnSync } from 'node:child_process';
import { closeSync, existsSync, openSync, readFileSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { formatLoss, percent } from '../../../src/cli/output/progress/progress-parts.js';
import { sessionTable } from '../../../src/cli/output/progress/session-table.js';
import { asciiGlyphs, unicodeGlyphs } from '../../../src/cli/output/terminal-look.js';
import { plain, render } from '../../../src/cli/output/text.js';
import type { SessionReceiverStatus } from '../../../src/index.js';
import { isSameContent, writeRandomFile } from '../../support/loopback.js';
import { distFolder, Program } from '../../support/processes.js';
import { SessionPlace } from '../../support/session-commands.js';
import { toScreen } from '../../support/terminal-screen.js';

t.jobs = 4;

function statusOf(
  receiver: string,
  status: SessionReceiverStatus['status'],
  heldBytes = 0,
  more: Partial<SessionReceiverStatus> = {},
): SessionReceiverStatus {
  return {
    receiver,
    address: '10.0.0.1:7735',
    status,
    activity: 'receiving',
    heldBytes,
    heldBeforeBytes: 0,
    receivedBytes: heldBytes,
    elapsedMs: 1000,
    datagramsSent: 0,
    repairs: 0,
    datagramsLost: 0,
    lossRatio: 0,
    usesGroup: false,
    unchangedFiles: 0,
    deletedEntries: 0,
    undeletedEntries: 0,
    // The name of a receiver is known once it participates, but that of one behind a relay never is.
    ...(status === 'connecting' || more.via !== undefined ? {} : { selfName: receiver }),
    ...more,
  };
}

interface Sight {
  readonly columns?: number;
  readonly lines?: number;
  readonly contentSizeBytes?: number;
  readonly rates?: readonly (number | undefined)[];
  readonly glyphs?: typeof asciiGlyphs;
}

/** The table after three seconds. The default rate of a receiver is its average. */
function tableOf(receivers: readonly SessionReceiverStatus[], sight: Sight = {}) {
  const { columns = 80, lines = 23, contentSizeBytes = 100, glyphs = asciiGlyphs } = sight;
  const averages = receivers.map(({ receivedBytes: bytes, elapsedMs: ms }) => (bytes / ms) * 1000);
  const sending = { receivers, rates: sight.rates ?? averages, contentSizeBytes, elapsedMs: 3000 };
  return sessionTable(sending, { columns, lines, glyphs });
}

function linesOf(receivers: readonly SessionReceiverStatus[], sight?: Sight): string[] {
  return tableOf(receivers, sight).map(plain);
}

function firstCells(lines: readonly string[]): string[] {
  return lines.slice(1, -1).map((line) => line.split(/ {2,}/)[0] ?? '');
}

t.test('a row shows state, progress and figures of a receiver', async (t) => {
  const held = { elapsedMs: 2000, lossRatio: 0.0123, rttMs: 0.456 };
  const receivers = [
    statusOf('10.0.0.1', 'active', 500_000, held),
    statusOf('lab:7000', 'connecting', 0, { activity: 'connecting', elapsedMs: 0 }),
  ];
  const sight = { contentSizeBytes: 1_000_000, rates: [100_000, undefined] };
  t.same(linesOf(receivers, { ...sight, columns: 100 }), [
    'receiver  state                             here       rate    average   ETA  loss     rtt',
    '10.0.0.1  receiving   ##########..........   50%   100 kB/s   250 kB/s   5 s  1.2%  0.5 ms',
    'lab:7000  connecting  ....................    0%          -          -     -    0%       -',
    '0 of 2 complete  #####...............   25%  1.00 MB  3.00 s  ETA 5 s',
  ]);
  const [, row] = linesOf(receivers, { ...sight, glyphs: unicodeGlyphs });
  t.match(row, '  █████░░░░░   50%  ');
});

t.test('receivers behind a relay have progress of their own', async (t) => {
  const behind = { via: ['relay'] };
  const receivers = [
    statusOf('relay', 'active', 100),
    statusOf('a', 'active', 50, behind),
    statusOf('b', 'complete', 100, behind),
  ];
  t.match(linesOf(receivers), [
    /^receiver/,
    /^relay .* 100%/,
    /^relay\/a .* 50%/,
    /^relay\/b .* 100%/,
    /^1 of 3 complete .* 83%/,
  ]);
});

t.test(
  'incomplete receivers come first; without room for all, the others are counted',
  async (t) => {
    const receivers = [
      statusOf('done', 'complete', 100),
      statusOf('gone', 'failed', 20),
      statusOf('new', 'connecting'),
      statusOf('fast', 'active', 90),
      statusOf('refused', 'refused'),
      statusOf('slow', 'active', 10),
      statusOf('met', 'identifying'),
      statusOf('stopped', 'aborted'),
      statusOf('asked', 'offered'),
    ];
    // Within incomplete, failed and complete ones, rows keep their places: moving rows are unreadable.
    const shown = ['new', 'fast', 'slow', 'met', 'asked', 'gone', 'refused', 'stopped', 'done'];
    t.same(firstCells(linesOf(receivers, { lines: 11 })), shown);
    const urgent = ['new', 'met', 'asked', 'slow', 'fast', 'refused', 'stopped', 'gone', 'done'];
    for (let rows = 1; rows < 8; rows++) {
      const chosen = shown.filter((name) => urgent.slice(0, rows).includes(name));
      const cells = firstCells(linesOf(receivers, { lines: rows + 3 }));
      t.same(cells, [...chosen, `and ${9 - rows} more`]);
    }
    for (const lines of [1, 2, 3]) {
      const only = linesOf(receivers, { lines });
      t.match(only, [/^1 of 9 complete, 4 failed|^1 of 9 complete, 3 failed/]);
      t.equal(only.length, 1, `${lines} lines have room for the summary only`);
    }
  },
);

t.test('a narrow terminal shortens names, not figures', async (t) => {
  const receiver = 'a-host-with-a-very-long-name.of-some-department.example.org:7735';
  const receivers = [statusOf(receiver, 'active', 50), statusOf('short', 'active', 25)];
  for (const columns of [120, 60, 50]) {
    const [head = '', one = '', two = ''] = linesOf(receivers, { columns });
    for (const line of [head, one, two]) t.ok(line.length <= columns, line);
    t.match(one, / receiving .* 50% +50 B\/s/);
    t.match(one, /^a-host.*:7735 /);
    t.equal(one.indexOf('receiving'), head.indexOf('state'));
    t.equal(two.indexOf('receiving'), head.indexOf('state'));
  }
});

t.test(
  'on a narrow terminal, whole columns are left out and no figure loses its unit',
  async (t) => {
    const figures = { elapsedMs: 1000, lossRatio: 0.012, rttMs: 12.3 };
    const receivers = ['日本語のとても長い名前', '10.0.0.1:7735', 'lab-with-a-long-name'].map(
      (name) => statusOf(name, 'active', 2_310_000, figures),
    );
    for (let columns = 20; columns < 130; columns++) {
      const lines = linesOf(receivers, { columns, lines: 9, contentSizeBytes: 9_000_000 });
      const [head = '', ...rows] = lines.slice(0, -1);
      const names = head.split(/ +/);
      t.ok(names.includes('here'), `${columns} columns: ${head}`);
      for (const row of rows) {
        const rates = row.match(/ 2\.31 MB\/s(?= |$)/g)?.length ?? 0;
        const expected = ['rate', 'average'].filter((name) => names.includes(name)).length;
        t.equal(rates, expected, `${columns}: ${row}`);
        t.equal(/ 12\.3 ms$/.test(row), names.includes('rtt'), `${columns}: ${row}`);
        t.equal(/ 1\.2%( |$)/.test(row), names.includes('loss'), `${columns}: ${row}`);
        t.match(row, / 25%/, `${columns}: ${row}`);
      }
      const total = /^0( of |\/)3 complete( +[#.]+)?( +25%)?( +9\.00 MB)?( +3\.00 s)?( +ETA 3 s)?$/;
      t.match(lines.at(-1), total);
      t.ok((lines.at(-1) ?? '').length <= columns);
    }
  },
);

t.test('the usual terminals show every row whole', async (t) => {
  const receivers = Array.from({ length: 20 }, (_, i) => {
    const name = `192.168.1.${100 + i}`;
    if (i === 7) return statusOf(name, 'failed', 10, { activity: 'failed' });
    if (i < 5) return statusOf(name, 'complete', 100, { activity: 'complete', rttMs: 0.4 });
    return statusOf(name, 'active', i, { lossRatio: 0.01, rttMs: 0.4 });
  });
  const sizes = [
    [120, 30, 'receiver state here rate average ETA loss rtt'],
    [80, 24, 'receiver state here rate average ETA loss'],
    [40, 5, 'receiver state here rate'],
  ] as const;
  for (const [columns, rows, names] of sizes) {
    const sight = { columns: columns - 1, lines: rows - 1, glyphs: unicodeGlyphs };
    for (const hasColor of [true, false]) {
      const drawn = tableOf(receivers, sight).map((line) => render(line, hasColor));
      const screen = await toScreen(drawn.join('\r\n'), columns);
      t.equal(screen.length, drawn.length, `${columns} columns: no row is wrapped`);
      t.ok(screen.length < rows, `${rows} rows: ${screen.length} lines`);
      t.equal(screen[0]?.split(/ +/).join(' '), names);
      const addresses = screen.filter((line) => line.startsWith('192.')).length;
      const hidden = /^and (\d+) more$/.exec(screen.at(-2) ?? '')?.[1] ?? '0';
      t.equal(addresses + Number(hidden), 20);
      t.match(screen.at(-1), /^5( of |\/)20 complete, 1 failed .* ETA \d/);
      if (hidden !== '0') continue;
      t.match(screen.at(-7), /^192\.168\.1\.107 +failed/);
      for (const line of screen.slice(-6, -1)) t.match(line, / complete +█+ +100% /);
    }
  }
});

t.test('100 % appears only if everything has arrived', async (t) => {
  t.equal(percent(999_999, 1_000_000), 99);
  t.equal(percent(2 ** 50 - 1, 2 ** 50), 99);
  t.equal(percent(1_000_000, 1_000_000), 100);
  t.equal(percent(0, 0), 100, 'an empty object is complete');
  t.equal(percent(9, 1000), 0);
});

t.test('0 % loss appears only if nothing was lost', async (t) => {
  const cases = [
    [0, '0%'],
    [0.001, '0.1%'],
    [0.0123, '1.2%'],
    [0.0994, '9.9%'],
    [0.0996, '10%'],
    [0.5, '50%'],
    [1, '100%'],
  ] as const;
  for (const [ratio, text] of cases) t.equal(formatLoss(ratio), text);
});

t.test('the slowest receiver determines the estimated time', async (t) => {
  const etaOf = (rates: readonly (number | undefined)[], ...receivers: SessionReceiverStatus[]) =>
    /ETA (.*)$/.exec(linesOf(receivers, { contentSizeBytes: 1000, rates }).at(-1) ?? '')?.[1];
  const fast = statusOf('fast', 'active', 900);
  const slow = statusOf('slow', 'active', 200);
  t.equal(etaOf([900, 200], fast, slow), '4 s');
  t.equal(etaOf([50, 200], fast, slow), '4 s', 'by the current rate, not by the average');
  t.equal(etaOf([10, 200], fast, slow), '10 s');
  t.equal(etaOf([100, 0], fast, statusOf('done', 'complete', 1000)), '1 s');
  t.equal(etaOf([100, undefined], fast, statusOf('gone', 'failed', 1)), '1 s');
  t.equal(etaOf([100, undefined], fast, statusOf('new', 'connecting')), '1 s');
  // Nothing is shown rather than nonsense.
  t.equal(etaOf([undefined, 900], slow, fast), undefined, 'one has stalled');
  const silent = statusOf('silent', 'connecting', 200, { selfName: 'silent' });
  t.equal(etaOf([undefined, 900], silent, fast), undefined, 'one is silent');
  t.equal(etaOf([undefined], statusOf('met', 'identifying')), undefined);
  t.equal(etaOf([0], statusOf('done', 'complete', 1000)), undefined, 'the end');
});

const hasScript = spawnSync('script', ['--version']).stdout?.toString().includes('util-linux');
const skip = !hasScript && 'util-linux script is not available';
const buffered = true;

interface Typed {
  readonly program: Program;
  /** Types keys. */
  type(keys: string): void;
}

/** Runs `p2mp send` on a terminal of 120 columns with keyboard input. */
function sendOnTerminal(t: Test, place: SessionPlace, args: readonly string[]): Typed {
  const keys = join(place.folder, 'keyboard');
  execFileSync('mkfifo', [keys]);
  // Opened for both directions, so that neither side blocks and the input never ends.
  const keyboard = openSync(keys, 'r+');
  t.teardown(() => closeSync(keyboard));
  const words = [process.execPath, join(distFolder, 'cli', 'p2mp.js'), 'send', ...args];
  const line = `stty cols 120 rows 30; exec ${words.map((word) => `'${word}'`).join(' ')}`;
  const terminal = 'exec script --quiet --return --command "$1" /dev/null < "$2"';
  const program = new Program(t, 'sh', ['-c', terminal, 'sh', line, keys], {
    env: { SHELL: '/bin/sh', TERM: 'xterm', P2MP_HOME: place.senderHome },
  });
  return { program, type: (text) => void writeSync(keyboard, text) };
}

t.test(
  'the table is visible during the transfer and erased at the end',
  { skip, buffered },
  async (t) => {
    const place = new SessionPlace(t);
    const [one, two] = await Promise.all([
      place.receive(['--open', '--key', join(place.folder, 'key 1')], 'one'),
      place.receive(['--open', '--key', join(place.folder, 'key 2')], 'two'),
    ]);
    const sent = writeRandomFile(place.sent, 200_000);
    // For both receivers: at least four seconds, with a table every 200 ms.
    const to = ['--to', `${one.name},${two.name}`, '--rate', '100k'];
    const { program } = sendOnTerminal(t, place, [sent, ...to, '--open']);
    const { code, stdout } = await program.exited;
    t.equal(code, 0);
    for (const { dir } of [one, two]) t.ok(isSameContent(sent, join(dir, 'sent')));
    // biome-ignore lint/suspicious/noControlCharactersInRegex: the end of a table
    const drawings = stdout.split(/\x1b\[J\r/).map((text) => toScreen(text, 120));
    const shown = (await Promise.all(drawings)).map((lines) => lines.slice(-4));
    const tables = shown.filter((lines) => lines.at(-1)?.includes(' of 2 complete '));
    t.ok(tables.length > 1, `${tables.length} tables`);
    const names = [one.name, two.name].sort();
    for (const lines of tables) {
      t.match(lines[0], /receiver +state +here +rate +average +ETA +loss +rtt$/);
      t.same([lines[1], lines[2]].map((row) => row?.split(/ {2,}/)[0]).sort(), names);
      t.match(
        lines[3],
        /^\d of 2 complete {2}\S{20} {2}[ \d]+% {2}200 kB {2}[\d.]+ s( {2}ETA [\d:]+( s)?)?$/,
      );
    }
    t.ok(
      tables.some((lines) => lines.some((row) => / [1-9]\d?% /.test(row))),
      'it moves',
    );
    const screen = await toScreen(stdout, 120);
    t.notOk(screen.some((row) => row.includes('ETA') || row.includes(' of 2 complete ')));
    t.ok(
      screen.some((row) => row.startsWith('sent: 1 entry, 200 kB, complete at 2 of 2 receivers')),
    );
  },
);

for (const [answer, keys, code] of [
  ['yes', 'yes\r', 0],
  ['y, in capitals', 'Y\r', 0],
  ['no', 'no\r', 1],
  ['nothing', '\r', 1],
  ['Ctrl-C', '\x03', 130],
] as const) {
  t.test(`the user is asked about a new receiver: ${answer}`, { skip, buffered }, async (t) => {
    const place = new SessionPlace(t);
    const line = await place.keygen(place.senderHome);
    writeFileSync(join(place.receiverHome, 'authorized_keys'), `send ${line}`);
    const { name, dir } = await place.receive([]);
    const sent = writeRandomFile(place.sent, 1000);
    const { program, type } = sendOnTerminal(t, place, [sent, '--to', name]);
    const [, shown] = await program.waitFor(/^1 {2}127\.0\.0\.1:\d+ {2}(SHA256:\S{43})\s*$/m);
    type(keys);
    const exit = await program.exited;
    t.equal(exit.code, code);
    const screen = await toScreen(exit.stdout, 120);
    t.notOk(
      screen.some((row) => row.includes('ETA')),
      'no table remains',
    );
    const question = screen.findIndex((row) => row.startsWith('Trust it? (yes/no)'));
    t.equal(screen[question - 2], `1  ${name}  ${shown}`);
    const known = join(place.senderHome, 'known_receivers');
    if (code === 0) {
      t.ok(readFileSync(known, 'utf8').startsWith(`${name} p2mp-x25519 `));
      t.ok(isSameContent(sent, join(dir, 'sent')));
      return;
    }
    t.notOk(existsSync(known));
    t.notOk(existsSync(join(dir, 'sent')));
    const reason =
      code === 130
        ? /^p2mp send: interrupted; /
        : new RegExp(
            `^${name}: failed: its key ${shown?.replaceAll(/[+/]/g, '.')} was not accepted`,
          );
    t.ok(
      screen.some((row) => reason.test(row)),
      exit.stdout,
    );
  });
}
