/** The commands of `p2mp`, and its own help. */
import { createParser } from './command.js';
import type { ExitCode } from './exit-code.js';

type Verb = (args: readonly string[]) => Promise<ExitCode>;

/** Each command is loaded only when it is called. */
export const verbs: Readonly<Record<string, { what: string; load: () => Promise<Verb> }>> = {
  send: {
    what: 'Send files and folders to many receivers',
    load: async () => (await import('./commands/send.js')).send,
  },
  receive: {
    what: 'Receive files from any number of senders',
    load: async () => (await import('./commands/receive.js')).receive,
  },
  serve: {
    what: 'Offer files and folders to hosts that fetch them',
    load: async () => (await import('./commands/serve.js')).serve,
  },
  fetch: {
    what: 'Fetch a file or folder from one or many hosts that serve it',
    load: async () => (await import('./commands/fetch.js')).fetch,
  },
  relay: {
    what: 'Offer what other hosts serve, through a cache',
    load: async () => (await import('./commands/relay.js')).relay,
  },
  exchange: {
    what: "Bring everybody's files to everybody",
    load: async () => (await import('./commands/exchange/exchange.js')).exchange,
  },
  list: {
    what: 'Show what a host offers with p2mp serve',
    load: async () => (await import('./commands/list.js')).list,
  },
  peers: {
    what: 'List the receivers and servers on this network, and whether they are trusted',
    load: async () => (await import('./commands/peers.js')).peers,
  },
  digest: {
    what: 'Print digests of files and folders, or compare files with a list',
    load: async () => (await import('./commands/digest.js')).digest,
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
  '$0 help <command>',
  '',
  'Moves files and folders from one host to many at once over UDP, encrypted and verified.',
  '',
  'For the options of a command, run $0 help <command>. The commands p2mpclient and p2mpserver',
  'move single files by P2MP-FTP.',
].join('\n');

export function createMainParser() {
  return createParser({
    name: 'p2mp',
    usage,
    groups: {},
    verbs: Object.fromEntries(Object.entries(verbs).map(([name, { what }]) => [name, what])),
    examples: [
      ['$0 receive --dir incoming', 'on each receiver'],
      ['$0 send report.pdf --to lab1,lab2', 'on the sender'],
    ],
    exitCodes: 'Exit codes: 0 success; 2 usage error, such as an unknown command.',
  });
}
