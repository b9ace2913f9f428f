/** Fields of a Kubernetes manifest that there are not: its schema lets them pass, the API's types do not. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Test } from 'tap';
import ts from 'typescript';

/**
 * What the compiler says of a manifest as a literal of its type: unlike the validator, it knows
 * which fields there are.
 * @param group of the API, as in `apps/v1`
 * @param type such as `IDaemonSet`
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
