/**
 * Finds unknown fields of a Kubernetes manifest: its schema allows them, the types of the API do
 * not.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Test } from 'tap';
import { compileErrors } from './compiler.js';

/**
 * Compiles a manifest as a literal of its type. Unlike the validator, the compiler rejects unknown
 * fields.
 * @param group of the API, such as `apps/v1`
 * @param type such as `IDaemonSet`
 * @returns the errors of the compiler
 */
export function unknownFields(t: Test, manifest: object, group: string, type: string): string[] {
  const folder = t.testdir({ 'package.json': '{ "type": "module" }' });
  const text = [
    `import type { ${type} } from 'kubernetes-models/${group}';`,
    `export const manifest: ${type} = ${JSON.stringify(manifest)};`,
  ];
  writeFileSync(join(folder, 'manifest.ts'), text.join('\n'));
  return compileErrors(folder, ['manifest.ts'], ['--module', 'nodenext', '--skipLibCheck']);
}
