// What contenders that are other people's programs have in common.
import { spawnSync } from 'node:child_process';

/** @returns whether a UDP port is bound on a host of the lab: not every program says so itself */
export function listensOn(lab, host, port) {
  const [command, ...args] = [...lab.on(host), 'cat', '/proc/net/udp', '/proc/net/udp6'];
  const { stdout } = spawnSync(command, args, { encoding: 'utf8' });
  return stdout.includes(`:${port.toString(16).toUpperCase().padStart(4, '0')} `);
}
