// Builds dist/: `node build.mjs`, or `node build.mjs --progress` to print each step and its duration.
// The new files replace the old ones only when all of them are there.
import { spawnSync } from 'node:child_process';
import { renameSync, rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const tsc = fileURLToPath(new URL('node_modules/typescript-native/lib/tsc.js', import.meta.url));
const unfinished = 'dist.unfinished';
const steps = [
  ['compile TypeScript', [tsc, '--singleThreaded', '-p', 'tsconfig.json', '--outDir', unfinished]],
  ['bundle the commands', ['bundle-commands.mjs', unfinished]],
  ['write manual pages and completions', ['command-docs/make-command-docs.mjs', unfinished]],
];
const hasProgress = process.argv.includes('--progress');
const print = (text) => hasProgress && process.stdout.write(text);

remove(unfinished);
print('Building p2mp\n');
for (const [i, [name, args]] of steps.entries()) {
  print(`   ${i + 1} of ${steps.length}: ${name} ... `);
  const startedAtMs = performance.now();
  const { status, error } = spawnSync(process.execPath, args, { stdio: 'inherit' });
  if (error !== undefined) throw error;
  if (status !== 0) {
    remove(unfinished);
    print('failed\n');
    process.exit(status ?? 1);
  }
  print(`${((performance.now() - startedAtMs) / 1000).toFixed(1)} s\n`);
}
remove('dist');
renameSync(unfinished, 'dist');
print('\n');

function remove(folder) {
  rmSync(folder, { recursive: true, force: true });
}
