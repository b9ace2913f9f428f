/** Code that all commands share: common options, usage errors, signals and exit codes. */
import type { Argv } from 'yargs';
import yargs from 'yargs';
import { escapeControlsInLines } from '../base/control-characters.js';
import { P2mpError } from '../base/errors.js';
import { packageVersion } from '../node/package-version.js';
import type { ExitCode } from './exit-code.js';
import { exitCode, exitCodeHelp } from './exit-code.js';
import type { Interrupt } from './interrupts.js';
import { ignoreHangup, interruptOfMessage, interruptsOf, isOnTerminal } from './interrupts.js';
import { errorJson, toEventLine } from './output/output.js';
import { checkAreText } from './text-of-arguments.js';

export interface CommonOptions {
  json: boolean;
  quiet: boolean;
  verbose: boolean;
}

/** An option that takes a value. */
export const textOption = { type: 'string', requiresArg: true } as const;

/** An option that takes a value and can be repeated. */
export const listOption = { type: 'string', array: true, requiresArg: true, nargs: 1 } as const;

/** An option that takes no value. */
export const flagOption = { type: 'boolean', default: false } as const;

/** Creates a parser with the common options; positional arguments stay strings. */
export function createParser(
  name: string,
  usage: string,
  exitCodes = exitCodeHelp,
): Argv<CommonOptions> {
  return (
    yargs()
      .scriptName(name)
      .usage(usage)
      .parserConfiguration({ 'parse-positional-numbers': false, 'camel-case-expansion': false })
      .option('json', {
        type: 'boolean',
        default: false,
        describe: 'Print events and results as JSON lines on standard output',
      })
      .option('quiet', {
        type: 'boolean',
        default: false,
        alias: 'q',
        describe: 'Print only errors (and results, with --json)',
      })
      .option('verbose', {
        type: 'boolean',
        default: false,
        alias: 'v',
        describe: 'Print every outcome, and the first protocol anomaly of each kind',
      })
      .version(packageVersion())
      .alias('help', 'h')
      .epilogue(exitCodes)
      .strictOptions()
      // yargs would break lines in the middle of words. The help texts have short lines instead.
      .wrap(null)
      .exitProcess(false)
  );
}

/**
 * Parses the command line; prints the help or the version if requested.
 * @returns the arguments, or an exit code if the help or the version was printed
 * @throws P2mpError INVALID_ARGUMENT
 */
export async function parse<T>(
  parser: Argv<T>,
  args: readonly string[],
): Promise<(T & { _: string[] }) | ExitCode> {
  let answer = '';
  let problem: string | undefined;
  checkFlags(parser, args);
  const argv = await parser
    .fail((message, error) => {
      problem = message ?? error?.message ?? 'usage error';
    })
    .parseAsync([...args], (_error: unknown, _argv: unknown, output: string) => {
      answer = output;
    });
  if (problem !== undefined) throw new P2mpError('INVALID_ARGUMENT', problem);
  if (answer !== '') {
    process.stdout.write(`${answer}\n`);
    return exitCode.ok;
  }
  return argv as unknown as T & { _: string[] };
}

/**
 * Rejects a flag with a value other than `true` or `false`. yargs takes every other value for `false`, so
 * `--dry-run=1` would send files.
 * @throws P2mpError INVALID_ARGUMENT
 */
function checkFlags(parser: object, args: readonly string[]): void {
  const { boolean: flags } = (parser as { getOptions(): { boolean: string[] } }).getOptions();
  const end = args.indexOf('--');
  for (const arg of end < 0 ? args : args.slice(0, end)) {
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
    process.exitCode = explain(name, error);
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
function explain(name: string, error: unknown): ExitCode {
  if ((error as NodeJS.ErrnoException).code === 'EMFILE') {
    process.stderr.write(`${name}: too many open files; raise the limit (ulimit -n)\n`);
    return exitCode.system;
  }
  if (!(error instanceof P2mpError)) {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    process.stderr.write(`${name}: ${escapeControlsInLines(text)}\n`);
    return exitCode.system;
  }
  const isUsage = error.code === 'INVALID_ARGUMENT' || error.code === 'INVALID_PLAN';
  const hint = error.code === 'INVALID_ARGUMENT' ? ` (see ${name} --help)` : '';
  process.stderr.write(`${name}: ${error.message}${hint}\n`);
  return isUsage ? exitCode.usage : exitCode.system;
}

/** Calls the handler at the first interrupt. A second interrupt ends the process immediately. */
export function onInterrupt(handle: (interrupt: Interrupt) => void): void {
  let isInterrupted = false;
  const take = (interrupt: Interrupt, signal?: NodeJS.Signals) => {
    if (!isInterrupted) {
      isInterrupted = true;
      handle(interrupt);
    } else if (signal !== 'SIGHUP') {
      // A second SIGHUP is ignored: when a terminal closes, the shell and the kernel send one each.
      process.exit(exitCode.interrupted);
    }
  };
  for (const [signal, interrupt] of interruptsOf(process.platform, isOnTerminal)) {
    process.on(signal, () => take(interrupt, signal));
  }
  if (process.channel === undefined) return;
  process.on('message', (message) => {
    const interrupt = interruptOfMessage(message);
    if (interrupt !== undefined) take(interrupt);
  });
  // Without unref(), the listener for messages would keep the process running.
  process.channel.unref();
}
