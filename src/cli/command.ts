/** Code that all commands share: common options, usage errors, signals and exit codes. */
import type { Argv } from 'yargs';
import yargs from 'yargs';
import { didYouMean } from '../base/did-you-mean.js';
import { P2mpError } from '../base/errors.js';
import { packageVersion } from '../node/package-version.js';
import { parseChoice } from './arguments.js';
import type { ExitCode } from './exit-code.js';
import { exitCode } from './exit-code.js';
import type {
  CommandHelp,
  CommandOption,
  commonOptions,
  OptionGroups,
  ParsedOptions,
} from './help/command-help.js';
import { longForm, withCommonOptions } from './help/command-help.js';
import { helpColumns, renderHelp } from './help/render-help.js';
import type { Interrupt } from './interrupts.js';
import {
  ignoreHangup,
  interruptOfMessage,
  interruptsOf,
  isOnTerminal,
  isTerminalOpen,
} from './interrupts.js';
import { errorJson, forTerminal, hasColor, toEventLine } from './output/output.js';
import { type ColorMode, colorModeOf, colorModes } from './output/terminal-look.js';
import { render, toned } from './output/text.js';
import { checkAreText } from './text-of-arguments.js';

/** An option that takes a value. Each such option needs a name for its value, such as `value: 'SECONDS'`. */
export const textOption = { type: 'string', requiresArg: true } as const;

/** An option that takes a value and can be repeated. */
export const listOption = { type: 'string', array: true, requiresArg: true, nargs: 1 } as const;

/** An option that takes no value. */
export const flagOption = { type: 'boolean', default: false } as const;

/** The parser of a command, and the help that it prints. */
export interface Parser<T> {
  readonly yargs: Argv<T>;
  readonly help: CommandHelp;
}

type CommonOptions = ParsedOptions<{ Output: typeof commonOptions }>;

/** Creates a parser with the common options; positional arguments stay strings. */
export function createParser<const G extends OptionGroups>(
  help: CommandHelp<G>,
): Parser<CommonOptions & ParsedOptions<G>> {
  const parser = yargs()
    .scriptName(help.name)
    .parserConfiguration({
      'parse-positional-numbers': false,
      'camel-case-expansion': false,
      'dot-notation': false,
    })
    .help(false)
    .version(false)
    .options({ ...optionsOf(help) })
    // Ignores the user's locale: all other messages are in English, too.
    .detectLocale(false)
    .updateStrings({ 'Not enough arguments following: %s': 'option %s: needs a value' } as never)
    .exitProcess(false);
  return { yargs: parser as unknown as Argv<CommonOptions & ParsedOptions<G>>, help };
}

/**
 * Parses the command line; prints the help or the version if requested.
 * @returns the arguments, or an exit code if the help or the version was printed
 * @throws P2mpError INVALID_ARGUMENT
 */
export async function parse<T extends { help: boolean; version: boolean; color: string }>(
  { yargs: parser, help }: Parser<T>,
  args: readonly string[],
): Promise<(T & { _: string[]; color: ColorMode }) | ExitCode> {
  const end = args.indexOf('--');
  const table = optionsOf(help);
  const options = splitShortOptions(table, end < 0 ? args : args.slice(0, end));
  // The help is printed even if other arguments are wrong.
  if (options.includes('--help') || options.includes('-h')) return printHelp(help);
  checkFlags(parser, options);
  let problem: string | undefined;
  const argv = await parser
    .fail((message, error) => {
      problem = message ?? error?.message ?? 'usage error';
    })
    .parseAsync([...options, ...(end < 0 ? [] : args.slice(end))]);
  if (problem !== undefined) throw new P2mpError('INVALID_ARGUMENT', problem);
  checkAreKnown(table, argv, options);
  if (argv['help']) return printHelp(help);
  if (argv['version']) return print(packageVersion());
  const color = parseChoice('color', single('color', argv.color), colorModes);
  return { ...argv, color } as unknown as T & { _: string[]; color: ColorMode };
}

/** Prints the help of a command. */
export function printHelp(help: CommandHelp): ExitCode {
  return print(renderHelp(help, helpColumns()));
}

function print(text: string): ExitCode {
  process.stdout.write(`${text}\n`);
  return exitCode.ok;
}

type OptionTable = Readonly<Record<string, CommandOption>>;

function optionsOf({ groups }: CommandHelp): OptionTable {
  return Object.assign(Object.create(null), ...Object.values(withCommonOptions(groups)));
}

/** Separates a short option from a value that follows without a space: `-r5MB`, `-qtlab1`. */
function splitShortOptions(table: OptionTable, args: readonly string[]): string[] {
  const valued = Object.values(table).filter(({ type }) => type === 'string');
  const letters = valued.map(({ alias = '' }) => alias).join('');
  if (letters === '') return [...args];
  const attached = new RegExp(`^(-[^-${letters}=]*[${letters}])([^=].*)$`, 's');
  return args.flatMap((arg) => attached.exec(arg)?.slice(1) ?? arg);
}

/**
 * Rejects options that the command does not have, and `--no-` before an option that takes a value.
 * @throws P2mpError INVALID_ARGUMENT
 */
function checkAreKnown(table: OptionTable, argv: object, args: readonly string[]): void {
  const shorts = Object.values(table).flatMap(({ alias }) => alias ?? []);
  for (const [name, value] of Object.entries(argv)) {
    if (name === '_' || name === '$0' || shorts.includes(name)) continue;
    const option = table[name];
    const isNegated = value === false && args.includes(`--no-${name}`);
    if (option !== undefined && !(isNegated && option.type === 'string')) continue;
    if (name.length === 1) throw new P2mpError('INVALID_ARGUMENT', `-${name}: unknown option`);
    const typed = isNegated ? `--no-${name}` : `--${name}`;
    const known = Object.entries(table).map((each) => longForm(...each));
    const remedy = didYouMean(typed, known) || didYouMean(`--${name}`, known);
    throw new P2mpError('INVALID_ARGUMENT', `${typed}: unknown option${remedy}`);
  }
}

/**
 * Rejects a flag with a value other than `true` or `false`. yargs takes every other value for `false`, so
 * `--dry-run=1` would send files.
 * @throws P2mpError INVALID_ARGUMENT
 */
function checkFlags(parser: object, args: readonly string[]): void {
  const { boolean: flags } = (parser as { getOptions(): { boolean: string[] } }).getOptions();
  for (const arg of args) {
    const [, dashes = '', name = '', value] = /^(--?)([^=]+)=(.*)$/s.exec(arg) ?? [];
    if (value === undefined || value === 'true' || value === 'false') continue;
    if (!flags.includes(name.replace(/^no-/, ''))) continue;
    const remedy = `takes no value; give ${dashes}${name}, or leave it out`;
    throw new P2mpError('INVALID_ARGUMENT', `${arg}: ${remedy}`);
  }
}

/** @throws P2mpError INVALID_ARGUMENT if the option was given more than once */
export function single(option: string, value: string): string {
  if (Array.isArray(value)) {
    throw new P2mpError('INVALID_ARGUMENT', `--${option}: given more than once; give it once`);
  }
  return value;
}

/** Runs a command, prints its error if it fails, and sets the exit code. */
export async function runCommand(
  name: string,
  command: (args: readonly string[]) => Promise<ExitCode>,
): Promise<void> {
  ignoreHangup();
  watchStandardOutput(name);
  const args = process.argv.slice(2);
  try {
    checkAreText(args);
    process.exitCode = await command(args);
  } catch (error) {
    if (args.includes('--json') && error instanceof P2mpError) {
      process.stdout.write(toEventLine({ event: 'result', error: errorJson(error) }));
    }
    process.exitCode = explain(name, error, colorModeOf(args));
  }
}

/**
 * Makes the command fail if its output is lost, for example on a full disk. It is not an error if the reader
 * of a pipe, such as `head`, exits early.
 */
function watchStandardOutput(name: string): void {
  let isLost = false;
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (isLost || error.code === 'EPIPE') return;
    isLost = true;
    process.stderr.write(
      `${name}: cannot write to standard output: ${error.message}; results are lost\n`,
    );
    process.once('exit', () => {
      process.exitCode ||= exitCode.system;
    });
  });
}

/**
 * Prints an error. Any error other than P2mpError and EMFILE is a bug in p2mp, so its stack trace is printed.
 * @returns the exit code for the error
 */
function explain(name: string, error: unknown, color: ColorMode): ExitCode {
  const print = (message: string) => {
    const line = render(toned('bad', `${name}: ${message}`), hasColor(process.stderr, color));
    process.stderr.write(`${forTerminal(line, process.stderr)}\n`);
  };
  if ((error as NodeJS.ErrnoException).code === 'EMFILE') {
    print('too many open files; raise the limit (ulimit -n)');
    return exitCode.system;
  }
  if (!(error instanceof P2mpError)) {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    print(text);
    return exitCode.system;
  }
  const isUsage = error.code === 'INVALID_ARGUMENT' || error.code === 'INVALID_PLAN';
  const hint = error.code === 'INVALID_ARGUMENT' ? ` (see ${name} --help)` : '';
  print(`${error.message}${hint}`);
  return isUsage ? exitCode.usage : exitCode.system;
}

/**
 * Calls the handler at the first interrupt. A second interrupt ends the process immediately.
 * @param handle returns true if something may finish first; then it is also called at the first SIGINT
 * @param reload called at each SIGHUP, unless it means that the terminal was closed; by default, SIGHUP is an interrupt,
 *   or is ignored without a terminal
 */
export function onInterrupt(handle: (interrupt: Interrupt) => unknown, reload?: () => void): void {
  let isInterrupted = false;
  let isFinishing = false;
  const take = (interrupt: Interrupt, signal?: NodeJS.Signals) => {
    if (!isInterrupted || (isFinishing && interrupt === 'SIGINT')) {
      isInterrupted = true;
      isFinishing = handle(interrupt) === true;
    } else if (signal !== 'SIGHUP') {
      // A second SIGHUP is ignored: when a terminal closes, the shell and the kernel send one each.
      process.exit(exitCode.interrupted);
    }
  };
  const interrupts = interruptsOf(process.platform, isOnTerminal);
  for (const [signal, interrupt] of interrupts) {
    const canReload = reload !== undefined && signal === 'SIGHUP' && process.platform !== 'win32';
    process.on(signal, () => {
      if (canReload && isTerminalOpen()) reload();
      else take(interrupt, signal);
    });
  }
  if (!interrupts.some(([signal]) => signal === 'SIGHUP') && reload !== undefined)
    process.on('SIGHUP', reload);
  if (process.channel === undefined) return;
  process.on('message', (message) => {
    const interrupt = interruptOfMessage(message);
    if (interrupt !== undefined) take(interrupt);
  });
  // Without unref(), the listener for messages would keep the process running.
  process.channel.unref();
}
