/**
 * `npm run demo`: sends a file by P2MP-FTP and another one by a session, each to three receiver processes on
 * loopback, and compares every copy with what was sent.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { formatSeconds } from '../../base/format.js';
import { fileError } from '../../node/system-error.js';
import { onInterrupt, runCommand } from '../command.js';
import type { ExitCode } from '../exit-code.js';
import { exitCode } from '../exit-code.js';
import { Output } from '../output/output.js';
import { DemoPlace } from './demo-place.js';
import { demonstrateSession } from './session-demo.js';
import { demonstrateStopAndWait } from './stop-and-wait-demo.js';

async function main(): Promise<ExitCode> {
  const output = new Output({ isJson: false, isQuiet: false });
  const interruption = new AbortController();
  onInterrupt(() => interruption.abort());
  const { signal } = interruption;
  const startedAtMs = performance.now();
  let folder: string;
  try {
    // The folder has a space in its name, as many folders of users do.
    folder = await mkdtemp(join(tmpdir(), 'p2mp demo '));
  } catch (error) {
    throw fileError('TARGET_UNWRITABLE', tmpdir(), error);
  }
  const place = new DemoPlace(output, folder, signal);
  try {
    const areIdentical = [await demonstrateStopAndWait(place), await demonstrateSession(place)];
    const time = formatSeconds((performance.now() - startedAtMs) / 1000);
    if (areIdentical.includes(false)) {
      output.error(`\nAt least one copy is missing or DIFFERS from what was sent (${time}).`);
      return exitCode.none;
    }
    place.headline(`\nAll six copies are identical to what was sent (${time} in all).`);
    return exitCode.ok;
  } catch (error) {
    // Ctrl-C also reaches the receivers. Their end can be noticed before this process handles its signal.
    await new Promise((resolve) => setImmediate(resolve));
    if (!signal.aborted) throw error;
    output.error('demo: interrupted; its receivers and files are removed');
    return exitCode.interrupted;
  } finally {
    output.endProgress();
    await place.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

await runCommand('demo', main);
