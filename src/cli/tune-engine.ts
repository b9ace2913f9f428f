/** V8 settings for a short-lived command that moves a lot of data with little code. */
import { setFlagsFromString } from 'node:v8';

/** Up to this V8 version, the amount of executed bytecode decides when to optimize. V8 12 counts calls. */
const lastBudgetVersion = 11;

/**
 * @returns the V8 flags to set. In a transfer of 200 MB with V8's default flags, compilation takes half of
 *   the time and marking the heap takes a tenth.
 */
export function engineFlags(v8Version: string): string[] {
  const flags = [
    // Many short-lived blocks make V8 mark the heap often, although little memory is retained. Incremental
    // marking takes much longer than marking the whole heap at once, which takes a few milliseconds.
    '--no-incremental-marking',
  ];
  // Optimize functions later: in a run that lasts a second, optimization costs more time than it saves,
  // because native code does nearly all the work. Check the version: V8 complains about unknown flags.
  if (Number.parseInt(v8Version, 10) <= lastBudgetVersion) flags.push('--interrupt-budget=400000');
  return flags;
}

/** Call this before any work starts. */
export function tuneEngine(): void {
  for (const flag of engineFlags(process.versions.v8)) setFlagsFromString(flag);
}
