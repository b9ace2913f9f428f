// What the comparison needs on the machine. Anything missing is named, with how to install it.
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

const debian = {
  ip: 'iproute2',
  tc: 'iproute2',
  nft: 'nftables',
  ethtool: 'ethtool',
  cmp: 'diffutils',
  uftp: 'uftp',
  uftpd: 'uftp',
  'udp-sender': 'udpcast',
  'udp-receiver': 'udpcast',
  iperf3: 'iperf3',
  openssl: 'openssl',
  nginx: 'nginx',
  curl: 'curl',
  mptcpize: 'mptcpd',
};
/** Packages that cannot be looked up as commands. */
const packages = { koffi: () => import('koffi') };

/** What every scene needs. */
export const labNeeds = ['ip', 'tc', 'nft', 'ethtool', 'cmp'];

/** @returns a line for each missing name */
export async function findMissing(names) {
  const lines = [];
  for (const name of names) {
    if (name in packages) {
      const isThere = await packages[name]().then(
        () => true,
        () => false,
      );
      if (!isThere) lines.push(`${name} is missing: npm ci without --omit=optional`);
    } else if (!isCommand(name)) {
      lines.push(`${name} is missing: apt-get install ${debian[name]}, or the like`);
    }
  }
  return lines;
}

/** @returns why namespaces are not available, or undefined */
export function findObstacle() {
  if (process.platform !== 'linux') return 'network namespaces need Linux';
  if (process.getuid() !== 0) return 'network namespaces need root: sudo npm run bench -- peers';
  return undefined;
}

function isCommand(name) {
  return process.env.PATH.split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, name), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
