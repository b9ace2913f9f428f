// npm run coverage: what the tests reach of the core, from the report that tap has just written. Lines are as V8
// counts them: those without code count as reached with what is around them, so branches tell more.
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
/** All of the core: what has no shell around it. */
const folders = [
  'src',
  ...readdirSync(join(root, 'src'), { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isDirectory())
    .map(({ parentPath, name }) => relative(root, join(parentPath, name)).replaceAll('\\', '/'))
    .filter((path) => !/^src\/(?:node|cli)(?:\/|$)/.test(path))
    .toSorted(),
];
const leastPercent = 95;
const kinds = ['lines', 'branches'];

const summary = JSON.parse(readFileSync(join(root, '.tap/report/coverage-summary.json'), 'utf8'));
const none = { total: 0, covered: 0 };
const all = { name: 'all of the core', lines: none, branches: none };
const unreached = [];

for (const folder of folders) {
  const row = { name: folder, lines: none, branches: none };
  for (const name of readdirSync(join(root, folder)).filter(isSource)) {
    const path = `${folder}/${name}`;
    const file = summary[join(root, path)];
    if (file === undefined) {
      if (hasCode(path)) unreached.push(path);
      continue;
    }
    for (const kind of kinds) row[kind] = add(row[kind], file[kind]);
    if (kinds.some((kind) => percent(file[kind]) < leastPercent)) print({ name: path, ...file });
  }
  for (const kind of kinds) all[kind] = add(all[kind], row[kind]);
  print(row);
}
print(all);
if (unreached.length > 0) console.log(`never loaded: ${unreached.join(', ')}`);
const isEnough = kinds.every((kind) => percent(all[kind]) >= leastPercent);
if (!isEnough || unreached.length > 0) {
  console.log(
    `At least ${leastPercent} % of lines and branches are asked for, and some of each file.`,
  );
  process.exitCode = 1;
}

function isSource(name) {
  return name.endsWith('.ts');
}

/** Types alone leave nothing behind. */
function hasCode(path) {
  const built = join(root, path.replace(/^src/, 'dist').replace(/ts$/, 'js'));
  const code = readFileSync(built, 'utf8').replace(/\/\*[\s\S]*?\*\/|\/\/.*|export \{\};/g, '');
  return code.trim() !== '';
}

function add(left, right) {
  return { total: left.total + right.total, covered: left.covered + right.covered };
}

function percent({ total, covered }) {
  return total === 0 ? 100 : (100 * covered) / total;
}

function print({ name, lines, branches }) {
  const show = (counts) => `${percent(counts).toFixed(1)} %`.padStart(8);
  console.log(`${name.padEnd(40)}${show(lines)} of lines ${show(branches)} of branches`);
}
