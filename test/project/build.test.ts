/** `npm run build` replaces a usable build only by a complete one. */
import { cpSync, existsSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { Program, projectFolder } from '../support/processes.js';

t.test('a build that fails leaves the earlier build', async (t) => {
  const folder = t.testdir({
    dist: { 'index.js': 'the earlier build' },
    'dist.unfinished': { 'left.js': 'of an interrupted build' },
    src: { 'index.ts': "export const text: string = 'new';\n" },
  });
  for (const name of ['build.mjs', 'package.json', 'tsconfig.json']) {
    cpSync(join(projectFolder, name), join(folder, name));
  }
  symlinkSync(join(projectFolder, 'node_modules'), join(folder, 'node_modules'));
  const build = () => new Program(t, process.execPath, ['build.mjs'], { cwd: folder }).exited;
  const check = (exit: { readonly code: number | null }) => {
    t.not(exit.code, 0);
    t.equal(readFileSync(join(folder, 'dist', 'index.js'), 'utf8'), 'the earlier build');
    t.notOk(existsSync(join(folder, 'dist.unfinished')));
  };
  // The next step is missing here.
  check(await build());
  writeFileSync(join(folder, 'src/index.ts'), 'export const text: string = 1;\n');
  check(await build());
  t.strictSame(readdirSync(join(folder, 'dist')), ['index.js']);
});
