// udpcast. It has no encryption. A switched network is what its manual wants --full-duplex for.
import { join } from 'node:path';
import { listensOn } from './programs.mjs';

const port = 9000;
/**
 * It starts as soon as all receivers have called. One that missed its answer then is waited for in vain,
 * for minutes; so where there is loss, let them call for a while.
 */
const patience = ['--min-wait', 1];

export const udpcast = {
  id: 'udpcast',
  runShare: 0.6,
  name: 'udpcast',
  hasFile: true,
  about:
    'udp-sender --full-duplex --rexmit-hello-interval 50, --min-wait 1 where there is loss: ' +
    'no encryption',
  needs: ['udp-sender', 'udp-receiver'],
  version: ([{ stderr }]) => stderr.match(/Udp-sender (\S+)/)?.[1],
  plan({ lab, outputs, file }) {
    const copies = outputs.map((output) => join(output, 'copy'));
    const common = ['--nokbd', '--interface', 'eth0', '--portbase', port, '--no-progress'];
    return {
      receivers: copies.map((copy, i) => ({
        words: [...lab.on(i + 1), 'udp-receiver', ...common, '--file', copy],
        isReady: () => listensOn(lab, i + 1, port),
      })),
      senders: [
        {
          words: [
            ...[...lab.on(0), 'udp-sender', ...common, '--file', file, '--full-duplex'],
            ...['--min-receivers', outputs.length, '--rexmit-hello-interval', 50],
            ...(lab.lossPercent > 0 ? patience : []),
          ],
        },
      ],
      copies,
      endsItself: true,
    };
  },
};
