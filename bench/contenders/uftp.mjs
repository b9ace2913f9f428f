// UFTP: once with all that its manual offers, and as secure as p2mp; once as most people run it.
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import { listensOn } from './programs.mjs';

const port = 1044;
const bufferBytes = 4 * 1024 * 1024;
/**
 * Its manual wants one for speeds of gigabits. Of those that it takes, 1 to 20 MiB, all are as fast without
 * loss; with loss, more than this makes it twice as slow.
 */
const cacheBytes = 4 * 1024 * 1024;
/** Quick where all answer. With loss, shorter times or fewer repetitions make it give receivers up. */
const patience = ['-r', '0.01:0.01:0.5', '-s', 50];
const curve = 'prime256v1';

const common = {
  hasFile: true,
  needs: ['uftp', 'uftpd'],
  version: ([{ stdout, stderr }]) => `${stdout}${stderr}`.match(/UFTP version (\S+)/)?.[1],
};

export const uftp = {
  ...common,
  id: 'uftp',
  name: 'UFTP (encrypted)',
  about:
    'uftp -R -1 -r 0.01:0.01:0.5 -s 50 -b 1400, buffers and cache of 4 MiB, closed group, ' +
    'AES-256-GCM, ECDH with ECDSA keys at both sides',
  needs: [...common.needs, 'openssl'],
  plan(context) {
    const [key, ...keys] = makeKeys(context.keys, context.outputs.length + 1);
    return plan(context, {
      receiver: (i) => ['-B', bufferBytes, '-c', cacheBytes, '-q', '-E', '-k', keys[i]],
      sender: (ids) => [
        ...[...patience, '-B', bufferBytes, '-b', 1400, '-H', ids.join(',')],
        ...['-Y', 'aes256-gcm', '-h', 'sha256', '-e', `ecdh_ecdsa:${curve}`, '-k', key, '-c'],
      ],
    });
  },
};

export const openUftp = {
  ...common,
  id: 'uftp-open',
  runShare: 0.6,
  name: 'UFTP (open)',
  about: 'uftp -R -1, all else by default: no encryption, and whoever hears it may take part',
  plan: (context) => plan(context, { receiver: () => [], sender: () => [] }),
};

function plan({ lab, outputs, file }, { receiver, sender }) {
  const ids = outputs.map((_, i) => `0x0000000${i + 1}`);
  return {
    receivers: outputs.map((output, i) => ({
      words: [
        ...[...lab.on(i + 1), 'uftpd', '-d', '-D', output, '-U', ids[i], '-I', 'eth0'],
        ...receiver(i),
      ],
      isReady: () => listensOn(lab, i + 1, port),
    })),
    senders: [
      {
        words: [
          ...lab.on(0),
          'uftp',
          '-T',
          '-R',
          -1,
          '-I',
          'eth0',
          '-S',
          '@LOG',
          ...sender(ids),
          file,
        ],
      },
    ],
    copies: outputs.map((output) => join(output, basename(file))),
    transferS: ([{ stdout, stderr }]) => {
      const seconds = `${stdout}${stderr}`.match(/Total elapsed time: *([\d.]+) seconds/)?.[1];
      return seconds === undefined ? undefined : Number(seconds);
    },
  };
}

function makeKeys(folder, count) {
  return Array.from({ length: count }, (_, i) => {
    const path = join(folder, `uftp${i}.pem`);
    if (!existsSync(path)) {
      execFileSync('openssl', ['ecparam', '-name', curve, '-genkey', '-noout', '-out', path]);
    }
    return path;
  });
}
