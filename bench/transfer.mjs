// One run of one contender: start the receivers and wait until each is ready; time the sender; then
// compare every receiver's file byte by byte.
import { mkdir, rm } from 'node:fs/promises';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { machineCpuS, startCommand, tail } from './commands.mjs';
import { warmMemory } from './warm-memory.mjs';

const readyMs = 15_000;
/** How long a receiver that ends by itself may take after the sender has ended. */
const endMs = 10_000;

/**
 * @param contender see contenders.mjs
 * @param lab the hosts
 * @param folder where everything of this run is kept, removed afterwards
 * @returns what it took, or `{ failure }`
 */
export async function runTransfer(contender, { lab, folder, file, bytes, limitMs, ...context }) {
  const receiverCount = lab.hostCount - 1;
  await mkdir(folder, { recursive: true });
  const outputs = Array.from({ length: receiverCount }, (_, i) => join(folder, `${i + 1}`));
  for (const output of outputs) await mkdir(output);
  const plan = contender.plan({ lab, outputs, file, bytes, ...context });
  const receivers = [];
  const senders = [];
  try {
    for (const { words, env, isReady } of plan.receivers) {
      const receiver = startCommand(words, { env });
      receivers.push(receiver);
      await receiver.until(isReady, readyMs);
    }
    await warmMemory(join(folder, 'warmth'), (receiverCount + 1) * bytes);
    const readyCpuS = receivers.map(({ cpuS }) => cpuS());
    const machineBeforeS = machineCpuS();
    const startedAtMs = performance.now();
    for (const { words, env } of plan.senders) senders.push(startCommand(words, { env, limitMs }));
    const results = await Promise.all(senders.map(({ ended }) => ended));
    const elapsedMs = performance.now() - startedAtMs;
    if (plan.endsItself) await waitForEnd(receivers);
    const machineS = machineCpuS() - machineBeforeS;
    const windowS = (performance.now() - startedAtMs) / 1000;
    const firstCpuS = sum(receivers.map(({ cpuS }, i) => cpuS() - readyCpuS[i]));
    const timedCpuS = sum(results.map(({ cpuS }) => cpuS));
    const measured = {
      elapsedS: elapsedMs / 1000,
      transferS: tryTo(() => plan.transferS?.(results)),
      senderCpuS: plan.isReversed ? firstCpuS : timedCpuS,
      receiverCpuS: plan.isReversed ? timedCpuS : firstCpuS,
      machineCpuS: machineS,
      // Other processes' share of the machine's CPU time meanwhile.
      otherShare: (machineS - firstCpuS - timedCpuS) / (windowS * cpus().length),
    };
    const failure = await findFailure(results, plan, file, limitMs);
    return { ...measured, version: tryTo(() => contender.version(results)), ...failure };
  } catch (error) {
    return { failure: error.message };
  } finally {
    await Promise.all([...senders, ...receivers].map(({ stop }) => stop()));
    await rm(folder, { recursive: true, force: true });
  }
}

/** Returns undefined if the output cannot be parsed, as after a failure. */
function tryTo(read) {
  try {
    return read();
  } catch {
    return undefined;
  }
}

async function waitForEnd(receivers) {
  const late = setTimeout(() => {
    for (const { kill } of receivers) kill('SIGKILL');
  }, endMs);
  await Promise.all(receivers.map(({ ended }) => ended));
  clearTimeout(late);
}

/** @returns `{ failure }`, or undefined if every receiver has every byte */
async function findFailure(results, plan, file, limitMs) {
  const isTimedOut = results.some((result) => result.isTimedOut);
  if (isTimedOut) return { failure: `killed after ${limitMs / 1000} s`, isTimedOut };
  const bad = results.find(({ code }) => code !== 0);
  if (bad !== undefined) return { failure: `exit code ${bad.code}${tail(bad)}` };
  if (plan.isWhole?.(results) === false) return { failure: 'not all bytes came' };
  for (const [i, copy] of (plan.copies ?? []).entries()) {
    const { code, ...texts } = await startCommand(['cmp', file, copy]).ended;
    if (code !== 0) return { failure: `receiver ${i + 1}: the file is not the same${tail(texts)}` };
  }
  return {};
}

function sum(values) {
  return values.reduce((total, value) => total + value, 0);
}
