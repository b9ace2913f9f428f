/** Files, classes and functions of src/ stay small enough to read at once. Sizes are in lines. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import ts from 'typescript';
import { projectFolder } from '../support/processes.js';

const maxFileLines = 450;
const maxClassLines = 400;
const maxFunctionLines = 60;

const files = readdirSync(join(projectFolder, 'src'), { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.ts'))
  .toSorted();

function limitOf(node: ts.Node): number {
  if (ts.isSourceFile(node)) return maxFileLines;
  if (ts.isClassLike(node)) return maxClassLines;
  return ts.isFunctionLike(node) ? maxFunctionLines : Infinity;
}

function* findLong(source: ts.SourceFile, node: ts.Node): Iterable<string> {
  const lineOf = (position: number) => source.getLineAndCharacterOfPosition(position).line;
  const first = lineOf(node.getStart(source));
  const count = lineOf(node.end) - first + 1;
  if (count > limitOf(node)) yield `line ${first + 1} begins ${count} lines`;
  for (const child of node.getChildren(source)) yield* findLong(source, child);
}

for (const file of files) {
  const text = readFileSync(join(projectFolder, 'src', file), 'utf8');
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true);
  t.same([...findLong(source, source)], [], file);
}
