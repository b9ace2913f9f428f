/** Merges the shards of an experiment. */
import { join } from 'node:path';
import { P2mpError } from '../../base/errors.js';
import type { Plan } from '../../experiment/plan.js';
import { listRuns, parsePlan } from '../../experiment/plan.js';
import type { RunRow } from '../../experiment/run-result.js';
import { fileError } from '../system-error.js';
import { ResultsFolder, readIfThere } from './results-folder.js';
import { formatRun, parseRecords, parseRun } from './runs-csv.js';

export interface Merged {
  readonly plan: Plan;
  readonly planText: string;
  readonly folder: ResultsFolder;
}

/** Maximum number of missing runs that an error message lists. */
const maxNamed = 5;

/**
 * @param folders the results folders of all shards, in any order
 * @throws P2mpError RESULTS_DIFFER if the folders belong to different plans or if runs are missing
 */
export async function mergeShards(
  folders: readonly string[],
  outFolder: string,
  isFresh: boolean,
): Promise<Merged> {
  const [first = ''] = folders;
  const planText = await readShard(first, 'plan.json');
  const plan = parsePlan(planText, join(first, 'plan.json'));
  const runs = [...listRuns(plan)];
  const rows = new Map<number, { row: RunRow; source: string }>();
  for (const folder of folders) {
    if ((await readShard(folder, 'plan.json')) !== planText) {
      throw new P2mpError(
        'RESULTS_DIFFER',
        `${folder}: its plan differs from the plan in ${first}`,
      );
    }
    const source = join(folder, 'runs.csv');
    for (const record of parseRecords(await readShard(folder, 'runs.csv'), runs[0], source)) {
      const row = parseRun(runs[record.index], record, source);
      const known = rows.get(row.index);
      if (known !== undefined && formatRun(known.row) !== formatRun(row)) {
        const where = `${source}:${record.line}: run ${row.index + 1}`;
        throw new P2mpError('RESULTS_DIFFER', `${where} has a different result in ${known.source}`);
      }
      rows.set(row.index, { row, source });
    }
  }
  const missing = runs.filter(({ index }) => !rows.has(index)).map(({ index }) => index + 1);
  if (missing.length > 0) throw incomplete(missing, runs.length);
  const folder = await ResultsFolder.open(outFolder, planText, runs, isFresh);
  try {
    for (const [index, known] of folder.rows.entries()) {
      const row = rows.get(index)?.row;
      if (row !== undefined && formatRun(row) === formatRun(known)) continue;
      const where = `${folder.path}: run ${index + 1}`;
      throw new P2mpError(
        'RESULTS_DIFFER',
        `${where} has a different result in its shard; name another folder with --out, or give --overwrite`,
      );
    }
    for (const { index } of runs.slice(folder.rows.length)) {
      const { row } = rows.get(index) as { row: RunRow };
      await folder.append(row);
    }
  } finally {
    await folder.close();
  }
  return { plan, planText, folder };
}

function incomplete(missing: readonly number[], total: number): P2mpError {
  const named = missing.slice(0, maxNamed).join(', ');
  const more = missing.length > maxNamed ? ', ...' : '';
  return new P2mpError(
    'RESULTS_DIFFER',
    `${missing.length} of ${total} runs are in none of the folders: ${named}${more}; ` +
      'run their shards again to resume them',
  );
}

async function readShard(folder: string, name: string): Promise<string> {
  let text: string | undefined;
  try {
    text = await readIfThere(join(folder, name));
  } catch (error) {
    throw fileError('SOURCE_UNREADABLE', folder, error);
  }
  if (text !== undefined) return text;
  throw new P2mpError(
    'SOURCE_UNREADABLE',
    `${folder}: contains no ${name}; is it a shard's folder?`,
  );
}
