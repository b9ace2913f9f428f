/** Problems in a plan: what is wrong, and where in its file. */
import type { MemberNode, ValueNode } from '@humanwhocodes/momoa';
import { evaluate, parse } from '@humanwhocodes/momoa';
import type { z } from 'zod';
import { P2mpError } from '../base/errors.js';

/** Path to a value in a plan: keys and list indexes, outermost first. */
type Path = readonly (string | number)[];

/** One problem in a plan. */
export interface Problem {
  readonly path: Path;
  readonly message: string;
  /** Whether the key itself is the problem. If so, the position is that of the key. */
  readonly isKey?: boolean;
}

/** Maximum number of problems reported at once. More problems would push the first ones off the screen. */
const maxProblems = 10;

/** The text of a plan and the positions of its values. */
export class PlanText {
  /** The plan as plain values. */
  readonly value: unknown;
  /** Keys that occur more than once in an object. */
  readonly doubleKeys: readonly Problem[];
  private readonly root: ValueNode;

  /** @throws P2mpError INVALID_PLAN if the text is not JSON */
  constructor(
    text: string,
    private readonly source: string,
  ) {
    try {
      this.root = parse(text, { mode: 'json' }).body;
      this.value = evaluate(this.root);
      this.doubleKeys = findDoubleKeys(this.root);
    } catch (error) {
      throw explainNoJson(error, source, text);
    }
  }

  /** Formats one line per problem: source:line:column: key: what is wrong. */
  formatProblems(problems: readonly Problem[]): string[] {
    const placed = problems
      .map((problem) => ({ ...problem, place: findPlace(this.root, problem) }))
      .toSorted((a, b) => a.place.line - b.place.line || a.place.column - b.place.column);
    const lines = placed.slice(0, maxProblems).map(({ path, message, place }) => {
      const key = path.join('.');
      return `${this.source}:${place.line}:${place.column}: ${key === '' ? '' : `${key}: `}${message}`;
    });
    const more = problems.length - lines.length;
    return more > 0 ? [...lines, `${this.source}: and ${more} more`] : lines;
  }
}

function explainNoJson(error: unknown, source: string, text: string): P2mpError {
  // The parser is recursive, so deeply nested lists exhaust the call stack.
  if (error instanceof RangeError) {
    return new P2mpError('INVALID_PLAN', `${source}:1:1: is nested too deeply for a plan`);
  }
  const { line = 1, column = 1, offset = 0, message } = error as Error & Partial<Place>;
  const fault = findCommaFault(text, offset);
  if (fault !== undefined) {
    const place = positionOf(text, fault.offset);
    const at = `${source}:${place.line}:${place.column}`;
    return new P2mpError('INVALID_PLAN', `${at}: not JSON: ${fault.what}`);
  }
  // The message ends with the position; move it to the front.
  const what = message.replace(/\s*\(\d+:\d+\)$/, '');
  return new P2mpError('INVALID_PLAN', `${source}:${line}:${column}: not JSON: ${what}`);
}

/**
 * Explains a comma that JSON does not allow: the most frequent mistake in a plan, because JavaScript and many
 * editors allow a comma after the last value.
 * @param offset position of the character at which the parser stopped
 * @returns the position of the comma and what is wrong; undefined if no comma is at fault
 */
function findCommaFault(text: string, offset: number) {
  const found = text.charAt(offset);
  const before = text.slice(0, offset).trimEnd();
  const last = before.at(-1) ?? '';
  if (last === ',' && (found === '}' || found === ']')) {
    const what = `a trailing comma before the closing ${found}; remove the comma`;
    return { offset: before.length - 1, what };
  }
  if (found !== ',') return undefined;
  if (last === ',') return { offset, what: 'two commas in a row; remove one' };
  const isAfterValue = last !== '' && !'[{:'.includes(last);
  const what = isAfterValue
    ? 'a comma after the end of the plan; remove the comma'
    : `a comma without a value before it; remove the comma or add a value`;
  return { offset, what };
}

function positionOf(text: string, offset: number): Place {
  const lines = text.slice(0, offset).split(/\r\n|[\r\n]/);
  return { line: lines.length, column: (lines.at(-1) ?? '').length + 1, offset };
}

function findDoubleKeys(node: ValueNode, path: Path = []): Problem[] {
  if (node.type === 'Array') {
    return node.elements.flatMap(({ value }, i) => findDoubleKeys(value, [...path, i]));
  }
  if (node.type !== 'Object') return [];
  const seen = new Set<string>();
  return node.members.flatMap((member) => {
    const key = nameOf(member);
    const inner = [...path, key];
    if (seen.has(key)) return [{ path: inner, message: 'occurs twice', isKey: true }];
    seen.add(key);
    return findDoubleKeys(member.value, inner);
  });
}

function nameOf({ name }: MemberNode): string {
  return name.type === 'String' ? name.value : name.name;
}

type Place = ValueNode['loc']['start'];
type Issue = z.core.$ZodIssue;
type RawIssue = z.core.$ZodRawIssue;

/** Replaces the messages of the schema library. Messages that the schema itself defines take precedence. */
export function describeIssue(issue: RawIssue): string | undefined {
  switch (issue.code) {
    case 'invalid_type':
      if (issue.input === undefined) return 'is missing';
      return `must be ${nouns[issue.expected as string] ?? `a ${issue.expected}`}`;
    case 'too_small':
      return `must be ${issue.inclusive ? 'at least' : 'above'} ${issue.minimum}`;
    case 'too_big':
      return `must be ${issue.inclusive ? 'at most' : 'below'} ${issue.maximum}`;
    case 'invalid_union':
      // An empty message: `toProblems` reports the issues of the closest alternative instead.
      return issue.input === undefined ? 'is missing' : '';
    default:
      return undefined;
  }
}

const nouns: Readonly<Record<string, string>> = {
  int: 'a whole number',
  object: 'an object, { ... }',
  array: 'a list, [ ... ]',
};

/**
 * Converts an issue of the schema library to problems.
 * @param suggest says what the user may have meant by an unknown key
 */
export function toProblems(
  issue: Issue,
  suggest: (path: Path) => string,
  outer: Path = [],
): Problem[] {
  const path = [...outer, ...(issue.path as (string | number)[])];
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => {
      const inner = [...path, key];
      return { path: inner, message: `unknown key${suggest(inner)}`, isKey: true };
    });
  }
  if (issue.code === 'invalid_union' && issue.message === '') {
    const branch = closestBranch(issue.errors);
    if (branch !== undefined) return branch.flatMap((inner) => toProblems(inner, suggest, path));
    return [{ path, message: 'must be a value, a list of values or a range {from, to, step}' }];
  }
  return [{ path, message: issue.message }];
}

/**
 * Chooses among those alternatives of a union that accept the value's type: takes the alternative whose first
 * issue is deepest. If several are equally deep, takes the last of them, because the first alternative, a
 * single value, is the least specific.
 */
function closestBranch(branches: readonly (readonly Issue[])[]): readonly Issue[] | undefined {
  const depth = (branch: readonly Issue[]) => branch[0]?.path.length ?? 0;
  return branches
    .filter(([first]) => {
      const isOtherKind = first?.code === 'invalid_type' && first.expected !== 'int';
      return !isOtherKind || first.path.length > 0;
    })
    .toSorted((a, b) => depth(a) - depth(b))
    .at(-1);
}

/**
 * Finds the position of a path in the text. If the path does not exist, finds the position of its innermost
 * parent that does exist.
 */
function findPlace(root: ValueNode, { path, isKey = false }: Problem): Place {
  let node = root;
  for (const [depth, step] of path.entries()) {
    const inner = childOf(node, step);
    if (inner === undefined) break;
    if (isKey && depth === path.length - 1 && inner.type === 'Member') return inner.name.loc.start;
    node = inner.value;
  }
  return node.loc.start;
}

function childOf(node: ValueNode, step: string | number) {
  if (node.type === 'Array') return node.elements[step as number];
  if (node.type !== 'Object') return undefined;
  return node.members.findLast((member) => nameOf(member) === step);
}
