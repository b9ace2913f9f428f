/** The tools that keep the core pure detect impure code: each probe is one forbidden line. */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';

const root = fileURLToPath(new URL('../../', import.meta.url));
const biome = join(root, 'node_modules/@biomejs/biome/bin/biome');
const tsc = join(root, 'node_modules/typescript-native/lib/tsc.js');

/** A folder outside the checkout, so that probes are never found in src. */
const directory = mkdtempSync(join(tmpdir(), 'p2mp-purity-'));
t.teardown(() => rmSync(directory, { recursive: true }));

function write(path: string, source: string): void {
  mkdirSync(dirname(join(directory, path)), { recursive: true });
  writeFileSync(join(directory, path), source);
}

function run(program: string, args: readonly string[]): string {
  const { stdout, error } = spawnSync(process.execPath, [program, ...args], {
    cwd: directory,
    encoding: 'utf8',
  });
  if (error !== undefined) throw error;
  return stdout;
}

/** @returns the reports of the project's lint rules for each source, by path */
function lint(sources: Record<string, string>): Record<string, string> {
  for (const name of ['biome.json', 'lint']) {
    cpSync(join(root, name), join(directory, name), { recursive: true });
  }
  for (const [path, source] of Object.entries(sources)) write(path, `${source}\n`);
  const args = ['--vcs-enabled=false', '--reporter=json', '--max-diagnostics=none'];
  const report = run(biome, ['lint', ...args, ...Object.keys(sources)]);
  const { summary, diagnostics } = JSON.parse(report) as {
    summary: { unchanged: number };
    diagnostics: { message: string; severity: string; location: { path: string } }[];
  };
  if (summary.unchanged !== Object.keys(sources).length) throw new Error(`not all read: ${report}`);
  const errors: Record<string, string> = {};
  for (const { message, severity, location } of diagnostics) {
    if (severity === 'error') errors[location.path] = message;
  }
  return errors;
}

/** @returns the lines, counted from 0, with errors under the compiler settings of the core */
function findTypeErrors(lines: readonly string[]): number[] {
  write('package.json', '{ "type": "module" }');
  write('types/probe.ts', lines.join('\n'));
  const compilerOptions = { rootDir: '.' };
  const settings = { extends: join(root, 'tsconfig.core.json'), include: ['*.ts'], exclude: [] };
  write('types/tsconfig.json', JSON.stringify({ ...settings, compilerOptions }));
  const report = run(tsc, ['-p', 'types']);
  const found = [...report.matchAll(/probe\.ts\((\d+),\d+\): error/g)];
  return [...new Set(found.map(([, line]) => Number(line) - 1))];
}

t.test('lint reports clocks, timers, randomness and Node in the core', (t) => {
  const impure: [string, string][] = [
    ['export const x = Math.random();', 'seeded streams'],
    ["export const x = Math['random']();", 'seeded streams'],
    ['export const x = Date.now();', 'global variable Date'],
    ['export const x = new Date();', 'global variable Date'],
    ['export const x = performance.now();', 'global variable performance'],
    ['setTimeout(() => {}, 1);', 'global variable setTimeout'],
    ['setInterval(() => {}, 1);', 'global variable setInterval'],
    ['setImmediate(() => {});', 'global variable setImmediate'],
    ['queueMicrotask(() => {});', 'global variable queueMicrotask'],
    ['export const x = crypto.randomUUID();', 'global variable crypto'],
    ['export const x = process.hrtime();', 'global variable process'],
    ['export const x = Buffer.alloc(1);', 'global variable Buffer'],
    ["console.log('x');", 'global variable console'],
    ["import fs from 'node:fs';\nexport const x = fs;", 'no Node interface'],
    ["import * as fs from 'node:fs';\nexport const x = fs;", 'no Node interface'],
    ["import { open } from 'node:fs';\nexport const x = open;", 'no Node interface'],
    ["import type { Stats } from 'node:fs';\nexport type X = Stats;", 'no Node interface'],
  ];
  for (const folder of ['src', 'src/base', 'src/transfer', 'src/session', 'src/experiment']) {
    const path = (i: number) => `${folder}/probe-${i}.ts`;
    const errors = lint(Object.fromEntries(impure.map(([source], i) => [path(i), source])));
    impure.forEach(([source, message], i) => {
      t.match(errors[path(i)], message, `${folder}: ${source}`);
    });
  }
  t.end();
});

t.test('lint accepts pure code, and shells may do what the core may not', (t) => {
  const errors = lint({
    'src/pure.ts': 'export const x = (nowMs: number) => Math.floor(nowMs + 1);',
    'src/local.ts': 'export const x = (random: () => number) => random();',
    'src/node/shell.ts': 'export const x = setTimeout(() => console.log(Date.now()), 1);',
    'src/cli/main.ts': "import { open } from 'node:fs';\nexport const x = [open, Math.random()];",
  });
  t.strictSame(errors, {});
  t.end();
});

t.test('the compiler finds neither Node nor the browser in the core', (t) => {
  const impure = [
    "import { open } from 'node:fs';",
    "import { lookup } from 'dns';",
    "export { connect } from 'node:net';",
    "export const dgram = import('node:dgram');",
    'export const timer = setTimeout(() => {}, 1);',
    'export const globalTimer = globalThis.setTimeout;',
    'export const pid = process.pid;',
    'export const buffer = Buffer.alloc(1);',
    'export const title = document.title;',
    'export const id = crypto.randomUUID();',
    'export const nowMs = performance.now();',
    'export let timeout: NodeJS.Timeout;',
  ];
  const pure = ['export const bytes = new Uint8Array(8);', 'export const half = Math.floor(0.5);'];
  const lines = [...impure, ...pure];
  const found = findTypeErrors(lines);
  lines.forEach((line, i) => {
    t.equal(found.includes(i), i < impure.length, line);
  });
  t.end();
});

t.test('lint reports workarounds that the compiler cannot see', (t) => {
  const ways = {
    'src/destructured.ts': 'const { random } = Math;\nexport const x = random();',
    'src/global.ts': 'export const x = globalThis.Date.now();',
    'src/side-effect.ts': "import 'node:fs';\nexport const x = 1;",
  };
  const errors = lint(ways);
  for (const [path, source] of Object.entries(ways)) t.ok(errors[path], source);
  t.end();
});
