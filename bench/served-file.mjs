// What the measurements of fetches begin with: a file to serve, and labs that do not outlive the program.
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { killCommands } from './commands.mjs';
import { closeLabs } from './lab.mjs';
import { describeMaking } from './made.mjs';

/**
 * Calls `measure` with a folder for everything and the path of a file in it, then removes all that is left of it.
 * Prints what the measurement is made with first.
 */
export async function withServedFile(sizeMb, measure) {
  const folder = mkdtempSync(join(tmpdir(), 'p2mp-bench-fetch-'));
  const stop = () => {
    killCommands();
    closeLabs();
  };
  process.once('exit', stop);
  try {
    const data = join(folder, 'served', 'data');
    mkdirSync(join(folder, 'served'));
    writeFileSync(data, randomBytes(sizeMb * 1e6));
    console.log(JSON.stringify(describeMaking()));
    await measure({ folder, data });
  } finally {
    stop();
    process.off('exit', stop);
    rmSync(folder, { recursive: true, force: true });
  }
}
