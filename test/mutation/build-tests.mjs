// Bundles each test with the (mutated) sources: bundles start faster than compilation on the fly.
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
