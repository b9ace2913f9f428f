/** V8 settings for a short-lived command that moves a lot of data with little code. */
import { setFlagsFromString } from 'node:v8';

/** V8 up to this version optimizes functions by the amount of bytecode they have run; V8 12 counts calls. */
const lastBudgetVersion = 11;

/** With V8's defaults and 200 MB of data, compilation took half of the time, and marking the heap took a tenth. */
export function engineFlags(v8Version: string): string[] {
  const flags = [
    // Blocks pass through memory fast, so the heap seems to fill up although little is kept. Marking it at once
    // takes a few milliseconds, incremental marking much longer.
    '--no-incremental-marking',
  ];
  // Optimize functions later: native code does nearly all the work, and in a run of a second, optimization costs
  // more than it gains. V8 complains about unknown flags and offers no way to query them.
  if (Number.parseInt(v8Version, 10) <= lastBudgetVersion) flags.push('--interrupt-budget=400000');
  return flags;
}

/** Call this before any work starts. */
export function tuneEngine(): void {
  for (const flag of engineFlags(process.versions.v8)) setFlagsFromString(flag);
}
