/**
 * Patterns that say what is not sent from the folders that a user names. They have the syntax of .gitignore, and each
 * of these folders is their root.
 */
import type { Ignore } from 'ignore';
import ignore from 'ignore';
import { P2mpError } from '../../../base/errors.js';
import { readTextFile } from '../../read-text-file.js';

/** What to leave out, in increasing order of precedence: the last pattern that matches a name decides. */
export interface ExclusionOptions {
  /** Files with a pattern on each line. */
  readonly excludeFrom?: readonly string[];
  /** Patterns of what is not sent. */
  readonly exclude?: readonly string[];
  /** Exceptions, which are sent. As in .gitignore, there can be no exceptions in an excluded folder. */
  readonly include?: readonly string[];
}

/** One pattern, as the user wrote it. */
interface Rule {
  readonly shown: string;
  matcher: Ignore;
  hasMatched: boolean;
}

/** After this many tests, the matchers are replaced, because they remember every name that they have tested. */
const testsPerMatcher = 100_000;

export class Exclusions {
  private testCount = 0;

  private constructor(
    private all: Ignore,
    private readonly rules: readonly Rule[],
  ) {}

  /** @throws P2mpError INVALID_ARGUMENT, SOURCE_UNREADABLE */
  static async load(options: ExclusionOptions): Promise<Exclusions> {
    const patterns: { pattern: string; shown: string }[] = [];
    for (const path of options.excludeFrom ?? []) {
      const text = await readTextFile(path);
      for (const line of text.replace(/^\uFEFF/, '').split(/\r?\n/)) {
        patterns.push({ pattern: line, shown: `${path}: ${line}` });
      }
    }
    for (const pattern of options.exclude ?? []) {
      patterns.push({ pattern, shown: `--exclude ${pattern}` });
    }
    for (const pattern of options.include ?? []) {
      if (pattern.startsWith('!')) throw doubleNegation(pattern);
      patterns.push({ pattern: `!${pattern}`, shown: `--include ${pattern}` });
    }
    const all = newMatcher();
    const rules: Rule[] = [];
    for (const { pattern, shown } of patterns) {
      // Blank lines and comments, as in .gitignore.
      if (/^\s*(?:#.*)?$/.test(pattern)) continue;
      all.add({ pattern });
      const matcher = newMatcher().add({ pattern: pattern.replace(/^!/, '') });
      rules.push({ shown, matcher, hasMatched: false });
    }
    return new Exclusions(all, rules);
  }

  get isEmpty(): boolean {
    return this.rules.length === 0;
  }

  /**
   * Whether an entry is not sent.
   * @param name relative to the folder that the user named
   */
  has(name: string, isFolder: boolean): boolean {
    if (this.isEmpty) return false;
    if (++this.testCount % testsPerMatcher === 0) this.forgetNames();
    const path = isFolder ? `${name}/` : name;
    for (const rule of this.rules) rule.hasMatched ||= rule.matcher.ignores(path);
    return this.all.ignores(path);
  }

  private forgetNames(): void {
    this.all = newMatcher().add(this.all);
    for (const rule of this.rules) rule.matcher = newMatcher().add(rule.matcher);
  }

  /** The patterns that have matched nothing so far. */
  get unused(): string[] {
    return this.rules.filter(({ hasMatched }) => !hasMatched).map(({ shown }) => shown);
  }
}

/** Names are compared as they are, with upper and lower case. */
function newMatcher(): Ignore {
  return ignore({ ignorecase: false, allowRelativePaths: true });
}

function doubleNegation(pattern: string): P2mpError {
  return new P2mpError(
    'INVALID_ARGUMENT',
    `--include ${pattern}: leave out the exclamation mark, or use --exclude ${pattern.slice(1)}`,
  );
}
