// Module hooks of Node: a TypeScript file is loaded together with what it imports from the project.
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { bundleOptions } from './bundle.mjs';

export async function load(url, context, nextLoad) {
  if (!url.startsWith('file:') || !url.endsWith('.ts')) return nextLoad(url, context);
  const path = fileURLToPath(url);
  const { outputFiles } = await build({
    ...bundleOptions,
    entryPoints: [path],
    // Not written. The paths in the source map are relative to it.
    outfile: `${path}.js`,
    write: false,
  });
  return { format: 'module', source: outputFiles[0].contents, shortCircuit: true };
}
