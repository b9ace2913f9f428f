/** Imports point from a layer to a lower one, and never form a cycle. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';
import t from 'tap';
import ts from 'typescript';
import { projectFolder } from '../support/processes.js';

/**
 * From bottom to top. A layer imports from itself and from lower layers, not from others of its
 * rank.
 */
const layers = [
  ['base'],
  ['wire'],
  ['object', 'security', 'path', 'discovery'],
  ['transfer'],
  ['classic', 'session'],
  ['endpoint'],
  ['roles'],
  ['simulator'],
  ['experiment'],
  ['node'],
  ['cli'],
];

/** Files outside of folders, by layer. */
const layerOfFile: Readonly<Record<string, string>> = {
  'loss.ts': 'base',
  'packet.ts': 'wire',
  'receiver.ts': 'classic',
  'sender.ts': 'classic',
};

/** Entry points: nothing in the project imports them. */
const doors = ['core.ts', 'index.ts'];

const maxFilesPerFolder = 20;

type Imports = ReadonlyMap<string, readonly string[]>;

function layerOf(file: string): string | undefined {
  return file.includes('/') ? file.split('/')[0] : layerOfFile[file];
}

function rankOf(file: string): number {
  const layer = layerOf(file);
  return layers.findIndex((names) => layer !== undefined && names.includes(layer));
}

/** @returns a description of the fault in this import, if any */
function faultOf(from: string, to: string): string | undefined {
  if (doors.includes(from)) return undefined;
  if (doors.includes(to)) return `${from} imports ${to}, which only exports`;
  if (layerOf(from) === layerOf(to)) return undefined;
  if (rankOf(to) < rankOf(from)) return undefined;
  return `${from} (${layerOf(from)}) imports ${to} (${layerOf(to)})`;
}

/** @returns the files of a cycle, each of which imports the next, or undefined */
function findCircle(imports: Imports): readonly string[] | undefined {
  const done = new Set<string>();
  const path: string[] = [];
  const visit = (file: string): readonly string[] | undefined => {
    if (path.includes(file)) return [...path.slice(path.indexOf(file)), file];
    if (done.has(file)) return undefined;
    path.push(file);
    for (const next of imports.get(file) ?? []) {
      const circle = visit(next);
      if (circle !== undefined) return circle;
    }
    path.pop();
    done.add(file);
    return undefined;
  };
  for (const file of imports.keys()) {
    const circle = visit(file);
    if (circle !== undefined) return circle;
  }
  return undefined;
}

function readImports(): Imports {
  const root = join(projectFolder, 'src');
  const files = readdirSync(root, { recursive: true, encoding: 'utf8' })
    .map((name) => name.replaceAll('\\', '/'))
    .filter((name) => name.endsWith('.ts'));
  return new Map(
    files.map((file) => {
      const { importedFiles } = ts.preProcessFile(readFileSync(join(root, file), 'utf8'));
      const own = importedFiles.filter(({ fileName }) => fileName.startsWith('.'));
      const targets = own.map(({ fileName }) =>
        posix.join(dirname(file), fileName).replace(/\.js$/, '.ts'),
      );
      return [file, targets];
    }),
  );
}

const imports = readImports();

t.test('every file belongs to a layer', (t) => {
  t.ok(imports.size > 200, `${imports.size} files`);
  for (const [file, targets] of imports) {
    t.ok(doors.includes(file) || rankOf(file) >= 0, `${file} belongs to a layer`);
    for (const target of targets) t.ok(imports.has(target), `${file}: ${target} is there`);
  }
  t.end();
});

t.test('imports point downwards', (t) => {
  for (const [file, targets] of imports) {
    for (const target of targets) {
      const fault = faultOf(file, target);
      if (fault !== undefined) t.fail(fault);
    }
  }
  t.equal(faultOf('wire/header.ts', 'session/sender.ts') !== undefined, true, 'upwards');
  t.equal(faultOf('path/pacer.ts', 'object/manifest.ts') !== undefined, true, 'to a neighbour');
  t.equal(faultOf('session/sender.ts', 'wire/header.ts'), undefined, 'downwards');
  t.end();
});

t.test('imports form no cycles', (t) => {
  t.equal(findCircle(imports)?.join(' -> '), undefined);
  const planted: Imports = new Map([
    ['a', ['b', 'c']],
    ['b', []],
    ['c', ['d']],
    ['d', ['c']],
  ]);
  t.same(findCircle(planted), ['c', 'd', 'c']);
  t.end();
});

t.test('no folder has too many files to grasp at a glance', (t) => {
  const counts = new Map<string, number>();
  for (const file of imports.keys()) {
    counts.set(dirname(file), (counts.get(dirname(file)) ?? 0) + 1);
  }
  for (const [folder, count] of counts) {
    t.ok(count <= maxFilesPerFolder, `${folder} holds ${count} files`);
  }
  t.end();
});
