#!/usr/bin/env node
/** `p2mp <verb>`: one command for all that is more than the course's protocol. */
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
    what: 'Take what is sent to this host, from many senders at once',
    load: async () => (await import('./commands/receive.js')).receive,
  },
  keygen: {
    what: 'Make the key pair of this host, or show its public key',
    load: async () => (await import('./commands/keygen.js')).keygen,
  },
  experiment: {
    what: 'Run a plan of transfers; leave CSV, a plot and a report',
    load: async () => (await import('./commands/experiment.js')).experiment,
  },
  completion: {
    what: 'Print the script by which bash, zsh or fish completes command lines',
    load: async () => (await import('./commands/completion.js')).completion,
  },
};

const usage = [
  '$0 <verb> [options]',
  '',
  ...Object.entries(verbs).map(([name, { what }]) => `  $0 ${name.padEnd(12)} ${what}`),
  '',
  '$0 <verb> --help tells the rest.',
].join('\n');

async function main(args: readonly string[]): Promise<ExitCode> {
  const [name, ...rest] = args;
  const verb = name === undefined || !Object.hasOwn(verbs, name) ? undefined : verbs[name];
  if (verb !== undefined) return (await verb.load())(rest);
  if (name !== undefined && !name.startsWith('-')) {
    throw new P2mpError(
      'INVALID_ARGUMENT',
      `${name}: no such verb; there ${Object.keys(verbs).length === 1 ? 'is' : 'are'} ` +
        Object.keys(verbs).join(', '),
    );
  }
  const argv = await parse(createParser('p2mp', usage), args);
  if (typeof argv === 'number') return argv;
  throw new P2mpError('INVALID_ARGUMENT', 'no verb given');
}

// Messages name the verb, whose --help they point to.
const [verbName = ''] = process.argv.slice(2);
await runCommand(Object.hasOwn(verbs, verbName) ? `p2mp ${verbName}` : 'p2mp', main);
