/**
 * The API reference: every function has an example that compiles and prints what it shows, and
 * every option a description.
 */
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import ts from 'typescript';
import { Program, projectFolder } from '../support/processes.js';

interface Example {
  readonly name: string;
  readonly code: string;
}

const { options } = ts.parseJsonConfigFileContent(
  ts.readConfigFile(join(projectFolder, 'tsconfig.json'), ts.sys.readFile).config,
  ts.sys,
  projectFolder,
);
const entry = join(projectFolder, 'src/index.ts');
const program = ts.createProgram([entry], options);
const checker = program.getTypeChecker();

/** @returns the first declaration of each export */
function findExports(): ts.Declaration[] {
  const source = program.getSourceFile(entry);
  const module = source && checker.getSymbolAtLocation(source);
  return checker.getExportsOfModule(module as ts.Symbol).map((symbol) => {
    const isAlias = (symbol.flags & ts.SymbolFlags.Alias) !== 0;
    const { declarations } = isAlias ? checker.getAliasedSymbol(symbol) : symbol;
    return declarations?.[0] as ts.Declaration;
  });
}

function nameOf(node: ts.Declaration): string {
  return ts.getNameOfDeclaration(node)?.getText() ?? 'constructor';
}

function findExamples(node: ts.Declaration): string[] {
  const tags = ts.getJSDocTags(node).filter(({ tagName }) => tagName.text === 'example');
  return tags.map(({ comment }) => {
    const text = ts.getTextOfJSDocComment(comment) ?? '';
    return /^```ts\n(.*)\n```$/s.exec(text.trim())?.[1] ?? '';
  });
}

/** Whether a description precedes a node, also before the `|` of a union. */
function isDescribed(node: ts.Node): boolean {
  const text = node.getSourceFile().text.slice(0, node.getStart());
  return /\*\/\s*\|?\s*$/.test(text) || ts.getJSDocCommentsAndTags(node).length > 0;
}

/** Members of an export that users set or handle: options and error codes. */
function findMembers(node: ts.Declaration): readonly ts.Node[] {
  if (ts.isInterfaceDeclaration(node) && /(Options|Spec)$/.test(nameOf(node))) return node.members;
  const isCodes = ts.isTypeAliasDeclaration(node) && /Code$/.test(nameOf(node));
  return isCodes && ts.isUnionTypeNode(node.type) ? node.type.types : [];
}

const exported = findExports();

t.test('every option and error code has a description', async (t) => {
  let count = 0;
  for (const node of exported) {
    for (const member of findMembers(node)) {
      count++;
      if (!isDescribed(member)) t.fail(`${nameOf(node)}: ${member.getText()}`);
    }
  }
  t.ok(count > 100, 'options were found');
});

t.test('every function and class has an example that prints what it shows', async (t) => {
  const examples: Example[] = [];
  for (const node of exported) {
    if (!ts.isFunctionDeclaration(node) && !ts.isClassDeclaration(node)) continue;
    const name = nameOf(node);
    const found = findExamples(node);
    t.not(found.length, 0, `${name} has an example`);
    found.forEach((code, i) => {
      examples.push({ name: i === 0 ? name : `${name}-${i + 1}`, code });
    });
  }
  const folder = installExamples(t.testdir(), examples);
  const compiler = join(projectFolder, 'node_modules/typescript-native/lib/tsc.js');
  const compiled = await new Program(t, process.execPath, [compiler, '-p', '.'], { cwd: folder })
    .exited;
  t.equal(compiled.stdout, '', 'examples compile with strict options');
  const runner = join(projectFolder, 'test/support/run-examples.mjs');
  const names = examples.map(({ name }) => name);
  const run = await new Program(t, process.execPath, [runner, ...names], { cwd: folder }).exited;
  t.equal(run.stderr, '');
  const printed = JSON.parse(run.stdout) as Record<string, string[]>;
  for (const { name, code } of examples) t.same(printed[name], expectedLines(code), name);
});

/** The expected output of an example: the comments after its console.log calls. */
function expectedLines(code: string): string[] {
  return [...code.matchAll(/console\.log\(.*\); \/\/ (.*)/g)].map(([, line = '']) => line);
}

/** @returns a project that contains the examples and uses this package under its name */
function installExamples(folder: string, examples: readonly Example[]): string {
  mkdirSync(join(folder, 'node_modules/@types'), { recursive: true });
  symlinkSync(projectFolder, join(folder, 'node_modules/p2mp'));
  symlinkSync(
    join(projectFolder, 'node_modules/@types/node'),
    join(folder, 'node_modules/@types/node'),
  );
  writeFileSync(join(folder, 'package.json'), '{"private":true,"type":"module"}');
  const compilerOptions = {
    ...{ target: 'ES2022', module: 'NodeNext', strict: true, types: ['node'] },
    ...{ exactOptionalPropertyTypes: true, noUncheckedIndexedAccess: true, skipLibCheck: true },
  };
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions }));
  for (const { name, code } of examples) {
    writeFileSync(join(folder, `${name}.ts`), `${code}\nexport {};\n`);
  }
  return folder;
}
