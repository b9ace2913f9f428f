/** The examples in README.md: they compile under strict rules, however TypeScript resolves the package, and they run. */
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import ts from 'typescript';
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

const { NodeNext, ESNext } = ts.ModuleKind;
const { Bundler } = ts.ModuleResolutionKind;
const resolutions = [
  { module: NodeNext, moduleResolution: ts.ModuleResolutionKind.NodeNext },
  { module: ESNext, moduleResolution: Bundler },
];

t.test('there are examples', async (t) => {
  t.ok(examples.length >= 3, `${examples.length}`);
});

for (const resolution of resolutions) {
  t.test(`they compile with ${ts.ModuleResolutionKind[resolution.moduleResolution]}`, async (t) => {
    const options: ts.CompilerOptions = {
      ...resolution,
      strict: true,
      exactOptionalPropertyTypes: true,
      noEmit: true,
      target: ts.ScriptTarget.ES2022,
      types: ['node'],
      typeRoots: [join(folder, 'node_modules/@types')],
    };
    const program = ts.createProgram(paths, options);
    const problems = ts
      .getPreEmitDiagnostics(program)
      .map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n'));
    t.same(problems, []);
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
