// Bundles all commands (p2mp, p2mpclient, p2mpserver) with everything that they load. Finding
// hundreds of small files would take a command longer than the first receiver takes to answer. The
// library remains as compiled. The argument is the folder of the compiled files.
import { chmod, readdir, readFile, writeFile } from 'node:fs/promises';
import { relative, resolve, sep } from 'node:path';
import { build } from 'esbuild';

const [, , folder] = process.argv;
const commands = ['p2mp', 'p2mpclient', 'p2mpserver'];
const isOurs = (path) => path.startsWith(resolve(folder) + sep);

/**
 * Errors are recognized by their class, even in code that is not bundled, so there must be only
 * one.
 */
const oneErrorClass = {
  name: 'one error class',
  setup: ({ onResolve }) => {
    onResolve({ filter: /\/errors\.js$/ }, ({ importer }) =>
      isOurs(importer) ? { path: '../base/errors.js', external: true } : undefined,
    );
  },
};

/** A module that finds files beside itself still finds them, although its code moves to `cli`. */
const ownPlaces = {
  name: 'own places',
  setup: ({ onLoad }) => {
    onLoad({ filter: /\.js$/ }, async ({ path }) => {
      if (!isOurs(path)) return undefined;
      const text = await readFile(path, 'utf8');
      const own = relative(resolve(folder, 'cli'), path).replaceAll('\\', '/');
      const url = `new URL(${JSON.stringify(own)}, import.meta.url).href`;
      return { contents: text.replaceAll('import.meta.url', url) };
    });
  },
};

const { metafile } = await build({
  entryPoints: commands.map((name) => `${folder}/cli/${name}.js`),
  outdir: `${folder}/cli`,
  allowOverwrite: true,
  bundle: true,
  // Code that several commands share is one file, and a subcommand is loaded when it is called.
  splitting: true,
  chunkNames: 'shared-[hash]',
  format: 'esm',
  platform: 'node',
  target: 'node20',
  // A command parses all of it before it starts.
  minifyWhitespace: true,
  minifySyntax: true,
  legalComments: 'none',
  logLevel: 'warning',
  metafile: true,
  plugins: [oneErrorClass, ownPlaces],
  // They contain binaries, start threads, are seldom needed, or come without the text of their license.
  external: [
    '@humanwhocodes/momoa',
    'koffi',
    'noise-handshake',
    'noise-handshake/*',
    'sodium-javascript',
    'seedrandom',
    'prom-client',
    'tinypool',
    'vega',
    'vega-lite',
    '@resvg/resvg-js',
  ],
});
await writeFile(
  `${folder}/cli/third-party-licenses.txt`,
  await licensesOf(Object.keys(metafile.inputs)),
);

// npm sets this bit when it installs or links the package, on the files that exist then. A link
// outlives a rebuild, which creates new files.
const { bin } = JSON.parse(await readFile('package.json', 'utf8'));
for (const path of Object.values(bin)) await chmod(path.replace(/^dist/, folder), 0o755);

/** The licenses of every package that is bundled into the commands. */
async function licensesOf(inputs) {
  const folders = new Set(
    inputs.map((path) => /^.*node_modules\/(@[^/]+\/)?[^/]+/.exec(path)?.[0]),
  );
  folders.delete(undefined);
  const texts = [];
  for (const each of [...folders].sort()) {
    const { name, version } = JSON.parse(await readFile(`${each}/package.json`, 'utf8'));
    const file = (await readdir(each)).find((one) => /^licen[cs]e/i.test(one));
    if (file === undefined) throw new Error(`${each}: no license to pass on`);
    texts.push(`${name} ${version}\n\n${await readFile(`${each}/${file}`, 'utf8')}`);
  }
  return texts.join('\n----\n\n');
}
