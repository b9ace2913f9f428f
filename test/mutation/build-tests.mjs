// One file for each test, with the (mutated) sources in it: it starts faster than what is compiled on its way.
import { build } from 'esbuild';
import { builtFolder, pureTests } from './pure-tests.mjs';

await build({
  entryPoints: pureTests.map((name) => `test/${name}.test.ts`),
  outdir: builtFolder,
  outExtension: { '.js': '.mjs' },
  bundle: true,
  packages: 'external',
  platform: 'node',
  format: 'esm',
  logLevel: 'warning',
});
