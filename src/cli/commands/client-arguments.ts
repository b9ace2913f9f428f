/** The command line of `p2mpclient`. */
import { createParser, flagOption, textOption } from '../command.js';
import { exitCodeHelp } from '../exit-code.js';

const usage = [
  '$0 <server>... <port> <file> <MSS> [options]',
  '',
  'Sends a file to every server by P2MP-FTP, in segments of MSS bytes. All servers must acknowledge',
  'a segment before the next segment is sent (stop-and-wait). A server is host, host:port or',
  '[IPv6 address]:port; <port> applies to servers that are given without a port.',
].join('\n');

const transferOptions = {
  window: {
    ...textOption,
    alias: 'w',
    value: 'SEGMENTS',
    default: '1',
    describe: 'Maximum number of segments in flight; 1 means stop-and-wait',
  },
  timeout: {
    ...textOption,
    alias: 't',
    value: 'MS',
    default: 'auto',
    describe: 'Retransmission timeout in milliseconds, or auto (from measured round trips)',
  },
  'give-up-after': {
    ...textOption,
    value: 'SECONDS',
    describe: 'Seconds without a response after which a server fails',
    defaultDescription: '10; with a fixed --timeout, 20 timeouts, but from 10 to 25 seconds',
  },
  'end-marker': {
    ...flagOption,
    default: true,
    describe: 'Do not mark the end of the file with an empty data packet',
  },
} as const;

export function createClientParser() {
  return createParser({
    name: 'p2mpclient',
    usage,
    groups: { Transfer: transferOptions },
    examples: [
      ['$0 10.0.0.2 10.0.0.3 7735 report.pdf 500', 'to two servers'],
      [
        '$0 [::1]:7001 localhost:7002 7735 report.pdf 1400 --timeout 50',
        'two servers on other ports',
      ],
    ],
    exitCodes: exitCodeHelp,
  });
}
