// p2mp's sessions as anybody gets them: keys at both sides, everything else by default.
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const program = fileURLToPath(new URL('../../dist/cli/p2mp.js', import.meta.url));
const port = 7735;

export const p2mp = {
  id: 'p2mp',
  name: 'p2mp',
  hasFile: true,
  about: 'p2mp send and p2mp receive with keys, encrypted, all options as they are by default',
  needs: [],
  version: () => run('--version'),
  // Whatever the shell that runs this has set.
  plan: (context) => plan(context, { P2MP_OFFLOAD: undefined }),
};

export const plainP2mp = {
  ...p2mp,
  id: 'p2mp-plain',
  runShare: 0.6,
  name: 'p2mp (plain dgram)',
  about: "the same without the kernel's batches of datagrams: P2MP_OFFLOAD=off at both sides",
  plan: (context) => plan(context, { P2MP_OFFLOAD: 'off' }),
};

function plan({ lab, outputs, file, keys }, env) {
  const trust = makeKeys(keys, lab, outputs.length);
  const node = (host) => [...lab.on(host), process.execPath, program];
  const targets = outputs.map((_, i) => lab.address(i + 1)).join(',');
  const own = ['--key', trust.key, '--known-receivers', trust.knownReceivers];
  return {
    receivers: outputs.map((output, i) => ({
      words: [
        ...[...node(i + 1), 'receive', '--json', '--dir', output, '--key', trust.receiverKeys[i]],
        ...['--authorized-keys', trust.authorizedKeys],
      ],
      env,
      isReady: ({ stdout }) => stdout.includes('"listening"'),
    })),
    senders: [
      { words: [...node(0), 'send', file, '--to', targets, '--json', '--quiet', ...own], env },
    ],
    copies: outputs.map((output) => join(output, basename(file))),
    transferS: ([{ stdout }]) => JSON.parse(stdout.trim().split('\n').at(-1)).seconds,
  };
}

/** Keys and lists of trust as they are after the first meeting; made once for all runs. */
function makeKeys(folder, lab, receiverCount) {
  const key = join(folder, 'sender');
  const authorizedKeys = join(folder, 'authorized_keys');
  const knownReceivers = join(folder, `known_receivers_${receiverCount}`);
  const receiverKeys = Array.from({ length: receiverCount }, (_, i) => join(folder, `key${i + 1}`));
  for (const path of [key, ...receiverKeys]) {
    if (!existsSync(path)) run('keygen', '--key', path);
  }
  const publicLine = (path) => readFileSync(`${path}.pub`, 'utf8').trim();
  writeFileSync(authorizedKeys, `send ${publicLine(key)}\n`);
  const known = receiverKeys.map((path, i) => {
    const [type, base64] = publicLine(path).split(' ');
    return `${lab.address(i + 1)}:${port} ${type} ${base64}\n`;
  });
  writeFileSync(knownReceivers, known.join(''));
  return { key, authorizedKeys, knownReceivers, receiverKeys };
}

function run(...args) {
  return execFileSync(process.execPath, [program, ...args], { encoding: 'utf8' }).trim();
}
