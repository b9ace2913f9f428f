/**
 * Bundles the targets with a counter in every block of the product's code, which shows what an
 * input reached at the cost of a few percent. (The precise coverage of the inspector shows the
 * same, but visits all functions for each input.)
 */
import { readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'esbuild';
import ts from 'typescript';

/** One block: of a function, a branch, a loop, a case, or the right side of `&&`, `||` or `??`. */
export interface CountedBlock {
  readonly file: string;
  readonly line: number;
}

export interface CountedTargets {
  readonly blocks: readonly CountedBlock[];
  /** How often each block ran since its counter was reset. */
  readonly hits: Uint32Array;
  readonly module: typeof import('./targets.js');
}

/** The name of the counters in the code. */
const counters = 'p2mpBlockHits';

const root = fileURLToPath(new URL('../../', import.meta.url));
const folder = join(root, '.fuzz');

/** Builds and loads the targets. */
export async function loadCountedTargets(): Promise<CountedTargets> {
  const blocks: CountedBlock[] = [];
  const outfile = join(folder, 'counted-targets.mjs');
  await build({
    entryPoints: [fileURLToPath(new URL('targets.ts', import.meta.url))],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    packages: 'external',
    logLevel: 'error',
    plugins: [
      {
        name: 'counted-blocks',
        setup: ({ onLoad }) => {
          onLoad({ filter: /\.ts$/ }, ({ path }) => {
            const file = relative(root, path);
            // The simulator is not fuzzed.
            if (!file.startsWith('src') || file.includes('simulator')) return undefined;
            const contents = countBlocks(readFileSync(path, 'utf8'), file, blocks);
            return { contents, loader: 'ts' };
          });
        },
      },
    ],
  });
  const hits = new Uint32Array(blocks.length);
  Object.assign(globalThis, { [counters]: hits });
  const module: typeof import('./targets.js') = await import(pathToFileURL(outfile).href);
  return { blocks, hits, module };
}

/** @param blocks collects the blocks in the order of their counters */
export function countBlocks(text: string, file: string, blocks: CountedBlock[]): string {
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.ES2022, true);
  const { factory } = ts;
  const count = (node: ts.Node) => {
    const { line } = source.getLineAndCharacterOfPosition(Math.max(0, node.getStart(source)));
    const place = blocks.push({ file, line: line + 1 }) - 1;
    const counter = factory.createIdentifier(counters);
    return factory.createPostfixIncrement(factory.createElementAccessExpression(counter, place));
  };
  const inBlock = (statement: ts.Statement, counted: ts.Expression): ts.Block => {
    const statements = ts.isBlock(statement) ? statement.statements : [statement];
    return factory.createBlock([factory.createExpressionStatement(counted), ...statements], true);
  };
  const inComma = (expression: ts.Expression, counted: ts.Expression) =>
    factory.createParenthesizedExpression(factory.createComma(counted, expression));
  /** The edits below apply to the children first; positions are those of the source. */
  const result = ts.transform(source, [
    (context) => (sourceFile) => {
      const visit = (node: ts.Node): ts.Node => {
        const inner = ts.visitEachChild(node, visit, context);
        if (ts.isIfStatement(inner) && ts.isIfStatement(node)) {
          const { thenStatement, elseStatement } = inner;
          const other =
            elseStatement === undefined || node.elseStatement === undefined
              ? undefined
              : inBlock(elseStatement, count(node.elseStatement));
          const then = inBlock(thenStatement, count(node.thenStatement));
          return factory.updateIfStatement(inner, inner.expression, then, other);
        }
        if (ts.isConditionalExpression(inner) && ts.isConditionalExpression(node)) {
          return factory.updateConditionalExpression(
            inner,
            inner.condition,
            inner.questionToken,
            inComma(inner.whenTrue, count(node.whenTrue)),
            inner.colonToken,
            inComma(inner.whenFalse, count(node.whenFalse)),
          );
        }
        if (ts.isBinaryExpression(inner) && ts.isBinaryExpression(node)) {
          if (!shortcuts.has(inner.operatorToken.kind)) return inner;
          const right = inComma(inner.right, count(node.right));
          return factory.updateBinaryExpression(inner, inner.left, inner.operatorToken, right);
        }
        if (ts.isCaseOrDefaultClause(inner)) {
          if (inner.statements.length === 0) return inner;
          const counted = factory.createExpressionStatement(count(node));
          const statements = [counted, ...inner.statements];
          return ts.isCaseClause(inner)
            ? factory.updateCaseClause(inner, inner.expression, statements)
            : factory.updateDefaultClause(inner, statements);
        }
        if (ts.isForStatement(inner)) {
          const body = inBlock(inner.statement, count(node));
          const { initializer, condition, incrementor } = inner;
          return factory.updateForStatement(inner, initializer, condition, incrementor, body);
        }
        if (ts.isForOfStatement(inner)) {
          const body = inBlock(inner.statement, count(node));
          const { awaitModifier, initializer, expression } = inner;
          return factory.updateForOfStatement(inner, awaitModifier, initializer, expression, body);
        }
        if (ts.isMethodDeclaration(inner) && inner.body !== undefined) {
          const { modifiers, asteriskToken, name, questionToken, typeParameters } = inner;
          const { parameters, type } = inner;
          const body = inBlock(inner.body, count(node));
          return factory.updateMethodDeclaration(
            inner,
            modifiers,
            asteriskToken,
            name,
            questionToken,
            typeParameters,
            parameters,
            type,
            body,
          );
        }
        if (ts.isFunctionDeclaration(inner) && inner.body !== undefined) {
          const { modifiers, asteriskToken, name, typeParameters, parameters, type } = inner;
          const body = inBlock(inner.body, count(node));
          return factory.updateFunctionDeclaration(
            inner,
            modifiers,
            asteriskToken,
            name,
            typeParameters,
            parameters,
            type,
            body,
          );
        }
        return inner;
      };
      return visit(sourceFile) as ts.SourceFile;
    },
  ]);
  const [transformed = source] = result.transformed;
  return ts.createPrinter().printFile(transformed);
}

const shortcuts = new Set([
  ts.SyntaxKind.AmpersandAmpersandToken,
  ts.SyntaxKind.BarBarToken,
  ts.SyntaxKind.QuestionQuestionToken,
]);
