// Joins a test file with all files of the project that it uses into one script. Finding and compiling those hundreds
// of files one by one, in each process, took longer than most tests.
import { readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { pathToFileURL } from 'node:url';

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

export const bundleOptions = {
  bundle: true,
  packages: 'external',
  platform: 'node',
  format: 'esm',
  target: 'node20',
  sourcemap: 'inline',
  sourcesContent: false,
  logLevel: 'warning',
  plugins: [ownUrls],
};
