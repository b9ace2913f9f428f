// Measures the time before a sender's data flows. The first bytes that leave its host do not show
// it, since all contenders connect to their receivers first, some with padded datagrams. So the
// start is when the host has sent more than any handshake does. The kernel counts the bytes; they
// are read every millisecond.
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { startCommand } from './commands.mjs';

export const flowBytes = 64 * 1024;
const readyMs = 15_000;

/** @returns { startS } from the start of the command until its host has sent `flowBytes`, or { failure } */
export async function measureStart(contender, { lab, folder, file, bytes, limitMs, keys }) {
  const outputs = Array.from({ length: lab.hostCount - 1 }, (_, i) => join(folder, `${i + 1}`));
  for (const output of outputs) await mkdir(output, { recursive: true });
  const plan = contender.plan({ lab, outputs, file, bytes, keys });
  const commands = [];
  // /proc shows a network's counters through a process that lives in it.
  const [ip, ...args] = lab.on(0);
  const resident = spawn(ip, [...args, 'sleep', 'infinity'], { stdio: 'ignore' });
  try {
    for (const { words, env, isReady } of plan.receivers) {
      const receiver = startCommand(words, { env });
      commands.push(receiver);
      await receiver.until(isReady, readyMs);
    }
    const beforeBytes = readSentBytes(resident.pid);
    const startedAtMs = performance.now();
    let hasEnded = false;
    for (const { words, env } of plan.senders) {
      const sender = startCommand(words, { env, limitMs });
      commands.push(sender);
      sender.ended.then(() => {
        hasEnded = true;
      });
    }
    while (readSentBytes(resident.pid) - beforeBytes < flowBytes) {
      if (hasEnded) return { failure: 'ended before any data' };
      await sleep(1);
    }
    return { startS: (performance.now() - startedAtMs) / 1000 };
  } catch (error) {
    return { failure: error.message };
  } finally {
    for (const { kill } of commands) kill('SIGKILL');
    await Promise.all(commands.map(({ ended }) => ended));
    resident.kill('SIGKILL');
    await rm(folder, { recursive: true, force: true });
  }
}

function readSentBytes(pid) {
  const line = readFileSync(`/proc/${pid}/net/dev`, 'utf8')
    .split('\n')
    .find((text) => text.trimStart().startsWith('eth0:'));
  // Eight fields for received data precede those for sent data.
  return Number(line.split(':')[1].trim().split(/\s+/)[8]);
}
