/** The content of a command's help. The command line is parsed with the same table of options. */
import type { InferredOptionTypes } from 'yargs';

/** One option of a command. */
export interface CommandOption {
  readonly type: 'string' | 'boolean';
  /** What the option does; for a flag that is on by default, what its `--no-` form does. */
  readonly describe: string;
  /** One letter: `q` for `-q`. */
  readonly alias?: string;
  /** Name of the value in the help, such as `SECONDS`; required for options of type `string`. */
  readonly value?: string;
  readonly default?: string | boolean;
  /** The default in words; replaces `default` in the help. */
  readonly defaultDescription?: string;
  /** Whether the option can be repeated. */
  readonly array?: boolean;
  readonly requiresArg?: boolean;
  readonly nargs?: number;
}

/** Options under their headings, in the order of the help: the options that most users need come first. */
export type OptionGroups = Readonly<Record<string, Readonly<Record<string, CommandOption>>>>;

/** Everything that the help of a command says. In all texts, `$0` stands for the name of the command. */
export interface CommandHelp<G extends OptionGroups = OptionGroups> {
  /** The command as users type it, such as `p2mp send`. */
  readonly name: string;
  /** The forms of the command, one per line; after an empty line, paragraphs of prose. */
  readonly usage: string;
  readonly groups: G;
  /** Subcommands: name and what each does. */
  readonly verbs?: Readonly<Record<string, string>>;
  /** Command lines and what they do. */
  readonly examples?: readonly (readonly [command: string, what: string])[];
  /** One sentence: `Exit codes: 0 complete; 2 usage error.` */
  readonly exitCodes: string;
}

type UnionToIntersection<U> = (U extends unknown ? (one: U) => void : never) extends (
  all: infer I,
) => void
  ? I
  : never;

type Writable<T> = { -readonly [K in keyof T]: T[K] };

type AllOptions<G extends OptionGroups> = UnionToIntersection<G[keyof G]>;

/** The parsed values of all options in the groups. */
export type ParsedOptions<G extends OptionGroups> = InferredOptionTypes<{
  [K in keyof AllOptions<G>]: Writable<AllOptions<G>[K]>;
}>;

/** Options of every command, under the heading `Output`. */
export const commonOptions = {
  json: {
    type: 'boolean',
    default: false,
    describe: 'Print events and results as JSON lines on standard output',
  },
  quiet: {
    type: 'boolean',
    default: false,
    alias: 'q',
    describe: 'Print only errors (and results, with --json)',
  },
  verbose: {
    type: 'boolean',
    default: false,
    alias: 'v',
    describe: 'Print every outcome, and the first protocol anomaly of each kind',
  },
  color: {
    type: 'string',
    requiresArg: true,
    value: 'WHEN',
    default: 'auto',
    describe: 'Use colors: auto (on a terminal), always, or never',
  },
  help: { type: 'boolean', default: false, alias: 'h', describe: 'Show this help' },
  version: { type: 'boolean', default: false, alias: 'V', describe: 'Show the version' },
} as const satisfies OptionGroups[string];

/** @returns the groups with the common options; an option of the command replaces a common one */
export function withCommonOptions(groups: OptionGroups): OptionGroups {
  const { Output: own = {}, ...others } = groups;
  const taken = new Set(Object.values(others).flatMap((options) => Object.keys(options)));
  const common = Object.entries(commonOptions).filter(([name]) => !taken.has(name));
  const special = Object.entries(own).filter(([name]) => !Object.hasOwn(commonOptions, name));
  const Output = { ...Object.fromEntries([...special, ...common]), ...own };
  return { ...others, Output };
}

/** The option as users type it: `--rate`, or `--no-clobber` for a flag that is on by default. */
export function longForm(name: string, { default: byDefault }: CommandOption): string {
  return byDefault === true ? `--no-${name}` : `--${name}`;
}

/** What the option does, followed by its default. Flags are shown without a default. */
export function describeOption({ type, describe, ...option }: CommandOption): string {
  if (type === 'boolean') return describe;
  const byDefault = option.defaultDescription ?? option.default;
  return byDefault === undefined ? describe : `${describe} (default: ${byDefault})`;
}

/** The forms of the command and the paragraphs of prose, each in one line. */
export function readUsage({ name, usage }: CommandHelp): { synopsis: string[]; prose: string[] } {
  const [synopsis = '', ...prose] = usage.replaceAll('$0', name).split('\n\n');
  return {
    synopsis: synopsis.split('\n'),
    prose: prose.map((paragraph) => paragraph.replaceAll(/\s*\n\s*/g, ' ')),
  };
}
