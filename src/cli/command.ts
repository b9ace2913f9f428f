/** What every command shares: options, wrong use, errors, signals and the way out. */
import type { Argv } from 'yargs';
import yargs from 'yargs';
import { escapeControlsInLines } from '../base/control-characters.js';
import { P2mpError } from '../base/errors.js';
import { packageVersion } from '../node/package-version.js';
import type { ExitCode } from './exit-code.js';
import { exitCode, exitCodeHelp } from './exit-code.js';
import type { Interrupt } from './interrupts.js';
import { ignoreHangup, interruptOfMessage, interruptsOf, isOnTerminal } from './interrupts.js';
import { checkAreText } from './text-of-arguments.js';

export interface CommonOptions {
  json: boolean;
  quiet: boolean;
  verbose: boolean;
}

/** A parser with the options that all commands have; positionals stay as text. */
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
        describe: 'Print one JSON object per line on standard output',
      })
      .option('quiet', {
        type: 'boolean',
        default: false,
        alias: 'q',
        describe: 'Print nothing but errors (and the result, with --json)',
      })
      .option('verbose', {
        type: 'boolean',
        default: false,
        alias: 'v',
        describe: 'Tell the first oddity of each kind, and each end',
      })
      .version(packageVersion())
      .alias('help', 'h')
      .epilogue(exitCodes)
      .strictOptions()
      // The parser's own wrapping breaks words; lines are kept short here instead.
      .wrap(null)
      .exitProcess(false)
  );
}

/**
 * Parses, and prints help, version or what is wrong.
 * @returns the arguments, or the exit code where there is nothing more to do
 */
export async function parse<T>(
  parser: Argv<T>,
  args: readonly string[],
): Promise<(T & { _: string[] }) | ExitCode> {
  let answer = '';
  let problem: string | undefined;
  const argv = await parser
    .fail((message, error) => {
      problem = message ?? error?.message ?? 'wrong use';
    })
    .parseAsync([...args], (_error: unknown, _argv: unknown, output: string) => {
      answer = output;
    });
  if (problem !== undefined) throw new P2mpError('INVALID_ARGUMENT', problem);
  if (answer !== '') {
    // EPIPE: whoever asked has seen enough.
    process.stdout.on('error', () => undefined);
    process.stdout.write(`${answer}\n`);
    return exitCode.ok;
  }
  return argv as unknown as T & { _: string[] };
}

/** An option that was given more than once has no one value. */
export function single(option: string, value: string): string {
  if (Array.isArray(value)) {
    throw new P2mpError('INVALID_ARGUMENT', `--${option}: given more than once; give it once`);
  }
  return value;
}

/** Runs a command and ends the process with its exit code; an error is one line. */
export async function runCommand(
  name: string,
  command: (args: readonly string[]) => Promise<ExitCode>,
): Promise<void> {
  ignoreHangup();
  try {
    const args = process.argv.slice(2);
    checkAreText(args);
    process.exitCode = await command(args);
  } catch (error) {
    process.exitCode = explain(name, error);
  }
}

/** Prints why a command ended. An error without a code is our own bug and shows where it is. */
function explain(name: string, error: unknown): ExitCode {
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

/** Calls back at the first interrupt; the second one ends the process at once. */
export function onInterrupt(handle: (interrupt: Interrupt) => void): void {
  let isInterrupted = false;
  const take = (interrupt: Interrupt, signal?: NodeJS.Signals) => {
    if (!isInterrupted) {
      isInterrupted = true;
      handle(interrupt);
    } else if (signal !== 'SIGHUP') {
      // A terminal that is closed hangs up twice: its shell says so, and so does the kernel.
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
  // To listen is no reason to stay.
  process.channel.unref();
}
