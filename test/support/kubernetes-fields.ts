/**
 * Finds unknown fields of a Kubernetes manifest: its schema allows them, the types of the API do
 * not.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Test } from 'tap';
import ts from 'typescript';

/**
 * Compiles a manifest as a literal of its type. Unlike the validator, the compiler rejects unknown
 * fields.
 * @param group of the API, such as `apps/v1`
 * @param type such as `IDaemonSet`
 * @returns the errors of the compiler
 */
export function unknownFields(t: Test, manifest: object, group: string, type: string): string[] {
  const path = join(t.testdir({ 'package.json': '{ "type": "module" }' }), 'manifest.ts');
  const text = [
    `import type { ${type} } from 'kubernetes-models/${group}';`,
    `export const manifest: ${type} = ${JSON.stringify(manifest)};`,
  ];
  writeFileSync(path, text.join('\n'));
  const program = ts.createProgram([path], {
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
    target: ts.ScriptTarget.ES2022,
    strict: true,
    noEmit: true,
    skipLibCheck: true,
    types: [],
  });
  return ts
    .getPreEmitDiagnostics(program)
    .map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, ' '));
}
