// Puts the commands of sessions together with all that they load: hundreds of small files take a
// command longer to find than the first receiver takes to answer. The library stays as it was compiled.
import { chmod, readdir, readFile, writeFile } from 'node:fs/promises';
import { build } from 'esbuild';

const commands = ['p2mp', 'p2mpclient', 'p2mpserver'];

/** Errors are told apart by their class, also those of what is not bundled: there must be one of it. */
const oneErrorClass = {
  name: 'one error class',
  setup: ({ onResolve }) => {
    onResolve({ filter: /\/errors\.js$/ }, () => ({ path: '../base/errors.js', external: true }));
  },
};

const { metafile } = await build({
  entryPoints: commands.map((name) => `dist/cli/${name}.js`),
  outdir: 'dist/cli',
  allowOverwrite: true,
  bundle: true,
  // What several commands share is one file, and a verb is loaded when it is called.
  splitting: true,
  chunkNames: 'shared-[hash]',
  format: 'esm',
  platform: 'node',
  target: 'node20',
  // A command reads all of it before it begins.
  minifyWhitespace: true,
  minifySyntax: true,
  legalComments: 'none',
  logLevel: 'warning',
  metafile: true,
  plugins: [oneErrorClass],
  // Two find files beside themselves. The others bring binaries, or are seldom needed.
  external: [
    './commands/completion.js',
    './commands/experiment.js',
    'koffi',
    'noise-handshake',
    'noise-handshake/*',
    'sodium-javascript',
    'seedrandom',
    'prom-client',
  ],
});
await writeFile(
  'dist/cli/third-party-licenses.txt',
  await licensesOf(Object.keys(metafile.inputs)),
);

// npm sets this bit when it installs or links the package, on the files that are there at that time. A link
// outlives a rebuild, which makes new files.
const { bin } = JSON.parse(await readFile('package.json', 'utf8'));
for (const path of Object.values(bin)) await chmod(path, 0o755);

/** The terms of every package that has gone into the commands. */
async function licensesOf(inputs) {
  const folders = new Set(
    inputs.map((path) => /^.*node_modules\/(@[^/]+\/)?[^/]+/.exec(path)?.[0]),
  );
  folders.delete(undefined);
  const texts = [];
  for (const folder of [...folders].sort()) {
    const { name, version } = JSON.parse(await readFile(`${folder}/package.json`, 'utf8'));
    const file = (await readdir(folder)).find((each) => /^licen[cs]e/i.test(each));
    if (file === undefined) throw new Error(`${folder}: no license to pass on`);
    texts.push(`${name} ${version}\n\n${await readFile(`${folder}/${file}`, 'utf8')}`);
  }
  return texts.join('\n----\n\n');
}
