// Bundles all commands (p2mp, p2mpclient, p2mpserver) with everything that they load. Finding
// hundreds of small files would take a command longer than the first receiver takes to answer. The
// library remains as compiled, except for the thread that simulates. The argument is the folder of the compiled files.
//
// esbuild creates a file for each set of commands that share code, and each file that a command loads
// takes half a millisecond. So that there are few sets, some commands of p2mp are one file, and those of
// P2MP-FTP share no code with them.
import { chmod, readdir, readFile, writeFile } from 'node:fs/promises';
import { basename, relative, resolve, sep } from 'node:path';
import { build } from 'esbuild';

const [, , folder] = process.argv;
const bundles = [['p2mp'], ['p2mpclient', 'p2mpserver']];
/** Commands of `p2mp` that are one file. */
const groups = {
  transfers: ['receive', 'serve', 'fetch', 'list', 'relay'],
  tools: ['peers', 'digest', 'keygen', 'completion'],
};
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

/** Replaces a command that belongs to a group by the group. */
const groupedCommands = {
  name: 'grouped commands',
  setup: ({ onResolve, onLoad }) => {
    onResolve({ filter: /\/commands\/[a-z]+\.js$/ }, ({ path, kind }) => {
      const group = Object.keys(groups).find((name) =>
        groups[name].includes(basename(path, '.js')),
      );
      if (kind !== 'dynamic-import' || group === undefined) return undefined;
      return { path: group, namespace: 'group' };
    });
    onLoad({ filter: /.*/, namespace: 'group' }, ({ path }) => ({
      contents: groups[path]
        .map((name) => `export { ${name} } from './commands/${name}.js';`)
        .join('\n'),
      resolveDir: resolve(folder, 'cli'),
    }));
  },
};

/**
 * Packages that only some runs of a command need, loaded when they are called first. Three are a single function each, and
 * their tables of characters take 50 ms to set up. The fourth, of many small files, is not bundled.
 */
const lazyPackages = {
  name: 'lazy packages',
  setup: ({ onResolve, onLoad }) => {
    onResolve({ filter: /^(string-width|cli-truncate|wrap-ansi)$/ }, ({ path, kind, importer }) =>
      kind === 'import-statement' && isOurs(importer) ? { path, namespace: 'lazy' } : undefined,
    );
    onResolve({ filter: /^seedrandom$/ }, ({ path, importer }) =>
      isOurs(importer) ? { path, namespace: 'lazy' } : undefined,
    );
    onLoad({ filter: /^seedrandom$/, namespace: 'lazy' }, ({ path }) => ({
      contents: `import { createRequire } from 'node:module';
        let loaded;
        export default {
          alea: (...args) => {
            loaded ??= createRequire(import.meta.url)(${JSON.stringify(path)});
            return loaded.alea(...args);
          },
        };`,
    }));
    onLoad({ filter: /.*/, namespace: 'lazy' }, ({ path }) => ({
      contents: `let loaded;
        export default (...args) => {
          loaded ??= require(${JSON.stringify(path)}).default;
          return loaded(...args);
        };`,
      resolveDir: resolve('.'),
    }));
  },
};

const commonOptions = {
  outdir: `${folder}/cli`,
  allowOverwrite: true,
  bundle: true,
  // Code that several commands share is in files of its own, and a command is loaded when it is called.
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
  plugins: [oneErrorClass, ownPlaces, groupedCommands, lazyPackages],
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
};
const inputs = [];
for (const bundle of bundles) {
  const entryPoints = bundle.map((name) => `${folder}/cli/${name}.js`);
  const { metafile } = await build({ ...commonOptions, entryPoints });
  inputs.push(...Object.keys(metafile.inputs));
}
// Each thread that simulates loads this file. As 290 files, that took longer than simulating a small plan.
const worker = `${folder}/node/experiment/simulation-worker.js`;
await build({
  ...{ entryPoints: [worker], outfile: worker, allowOverwrite: true, bundle: true },
  ...{ format: 'esm', platform: 'node', target: 'node20', packages: 'external' },
  ...{ minifyWhitespace: true, minifySyntax: true, legalComments: 'none', logLevel: 'warning' },
});
await writeFile(`${folder}/cli/third-party-licenses.txt`, await licensesOf(inputs));

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
