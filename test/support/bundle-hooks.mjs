// Module hooks of Node: a TypeScript file is loaded together with what it imports from the project.
import { readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'esbuild';

export async function load(url, context, nextLoad) {
  if (!url.startsWith('file:') || !url.endsWith('.ts')) return nextLoad(url, context);
  const path = fileURLToPath(url);
  const { outputFiles } = await build({
    entryPoints: [path],
    // Not written. The paths in the source map are relative to it.
    outfile: `${path}.js`,
    write: false,
    bundle: true,
    packages: 'external',
    platform: 'node',
    format: 'esm',
    target: 'node20',
    sourcemap: 'inline',
    sourcesContent: false,
    logLevel: 'warning',
    plugins: [ownUrls],
  });
  return { format: 'module', source: outputFiles[0].contents, shortCircuit: true };
}

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
