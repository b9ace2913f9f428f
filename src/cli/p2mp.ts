#!/usr/bin/env node
/** `p2mp <command>`: runs any command except those of P2MP-FTP (`p2mpclient`, `p2mpserver`). */
import { P2mpError } from '../base/errors.js';
import { createParser, parse, runCommand } from './command.js';
import type { ExitCode } from './exit-code.js';

type Verb = (args: readonly string[]) => Promise<ExitCode>;

const verbs: Readonly<Record<string, { what: string; load: () => Promise<Verb> }>> = {
  send: {
    what: 'Send files and folders to many receivers',
    load: async () => (await import('./commands/send.js')).send,
  },
  receive: {
    what: 'Receive files from any number of senders',
    load: async () => (await import('./commands/receive.js')).receive,
  },
  keygen: {
    what: "Create this host's key pair, or show its public key",
    load: async () => (await import('./commands/keygen.js')).keygen,
  },
  experiment: {
    what: 'Run a plan of transfers; write CSV, a plot and a report',
    load: async () => (await import('./commands/experiment.js')).experiment,
  },
  completion: {
    what: 'Print a completion script for bash, zsh or fish',
    load: async () => (await import('./commands/completion.js')).completion,
  },
};

const usage = [
  '$0 <command> [options]',
  '',
  ...Object.entries(verbs).map(([name, { what }]) => `  $0 ${name.padEnd(12)} ${what}`),
  '',
  'For the options of a command, run $0 <command> --help.',
].join('\n');

const exitCodes = 'Exit codes: 0 success; 2 usage error, such as an unknown command.';

async function main(args: readonly string[]): Promise<ExitCode> {
  const [name, ...rest] = args;
  const verb = name === undefined || !Object.hasOwn(verbs, name) ? undefined : verbs[name];
  if (verb !== undefined) return (await verb.load())(rest);
  if (name !== undefined && !name.startsWith('-')) {
    throw new P2mpError(
      'INVALID_ARGUMENT',
      `${name}: unknown command; the commands are ${Object.keys(verbs).join(', ')}`,
    );
  }
  const argv = await parse(createParser('p2mp', usage, exitCodes), args);
  if (typeof argv === 'number') return argv;
  throw new P2mpError('INVALID_ARGUMENT', 'no command given');
}

// Error messages refer the user to the --help of this command.
const [verbName = ''] = process.argv.slice(2);
await runCommand(Object.hasOwn(verbs, verbName) ? `p2mp ${verbName}` : 'p2mp', main);
