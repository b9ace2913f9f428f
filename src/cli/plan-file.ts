/** Reads the plan that is named on the command line: a file or a bundled plan. */
import { readdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { didYouMean } from '../base/did-you-mean.js';
import { P2mpError } from '../base/errors.js';
import type { Plan } from '../experiment/plan.js';
import { parsePlan } from '../experiment/plan.js';
import type { Shard } from '../node/experiment/experiment.js';
import { fileError } from '../node/system-error.js';

const plansFolder = fileURLToPath(new URL('../../experiments/plans/', import.meta.url));

/** Names of the bundled plans. */
export function listPlans(): string[] {
  return readdirSync(plansFolder)
    .filter((name) => name.endsWith('.json'))
    .map((name) => basename(name, '.json'))
    .toSorted();
}

/** @throws P2mpError SOURCE_UNREADABLE, INVALID_PLAN */
export async function readPlan(name: string): Promise<{ plan: Plan; planText: string }> {
  const plans = listPlans();
  const path = plans.includes(name) ? join(plansFolder, `${name}.json`) : name;
  let planText: string;
  try {
    planText = await readFile(path, 'utf8');
  } catch (error) {
    const { message } = fileError('SOURCE_UNREADABLE', path, error);
    const known = `bundled plans: ${plans.join(', ')}${didYouMean(name, plans)}`;
    throw new P2mpError('SOURCE_UNREADABLE', `plan ${message} (${known})`, { cause: error });
  }
  return { plan: parsePlan(planText, path), planText };
}

/** @returns the default for --out, the folder for results */
export function defaultFolder(name: string, shard: Shard | undefined): string {
  const folder = `${basename(name, '.json')}-results`;
  if (shard === undefined) return folder;
  return join(folder, `shard-${shard.index}-of-${shard.count}`);
}
