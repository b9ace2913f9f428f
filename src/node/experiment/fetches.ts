/** Performs real runs with many sources: one client fetches a file from several `p2mp serve` processes. */
import { setMaxListeners } from 'node:events';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { deathMs, deathsOf, sourceRates } from '../../experiment/fetch-model.js';
import type { Point } from '../../experiment/parameters.js';
import type { RunResult } from '../../experiment/run-result.js';
import { simulateRun } from '../../experiment/simulated/run.js';
import type { FetchResult } from '../../roles/fetch/fetch-result.js';
import { createContent } from '../../simulator/transfer.js';
import { isEqualBytes } from '../../wire/byte-codec.js';
import { fetch } from '../fetch.js';
import { CommandProcess, commandOf } from './command-process.js';

const objectName = 'object';

/**
 * Runs one fetch and compares the copy with the file, then simulates the same fetch with the measured round-trip time.
 * Each source is a process that keeps to its rate, and dies by SIGKILL. The client runs in this process, so that the
 * time to start one is not measured.
 * @throws P2mpError RUN_FAILED if a source failed; the reason of the signal if it aborts
 */
export async function runFetch(
  point: Point,
  seed: string,
  folder: string,
  signal: AbortSignal,
): Promise<RunResult> {
  // Each process and the fetch listen to the signal. By default, Node warns of more than ten listeners.
  setMaxListeners(0, signal);
  const place = join(folder, 'fetch');
  const [path, dir] = [join(place, objectName), join(place, 'fetched')];
  const content = createContent(seed, point.fileSizeBytes);
  await mkdir(place);
  await writeFile(path, content);
  const sources = sourceRates(point).map((rate, i) =>
    startSource(path, rate, join(place, `source ${i + 1}`), signal),
  );
  let deaths: NodeJS.Timeout | undefined;
  try {
    const addresses = await Promise.all(sources.map((source) => source.listeningAddress()));
    await Promise.all(sources.map((source) => source.event('indexed')));
    const dying = sources.slice(0, deathsOf(point));
    deaths = setTimeout(() => {
      for (const source of dying) source.kill();
    }, deathMs(point));
    const { delayMs, result } = await fetchOnce(point, addresses, dir, signal);
    const copy = await readFile(join(dir, objectName)).catch(() => undefined);
    const isIdentical = copy !== undefined && isEqualBytes(copy, content);
    const rttMs = Math.min(...(result.report?.sources.map((source) => source.rttMs) ?? [0]));
    return {
      delayMs,
      ...{ rounds: 0, timeouts: 0, retransmissions: 0, datagrams: undefined, acks: undefined },
      completeReceivers: result.status === 'complete' && isIdentical ? 1 : 0,
      rttMs,
      twinDelayMs: simulateRun(point, seed, rttMs).delayMs,
    };
  } finally {
    clearTimeout(deaths);
    // Wait until all sources have exited, because they use their files until then.
    await Promise.all(sources.map((source) => source.stop()));
    await rm(place, { recursive: true, force: true });
  }
}

function startSource(
  path: string,
  rateBytesPerSec: number,
  home: string,
  signal: AbortSignal,
): CommandProcess {
  const where = ['--bind', '127.0.0.1', '--port', '0', '--multicast', 'never'];
  const own = ['--rate', String(Math.round(rateBytesPerSec)), '--index', join(home, 'index')];
  const command = commandOf('p2mp', ['serve', path, ...where, ...own, '--open', '--json']);
  return new CommandProcess(command, 'p2mp serve', { signal, env: { P2MP_HOME: home } });
}

async function fetchOnce(
  { split = 'speed', mssBytes }: Point,
  addresses: readonly string[],
  dir: string,
  signal: AbortSignal,
): Promise<{ delayMs: number; result: FetchResult }> {
  const sources = addresses.map((address) => {
    const [host = '', port] = address.split(':');
    return { host, port: Number(port) };
  });
  const startedAtMs = performance.now();
  const result = await fetch({
    ...{ name: objectName, sources, dir, split, mssBytes, signal },
    trustSource: () => true,
  });
  signal.throwIfAborted();
  return { delayMs: performance.now() - startedAtMs, result };
}
