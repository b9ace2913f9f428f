// Runs test files, each in a process of its own. To run some of them: npx tap FILES. tap itself would start each file
// with hooks that record what it loads, and compile it there; that took longer than most tests.
import { closeSync, mkdirSync, openSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import t from 'tap';
import { bundleOptions, bundleTap } from './bundle.mjs';

const folder = fileURLToPath(new URL('../', import.meta.url));
const bundleFolder = fileURLToPath(new URL('../../test.bundled/', import.meta.url));
const ending = '.test.ts';
const longEnding = '.long.test.ts';
/** They need root, or other versions of Node. */
const others = /^(?:root|nodes)\//;
/** It installs the package from a registry. */
const installing = 'project/package.long.test.ts';
/** Warnings of Node, for example about files that nobody closed, and what show-hang.mjs prints. */
const fault = /^(?:\(node:\d+\) |took too long)/m;
/** The longest come first, so that no processor is idle at the end. */
const longest = [/^sweep\//, /^e2e\//, /^session\//, /^fuzz\//];
const hooks = ['support/teardown-order', 'support/show-hang'];

/** @param isLong whether to run the files that end in `.long.test.ts`, or the others */
export async function runSuite(isLong) {
  const paths = readdirSync(folder, { recursive: true })
    .map((path) => path.replaceAll('\\', '/'))
    .filter((path) => path.endsWith(ending) && !others.test(path))
    .filter((path) => path.endsWith(longEnding) === isLong)
    .sort((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1));
  // Each file has a time limit of its own.
  t.setTimeout(0);
  t.jobs = Number(process.env.TAP_JOBS);
  await bundle(paths);
  for (const path of paths) run(path);
}

function rank(path) {
  const found = longest.findIndex((pattern) => pattern.test(path));
  return found === -1 ? longest.length : found;
}

async function bundle(paths) {
  rmSync(bundleFolder, { recursive: true, force: true });
  await bundleTap(`${bundleFolder}node_modules`);
  await build({
    ...bundleOptions,
    entryPoints: [
      ...paths.map((path) => ({ in: folder + path, out: path.replace(/\.ts$/, '') })),
      ...hooks.map((name) => ({ in: `${folder}${name}.mjs`, out: name })),
    ],
    outdir: bundleFolder,
    outExtension: { '.js': '.mjs' },
  });
}

function run(path) {
  // Into a file, because most reporters of tap read no standard error: the buffer fills up, and whatever file then
  // writes to it never ends.
  const errorPath = `${bundleFolder}${path}.stderr`;
  mkdirSync(dirname(errorPath), { recursive: true });
  const errorFile = openSync(errorPath, 'w');
  // The options that tap gives to all processes of Node are the hooks.
  const unset = ['-u', 'NODE_OPTIONS'];
  // Each process, of a test or of a command, would take 70 ms to read the certificates of a proxy.
  if (path !== installing) unset.push('-u', 'NODE_EXTRA_CA_CERTS');
  const node = [process.execPath, '--enable-source-maps'];
  for (const hook of hooks) node.push('--import', `${bundleFolder}${hook}.mjs`);
  t.spawn('env', [...unset, ...node, bundleFolder + path.replace(/\.ts$/, '.mjs')], {
    buffered: true,
    timeout: Number(process.env.TAP_TIMEOUT) * 1000,
    name: `test/${path}`,
    stdio: [0, 'pipe', errorFile],
  }).then(() => {
    closeSync(errorFile);
    const errors = readFileSync(errorPath, 'utf8');
    if (fault.test(errors)) t.equal(errors, '', `test/${path} writes nothing to standard error`);
  });
}
