/**
 * Live tables on a terminal: alignment by display width, and a clean screen however the window
 * changes.
 */
import { EventEmitter } from 'node:events';
import t from 'tap';
import { createRandom } from '../../../../src/base/random.js';
import { breaksLines, LiveView, type View } from '../../../../src/cli/output/progress/live-view.js';
import { cut, formatTable, shownRows } from '../../../../src/cli/output/table.js';
import { unicodeGlyphs } from '../../../../src/cli/output/terminal-look.js';
import { join, toned } from '../../../../src/cli/output/text.js';
import { TerminalScreen } from '../../../support/terminal-screen.js';

/** Standard error on a terminal whose user resizes it. */
class Window extends EventEmitter {
  readonly screen: TerminalScreen;
  private pending = Promise.resolve();

  constructor(
    public columns: number,
    public rows: number,
  ) {
    super();
    this.screen = new TerminalScreen(columns, rows);
  }

  write(text: string): void {
    this.pending = this.pending.then(() => this.screen.write(text));
  }

  /** Resolves when all output has been rendered. */
  settle(): Promise<void> {
    return this.pending;
  }

  async resize(columns: number, rows: number): Promise<void> {
    await this.settle();
    this.screen.resize(columns, rows);
    this.columns = columns;
    this.rows = rows;
    this.emit('resize');
    await this.settle();
  }
}

const names = [
  '東京データ.iso',
  'плащ.bin',
  'e\u0301tude',
  'plain name',
  '디스크-이미지',
  'very long '.repeat(9),
];

function viewOf(step: number): View {
  return ({ columns, lines }) => {
    const rows = names.map((name, i) => [name, `state ${i}`, `${(step * 7 + i) % 100}%`]);
    const count = shownRows(rows.length, lines - 1);
    const more = count < rows.length ? [`and ${rows.length - count} more`] : [];
    if (count === 0) return more;
    return [
      ...formatTable([['object', 'state', 'here'], ...rows.slice(0, count)], columns),
      ...more,
    ];
  };
}

t.test('columns are aligned by display width', async (t) => {
  const rows = names.map((name) => [name, 'receiving']);
  for (const maxColumns of [200, 40, 20]) {
    const starts = new Set<number>();
    for (const line of formatTable(rows, maxColumns)) {
      const screen = new TerminalScreen(200);
      await screen.write(line.slice(0, line.indexOf('receiving')));
      starts.add(screen.cursorColumn);
    }
    t.equal(
      starts.size,
      1,
      `at most ${maxColumns} columns: the second cell starts at ${[...starts]}`,
    );
  }
});

t.test('a shortened line is no wider than the terminal', async (t) => {
  for (const name of names) {
    for (let columns = 2; columns < 30; columns++) {
      const screen = new TerminalScreen(columns + 1);
      await screen.write(cut(name, columns));
      t.equal(screen.lines.length, 1, `${columns} columns: ${name}`);
    }
  }
});

t.test('resizing the window keeps printed lines and leaves no remains of the table', async (t) => {
  for (let seed = 1; seed <= 20; seed++) {
    const random = createRandom('windows', seed);
    const pick = (from: number, to: number) => from + Math.floor(random() * (to - from));
    const window = new Window(80, 24);
    const live = new LiveView(window, true);
    const printed: string[] = [];
    for (let step = 0; step < 30; step++) {
      live.show(viewOf(step));
      if (random() < 0.3) await window.resize(pick(40, 130), window.rows);
      if (random() < 0.3) await window.resize(window.columns, pick(24, 40));
      if (random() < 0.3) {
        live.hide();
        printed.push(`${step}: ${'a line that was printed '.repeat(pick(1, 6))}`.trimEnd());
        window.write(`${printed.at(-1)}\r\n`);
      }
    }
    live.hide();
    window.write('the end');
    await window.settle();
    t.strictSame(window.screen.unbrokenLines, [...printed, 'the end'], `seed ${seed}`);
  }
});

t.test('a table of the height of the window leaves no copy in the history of tmux', async (t) => {
  for (let rows = 2; rows < 12; rows++) {
    const window = new Window(80, rows);
    const live = new LiveView(window, true);
    for (let step = 0; step < 5; step++) {
      live.show(viewOf(step));
      await window.resize(80 - step, rows);
    }
    live.printAbove(() => window.write('printed\r\n'));
    live.hide();
    await window.settle();
    t.equal(window.screen.wholeErasures, 0, `${rows} rows`);
    t.same(window.screen.lines, ['printed', ''], `${rows} rows`);
  }
});

t.test('the table fills a window of any size, and reports how many rows it omits', async (t) => {
  for (let rows = 2; rows < 12; rows++) {
    const window = new Window(60, rows);
    new LiveView(window, true).show(viewOf(1));
    await window.settle();
    const { lines } = window.screen;
    t.ok(lines.length <= rows, `${rows} rows: ${lines.length} lines`);
    const shown = lines.filter((line) => / state \d/.test(line)).length;
    const hidden = names.length - shown;
    t.equal(lines.at(-1)?.startsWith('and '), hidden > 0, `${rows} rows: ${hidden} are hidden`);
    if (hidden > 0) t.equal(lines.at(-1), `and ${hidden} more`);
  }
});

t.test('the view stays visible below the lines that scroll above it', async (t) => {
  const window = new Window(60, 12);
  const live = new LiveView(window, true);
  live.show(() => ['50%  ETA 1.00 s']);
  const printed = Array.from({ length: 30 }, (_, i) => `Timeout, sequence number = ${i}`);
  for (const line of printed) {
    live.printAbove(() => window.write(`${line}\r\n`));
    await window.settle();
    t.equal(window.screen.lines.at(-1), '50%  ETA 1.00 s');
  }
  t.strictSame(window.screen.lines, [...printed, '50%  ETA 1.00 s']);
});

t.test('colors move nothing: the screen is the same with and without them', async (t) => {
  const view: View = ({ columns }) => [
    join([toned('bad', 'failed \x1b[2J'), '  ', toned('good', '東京'.repeat(columns))]),
    toned('strong', 'total'),
  ];
  const screens = [];
  for (const hasColor of [true, false]) {
    const window = new Window(40, 5);
    const live = new LiveView(window, true, { hasColor, glyphs: unicodeGlyphs });
    live.show(view);
    live.printAbove(() => window.write('a line\r\n'));
    await window.resize(30, 5);
    screens.push(window.screen.lines);
  }
  t.equal(screens[0]?.length, 3);
  t.match(screens[0]?.[1], /^failed \\x1b\[2J {2}東京.*…$/);
  t.same(screens[0], screens[1]);
});

t.test(
  'each line is erased as a whole before it is drawn, because tmux keeps its width',
  async (t) => {
    const stream = Object.assign(new EventEmitter(), { columns: 80, rows: 24, written: '' });
    const write = (text: string) => {
      stream.written += text;
    };
    new LiveView(Object.assign(stream, { write }), true).show(viewOf(1));
    const [, ...lines] = stream.written.split(/\r\n|^\r/);
    t.equal(lines.length, 7);
    for (const line of lines) t.ok(line.startsWith('\x1b[2K') && !line.startsWith('\x1b', 4));
  },
);

t.test('a window that was far too small is clean again afterwards', async (t) => {
  for (let seed = 1; seed <= 20; seed++) {
    const random = createRandom('small windows', seed);
    const pick = (from: number, to: number) => from + Math.floor(random() * (to - from));
    const window = new Window(100, 30);
    const live = new LiveView(window, true);
    for (let step = 0; step < 10; step++) {
      live.show(viewOf(step));
      await window.resize(pick(4, 100), pick(2, 30));
    }
    live.hide();
    window.write('the end');
    await window.settle();
    // Lines that scrolled off the top cannot be erased.
    t.equal(
      window.screen.visibleLines.filter((line) => line !== '').join(),
      'the end',
      `seed ${seed}`,
    );
  }
});

t.test('a terminal that truncates lines keeps everything printed above', async (t) => {
  const stream = Object.assign(new EventEmitter(), { columns: 80, rows: 24, written: '' });
  const write = (text: string) => {
    stream.written += text;
  };
  const live = new LiveView(Object.assign(stream, { write }), false);
  live.show(viewOf(1));
  stream.written = '';
  stream.columns = 20;
  stream.emit('resize');
  t.equal(stream.written.slice(0, 5), '\r\x1b[6A', 'the cursor moves up by the lines drawn');
  t.equal(breaksLines({ TERM: 'xterm-256color' }), true);
  t.equal(breaksLines({ TERM: 'xterm-256color', XTERM_VERSION: 'XTerm(390)' }), false);
  t.equal(breaksLines({ TERM: 'linux' }), false);
  t.equal(breaksLines({ TERM: 'screen', STY: '1.pts' }), false);
  t.equal(breaksLines({ TERM: 'screen', TMUX: '/tmp/tmux', XTERM_VERSION: 'XTerm(390)' }), true);
});
