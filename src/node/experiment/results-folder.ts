/**
 * The folder of results. During the experiment, it contains plan.json and runs.csv; the other files are
 * written at the end. runs.csv grows row by row, so that an interrupted experiment can resume.
 */
import type { FileHandle } from 'node:fs/promises';
import { mkdir, open, readFile, rename, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { P2mpError } from '../../base/errors.js';
import type { Run } from '../../experiment/plan.js';
import { parsePlan } from '../../experiment/plan.js';
import type { RunRow } from '../../experiment/run-result.js';
import { fileError } from '../system-error.js';
import { formatHeader, formatRun, parseRecords, parseRun } from './runs-csv.js';

/** Files that summarize the runs. They are written once all runs are done. */
const conclusions = ['summary.csv', 'plot.svg', 'plot.png', 'report.html'] as const;
export type Conclusion = (typeof conclusions)[number];

export class ResultsFolder {
  /** Rows of runs.csv, in the order of the runs. */
  readonly rows: RunRow[] = [];
  private file: FileHandle | undefined;

  private constructor(readonly path: string) {}

  /**
   * Creates the folder, or resumes from the results that it already holds.
   * @param runs the runs of the plan or of its shard, in order
   * @throws P2mpError RESULTS_DIFFER if the folder holds other results; TARGET_UNWRITABLE
   */
  static async open(
    path: string,
    planText: string,
    runs: readonly Run[],
    isFresh: boolean,
  ): Promise<ResultsFolder> {
    const folder = new ResultsFolder(path);
    try {
      await makeFolder(path);
      if (isFresh) await folder.clear();
      await folder.readRows(runs);
      if (folder.rows.some(({ mode }) => mode === 'real')) await folder.checkNetwork(planText);
      await writeWhole(join(path, 'plan.json'), planText);
      await folder.openRuns(runs[0]);
      // The old conclusions cover fewer runs.
      if (folder.rows.length < runs.length) await folder.removeConclusions();
    } catch (error) {
      throw folder.explain(error);
    }
    return folder;
  }

  async append(row: RunRow): Promise<void> {
    try {
      await this.file?.write(formatRun(row));
    } catch (error) {
      throw this.explain(error);
    }
    this.rows.push(row);
  }

  async write(name: Conclusion, content: string | Uint8Array): Promise<void> {
    try {
      await writeWhole(join(this.path, name), content);
    } catch (error) {
      throw this.explain(error);
    }
  }

  async close(): Promise<void> {
    await this.file?.close();
    this.file = undefined;
  }

  private get runsPath(): string {
    return join(this.path, 'runs.csv');
  }

  private async clear(): Promise<void> {
    await rm(this.runsPath, { force: true });
    await this.removeConclusions();
  }

  private async removeConclusions(): Promise<void> {
    for (const name of conclusions) await rm(join(this.path, name), { force: true });
  }

  private async readRows(runs: readonly Run[]): Promise<void> {
    const text = await readIfThere(this.runsPath);
    if (text === undefined) return;
    for (const [i, record] of parseRecords(text, runs[0], this.runsPath).entries()) {
      this.rows.push(parseRun(runs[i], record, this.runsPath));
    }
  }

  /**
   * Checks that earlier real runs used the same network. Rows do not record the network, but plan.json does.
   */
  private async checkNetwork(planText: string): Promise<void> {
    const path = join(this.path, 'plan.json');
    const oldText = await readIfThere(path);
    if (oldText === undefined) return;
    const [old, now] = [parsePlan(oldText, path).network, parsePlan(planText, 'plan').network];
    if (old === now) return;
    throw new P2mpError(
      'RESULTS_DIFFER',
      `${path}: its real runs used the network "${old}", not "${now}"`,
    );
  }

  /** Opens runs.csv for appending and truncates an incomplete last row. */
  private async openRuns(first: Run | undefined): Promise<void> {
    const header = first === undefined ? '' : formatHeader(first);
    const whole = header + this.rows.map(formatRun).join('');
    const size = Buffer.byteLength(whole);
    const text = (await readIfThere(this.runsPath)) ?? '';
    if (text.startsWith(whole)) await truncate(this.runsPath, size);
    else await writeWhole(this.runsPath, whole);
    this.file = await open(this.runsPath, 'a');
  }

  private explain(error: unknown): unknown {
    if (error instanceof P2mpError && error.code === 'RESULTS_DIFFER') {
      const remedy = 'name another folder with --out, or start over with --overwrite';
      return new P2mpError('RESULTS_DIFFER', `${error.message}; ${remedy}`, { cause: error });
    }
    return fileError('TARGET_UNWRITABLE', this.path, error);
  }
}

/** @returns undefined if there is no such file */
export async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/**
 * Creates the folder and its parents. Avoids Node's recursive `mkdir`, which never returns on file systems
 * that allow no new folders, such as /proc.
 */
async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST' && (await stat(path)).isDirectory()) return;
    if (code !== 'ENOENT' || dirname(path) === path) throw error;
    await makeFolder(dirname(path));
    await mkdir(path);
  }
}

/** Writes atomically: the file has the old content or the new. */
async function writeWhole(path: string, content: string | Uint8Array): Promise<void> {
  const part = `${path}.part`;
  try {
    await writeFile(part, content);
    await rename(part, path);
  } catch (error) {
    await rm(part, { force: true });
    throw error;
  }
}
