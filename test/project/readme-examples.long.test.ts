/** The examples in README.md: they compile under strict rules, however TypeScript resolves the package, and they run. */
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { compileErrors } from '../support/compiler.js';
import { Program, projectFolder } from '../support/processes.js';

const readme = readFileSync(join(projectFolder, 'README.md'), 'utf8');
const examples = [...readme.matchAll(/^```js\n(.*?)^```$/gms)].map(([, code = '']) => code);

const folder = t.testdir({ 'package.json': '{"type":"module"}', node_modules: {} });
symlinkSync(projectFolder, join(folder, 'node_modules', 'p2mp'), 'junction');
mkdirSync(join(folder, 'node_modules', '@types'));
symlinkSync(
  join(projectFolder, 'node_modules/@types/node'),
  join(folder, 'node_modules/@types/node'),
  'junction',
);
const paths = examples.map((code, i) => {
  const path = join(folder, `example-${i + 1}.ts`);
  writeFileSync(path, code);
  return path;
});

t.test('there are examples', async (t) => {
  t.ok(examples.length >= 3, `${examples.length}`);
});

for (const [module, resolution] of [
  ['nodenext', 'nodenext'],
  ['esnext', 'bundler'],
] as const) {
  t.test(`they compile with ${resolution}`, async (t) => {
    const resolving = ['--module', module, '--moduleResolution', resolution];
    const types = ['--types', 'node', '--typeRoots', 'node_modules/@types'];
    const options = [...resolving, ...types, '--exactOptionalPropertyTypes'];
    t.same(compileErrors(folder, paths, options), []);
  });
}

t.test('they run', async (t) => {
  for (const [i, code] of examples.entries()) {
    const path = join(folder, `example-${i + 1}.mjs`);
    writeFileSync(path, code);
    const exit = await new Program(t, process.execPath, [path], { cwd: folder }).exited;
    t.match(exit, { code: 0, stderr: '' }, code);
  }
});
