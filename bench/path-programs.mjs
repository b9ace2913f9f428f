// The programs that `multipath.mjs` compares: p2mp send, and TCP and MPTCP of the kernel (iperf3, mptcpize).
import { execFileSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startCommand, tail } from './commands.mjs';

const p2mp = fileURLToPath(new URL('../dist/cli/p2mp.js', import.meta.url));
const readyMs = 20_000;
const limitMs = 120_000;

/**
 * Sends a file by these paths.
 * @param act called when the transfer has begun, with the receiver's process
 * @returns goodput in Mbit/s, and the paths as `p2mp send` saw them
 */
export async function sendByP2mp(lab, paths, { data, sizeMb, work, act }) {
  const dir = join(work, 'in');
  const own = paths.map((path) => lab.receiver(path)).join();
  const receiver = startCommand([
    ...[...lab.onReceiver(), process.execPath, p2mp, 'receive', '--open', '--once', '--json'],
    ...['--dir', dir, '--key', join(work, 'receiver'), '--path', own, '--no-announce'],
  ]);
  try {
    await receiver.until(({ stdout }) => stdout.includes('"listening"'), readyMs);
    const from = paths.map((path) => lab.sender(path)).join();
    const sender = startCommand(
      [
        ...[...lab.onSender(), process.execPath, p2mp, 'send', data, '--open', '--json'],
        ...['--to', lab.receiver(paths[0]), '--path', from],
      ],
      { limitMs, env: { P2MP_HOME: join(work, 'home') } },
    );
    const acting = act?.({ sender, receiver });
    const result = await sender.ended;
    await acting;
    if (result.code !== 0)
      throw new Error(`p2mp send ended with code ${result.code}${tail(result)}`);
    execFileSync('cmp', [data, join(dir, 'data')]);
    const last = JSON.parse(result.stdout.trim().split('\n').at(-1));
    const [outcome] = last.receivers;
    return {
      mbit: (8 * sizeMb) / outcome.seconds,
      seconds: outcome.seconds,
      outcome,
      cpuS: result.cpuS,
    };
  } finally {
    await receiver.stop();
    rmSync(dir, { recursive: true, force: true });
  }
}

/** Sends as many bytes by TCP, by MPTCP on all paths, or by MPTCP on the first one. */
export async function sendByTcp(lab, path, { isMptcp, sizeMb }) {
  const wrap = isMptcp ? ['mptcpize', 'run'] : [];
  const server = startCommand([...lab.onReceiver(), ...wrap, 'iperf3', '-s', '-1', '--forceflush']);
  try {
    await server.until(({ stdout }) => stdout.includes('listening'), readyMs);
    const words = ['iperf3', '-J', '-c', lab.receiver(path), '-n', `${sizeMb * 1e6}`];
    const result = await startCommand([...lab.onSender(), ...wrap, ...words], { limitMs }).ended;
    if (result.code !== 0) throw new Error(`iperf3 ended with code ${result.code}${tail(result)}`);
    return { mbit: JSON.parse(result.stdout).end.sum_received.bits_per_second / 1e6 };
  } finally {
    await server.stop();
  }
}
