/** Performs real runs with many senders: each uploads its own file to one `p2mp receive` process. */
import { setMaxListeners } from 'node:events';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { withoutUndefined } from '../../base/without-undefined.js';
import type { Point } from '../../experiment/parameters.js';
import type { RunResult } from '../../experiment/run-result.js';
import { createContent } from '../../simulator/transfer.js';
import { isEqualBytes } from '../../wire/byte-codec.js';
import { generateKeyPair } from '../keys/key-files.js';
import { send } from '../send.js';
import type { SendResult } from '../send-options.js';
import { CommandProcess, commandOf } from './command-process.js';

interface Upload {
  readonly name: string;
  readonly content: Uint8Array;
  readonly send: () => Promise<SendResult>;
}

/**
 * Runs the senders one after another or at once, and compares every received file with what was sent. Each sender
 * has its own key, port and session. All of them run in this process, so that the time to start processes is not
 * measured.
 * @throws P2mpError RUN_FAILED if the receiver or a sender failed; the reason of the signal if it aborts
 */
export async function runUploads(
  { senders = 1, order, senderRateBytesPerSec, fileSizeBytes, mssBytes }: Point,
  seed: string,
  folder: string,
  signal: AbortSignal,
): Promise<RunResult> {
  // Each sender listens to the signal. By default, Node warns of more than ten listeners.
  setMaxListeners(0, signal);
  const dir = join(folder, 'uploaded');
  const where = ['--dir', dir, '--bind', '127.0.0.1', '--port', '0'];
  const command = commandOf('p2mp', ['receive', ...where, '--open', '--json']);
  const env = { P2MP_HOME: join(folder, 'keys') };
  const receiver = new CommandProcess(command, 'p2mp receive', { signal, env });
  try {
    const [host = '', port] = (await receiver.listeningAddress()).split(':');
    const server = { host, port: Number(port) };
    const options = withoutUndefined({ rateBytesPerSec: senderRateBytesPerSec });
    const createUpload = async (_: unknown, i: number): Promise<Upload> => {
      const content = createContent(`${seed} sender ${i + 1}`, fileSizeBytes);
      const name = `upload ${i + 1}.bin`;
      const paths = join(folder, name);
      await writeFile(paths, content);
      const keyPair = await generateKeyPair();
      const how = { paths, receivers: [server], keyPair, mssBytes, signal, ...options };
      return { name, content, send: () => send({ ...how, trustReceiver: () => true }) };
    };
    const uploads = await Promise.all(Array.from({ length: senders }, createUpload));
    const startedAtMs = performance.now();
    const results: SendResult[] = [];
    if (order === 'parallel')
      results.push(...(await Promise.all(uploads.map((one) => one.send()))));
    else for (const upload of uploads) results.push(await upload.send());
    const delayMs = performance.now() - startedAtMs;
    return toResult(delayMs, results, await areAllIdentical(uploads, dir));
  } finally {
    // Wait until the receiver has exited, because it uses its files until then.
    await receiver.stop();
    await rm(dir, { recursive: true, force: true });
  }
}

async function areAllIdentical(uploads: readonly Upload[], dir: string): Promise<boolean> {
  for (const { name, content } of uploads) {
    const copy = await readFile(join(dir, name)).catch(() => undefined);
    if (copy === undefined || !isEqualBytes(copy, content)) return false;
  }
  return true;
}

function toResult(
  delayMs: number,
  results: readonly SendResult[],
  isIdentical: boolean,
): RunResult {
  const sum = (value: (result: SendResult) => number) =>
    results.reduce((total, result) => total + value(result), 0);
  const isComplete = results.every(({ receivers: [only] }) => only?.status === 'complete');
  return {
    delayMs,
    rounds: 0,
    timeouts: 0,
    retransmissions: sum(({ repairs }) => repairs),
    datagrams: sum(({ datagramsSent }) => datagramsSent),
    acks: sum(({ reportsReceived }) => reportsReceived),
    completeReceivers: isComplete && isIdentical ? 1 : 0,
    rttMs: sum(({ receivers: [only] }) => only?.rttMs ?? 0) / results.length,
  };
}
