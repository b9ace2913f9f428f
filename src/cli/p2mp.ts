#!/usr/bin/env node
/** `p2mp <command>`: runs any command except those of P2MP-FTP (`p2mpclient`, `p2mpserver`). */
import { didYouMean } from '../base/did-you-mean.js';
import { P2mpError } from '../base/errors.js';
import { parse, printHelp, runCommand } from './command.js';
import type { ExitCode } from './exit-code.js';
import { exitCode } from './exit-code.js';
import { createMainParser, verbs } from './verbs.js';

async function main(args: readonly string[]): Promise<ExitCode> {
  const [name, ...rest] = args;
  if (name === undefined) {
    printHelp(createMainParser().help);
    // Not a success: in a script, the command may come from a variable that is empty by mistake.
    return exitCode.usage;
  }
  if (name === 'help') {
    const [topic, ...more] = rest;
    if (topic === undefined || topic.startsWith('-')) return printHelp(createMainParser().help);
    return (await loadVerb(topic))(['--help', ...more]);
  }
  if (!name.startsWith('-')) return (await loadVerb(name))(rest);
  const argv = await parse(createMainParser(), args);
  if (typeof argv === 'number') return argv;
  throw new P2mpError('INVALID_ARGUMENT', 'no command given');
}

/** @throws P2mpError INVALID_ARGUMENT if there is no such command */
async function loadVerb(name: string) {
  const verb = Object.hasOwn(verbs, name) ? verbs[name] : undefined;
  if (verb !== undefined) return verb.load();
  const names = Object.keys(verbs);
  const remedy = didYouMean(name, [...names, 'help']) || `; the commands are ${names.join(', ')}`;
  throw new P2mpError('INVALID_ARGUMENT', `${name}: unknown command${remedy}`);
}

// Error messages name the command whose --help to read, for example `p2mp send`.
const [verbName = ''] = process.argv.slice(2);
await runCommand(Object.hasOwn(verbs, verbName) ? `p2mp ${verbName}` : 'p2mp', main);
