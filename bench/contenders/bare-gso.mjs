// The ceiling of UDP from Node with the kernel's batches: no file, no keys, no repair. See ../bare-gso.mjs.
import { fileURLToPath } from 'node:url';

const program = fileURLToPath(new URL('../bare-gso.mjs', import.meta.url));
const group = '239.98.0.1';
const port = 9100;

export const bareGso = {
  id: 'bare-gso',
  name: 'bare GSO',
  about: 'batches of 45 datagrams from memory to a group, acknowledged: no file, no encryption',
  needs: ['koffi'],
  version: () => process.version,
  unfit: ({ lossPercent }) => (lossPercent > 0 ? 'it repairs no loss' : undefined),
  plan: ({ lab, outputs, bytes }) => {
    const node = (host) => [...lab.on(host), process.execPath, program];
    return {
      receivers: outputs.map((_, i) => ({
        words: [...node(i + 1), 'receive', group, port, lab.address(i + 1)],
        isReady: ({ stdout }) => stdout.includes('ready'),
      })),
      senders: [
        { words: [...node(0), 'send', group, port, lab.address(0), outputs.length, bytes] },
      ],
      transferS: ([{ stdout }]) => JSON.parse(stdout).seconds,
    };
  },
};
