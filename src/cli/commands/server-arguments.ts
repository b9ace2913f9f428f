/** The command line of `p2mpserver`. */
import { createParser, flagOption, listOption, textOption } from '../command.js';
import { receiverExitCodeHelp } from '../exit-code.js';

const usage = [
  '$0 <port> <file> <p> [options]',
  '',
  'Receives files by P2MP-FTP, from one sender at a time, until stopped. Each complete transfer',
  'replaces <file> atomically. For experiments, drops arriving data packets with probability p',
  '(0 <= p < 1).',
  '',
  'Loss models: bernoulli (independent losses), burst:LENGTH (bursts with this mean length),',
  'gilbert-elliott:ENTER,LEAVE,GOOD,BAD (two states with these probabilities), scripted:N,N,...',
  '(drops the packets with these numbers in order of arrival, the first being 0).',
].join('\n');

const transferOptions = {
  once: { ...flagOption, describe: 'Stop after one transfer' },
  bind: {
    ...listOption,
    alias: 'b',
    value: 'ADDRESS',
    describe: 'Local address to listen on; may be repeated',
    defaultDescription: 'all',
  },
  'idle-timeout': {
    ...textOption,
    value: 'SECONDS',
    default: '30',
    describe: 'If no end marker arrives, the transfer ends after this many seconds of silence',
  },
  'must-end': {
    ...flagOption,
    describe: 'Discard a file whose end was only inferred from silence',
  },
} as const;

const lossOptions = {
  'loss-model': {
    ...textOption,
    alias: 'm',
    value: 'MODEL',
    default: 'bernoulli',
    describe: 'Loss model: see above',
  },
  seed: {
    ...textOption,
    alias: 's',
    value: 'TEXT',
    describe: 'Seed of the losses; give each server a different one',
    defaultDescription: 'random; printed at the start',
  },
} as const;

export function createServerParser() {
  return createParser({
    name: 'p2mpserver',
    usage,
    groups: { Transfers: transferOptions, Losses: lossOptions },
    examples: [
      ['$0 7735 copy.pdf 0.05', 'drop 5 % of the packets'],
      ['$0 7735 copy.pdf 0 --once --quiet && ls -l copy.pdf', 'in a script'],
    ],
    exitCodes: receiverExitCodeHelp,
  });
}
