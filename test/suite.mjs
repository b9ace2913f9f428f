// All tests of `npm test`, each file in a process of its own. To run some of them: npx tap FILES. tap itself would
// start each file with hooks that record what it loads, and compile it there; that took longer than most tests.
import { closeSync, mkdirSync, openSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import t from 'tap';
import { bundleOptions, bundleTap } from './support/bundle.mjs';

const folder = fileURLToPath(new URL('.', import.meta.url));
const bundleFolder = fileURLToPath(new URL('../test.bundled/', import.meta.url));
/** They need root, or other versions of Node. */
const others = /^(?:root|nodes)\//;
/** It installs the package from a registry. */
const installing = 'project/package.test';
/** Warnings of Node, for example about files that nobody closed, and what show-hang.mjs prints. */
const fault = /^(?:\(node:\d+\) |took too long)/m;
/** The longest come first, so that no processor is idle at the end. */
const longest = [/^sweep\//, /^e2e\//, /^session\//, /^fuzz\//];

const names = readdirSync(folder, { recursive: true })
  .map((name) => name.replaceAll('\\', '/').replace(/\.ts$/, ''))
  .filter((name) => name.endsWith('.test') && !others.test(name))
  .sort((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1));

function rank(name) {
  const found = longest.findIndex((pattern) => pattern.test(name));
  return found === -1 ? longest.length : found;
}

// Each file has a time limit of its own.
t.setTimeout(0);
t.jobs = Number(process.env.TAP_JOBS);
rmSync(bundleFolder, { recursive: true, force: true });
await bundleTap(`${bundleFolder}node_modules`);
const hooks = ['support/teardown-order', 'support/show-hang'];
await build({
  ...bundleOptions,
  entryPoints: [
    ...names.map((name) => ({ in: `${folder}${name}.ts`, out: name })),
    ...hooks.map((name) => ({ in: `${folder}${name}.mjs`, out: name })),
  ],
  outdir: bundleFolder,
  outExtension: { '.js': '.mjs' },
});
const node = [process.execPath, '--enable-source-maps'];
for (const hook of hooks) node.push('--import', `${bundleFolder}${hook}.mjs`);

for (const name of names) {
  // Into a file, because most reporters of tap read no standard error: the buffer fills up, and whatever file then
  // writes to it never ends.
  const errorPath = `${bundleFolder}${name}.stderr`;
  mkdirSync(dirname(errorPath), { recursive: true });
  const errorFile = openSync(errorPath, 'w');
  // The options that tap gives to all processes of Node are the hooks.
  const unset = ['-u', 'NODE_OPTIONS'];
  // Each process, of a test or of a command, would take 70 ms to read the certificates of a proxy.
  if (name !== installing) unset.push('-u', 'NODE_EXTRA_CA_CERTS');
  t.spawn('env', [...unset, ...node, `${bundleFolder}${name}.mjs`], {
    buffered: true,
    timeout: Number(process.env.TAP_TIMEOUT) * 1000,
    name: `test/${name}.ts`,
    stdio: [0, 'pipe', errorFile],
  }).then(() => {
    closeSync(errorFile);
    const errors = readFileSync(errorPath, 'utf8');
    if (fault.test(errors)) t.equal(errors, '', `test/${name}.ts writes nothing to standard error`);
  });
}
