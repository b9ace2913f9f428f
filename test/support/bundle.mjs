// Joins a test file with all files of the project that it uses into one script. Finding and compiling those hundreds
// of files one by one, in each process, took longer than most tests.
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'esbuild';

/** Each file keeps its own `import.meta.url`. */
const ownUrls = {
  name: 'own URLs',
  setup: ({ onLoad }) => {
    onLoad({ filter: /\.ts$/ }, async ({ path }) => {
      const text = await readFile(path, 'utf8');
      if (!text.includes('import.meta.url')) return undefined;
      const own = JSON.stringify(pathToFileURL(path).href);
      return {
        contents: text.replaceAll('import.meta.url', own),
        loader: 'ts',
        resolveDir: dirname(path),
      };
    });
  },
};

// Packages remain separate, except for this one: most of its hundred files are messages in other languages.
const zodPath = fileURLToPath(new URL('../../node_modules/zod/index.js', import.meta.url));

export const bundleOptions = {
  bundle: true,
  packages: 'external',
  alias: { zod: zodPath },
  platform: 'node',
  format: 'esm',
  target: 'node20',
  sourcemap: 'inline',
  sourcesContent: false,
  logLevel: 'warning',
  plugins: [ownUrls],
};

/** No test compares React elements, and React takes as long to load as the rest of tap. */
const withoutReact = {
  name: 'without React',
  setup: ({ onLoad }) => {
    const filter = /\/tcompare\/.*\/react-element-to-jsx-string\.js$/;
    onLoad({ filter }, () => ({ contents: 'export default undefined;' }));
  },
};

/**
 * Joins tap into one script, as a package in a `node_modules` of this folder. To find its hundreds of files took half of
 * the time of a small test.
 */
export async function bundleTap(folder) {
  const all = (from) => `export * from '${from}'; export { default } from '${from}';`;
  await build({
    ...{ bundle: true, platform: 'node', format: 'esm', target: 'node20', keepNames: true },
    ...{ minifyWhitespace: true, minifySyntax: true, plugins: [withoutReact] },
    stdin: { contents: all('tap'), resolveDir: import.meta.dirname },
    // tap leaves files of this folder out of stacks.
    outfile: `${folder}/@tapjs/all.js`,
    // For its packages in CommonJS.
    banner: {
      js: "import { createRequire as forCommonJs } from 'node:module'; const require = forCommonJs(import.meta.url);",
    },
  });
  await mkdir(`${folder}/tap`);
  await writeFile(`${folder}/tap/package.json`, '{ "type": "module", "exports": "./index.js" }');
  await writeFile(`${folder}/tap/index.js`, all('../@tapjs/all.js'));
}
