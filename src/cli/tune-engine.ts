/** Settings of V8 for a command that moves much data by little code, and is over soon. */
import { setFlagsFromString } from 'node:v8';

/** Functions are compiled for speed by how much bytecode they have run; V8 12 counts calls instead. */
const lastBudgetVersion = 11;

/** Measured with 200 MB: half of the default's time went into compiling, and a tenth into marking. */
export function engineFlags(v8Version: string): string[] {
  const flags = [
    // Blocks pass through memory fast, which looks like a heap that fills; but little is kept. To mark it all
    // at once takes a few milliseconds, step by step beside the work much longer.
    '--no-incremental-marking',
  ];
  // Functions run for longer before they are compiled for speed: nearly all the work is done by the system's
  // own code, and compiling for minutes to come costs more than it brings in a second.
  // V8 prints a complaint about a flag that it does not know, and has no way to ask first.
  if (Number.parseInt(v8Version, 10) <= lastBudgetVersion) flags.push('--interrupt-budget=400000');
  return flags;
}

/** To be called before the work begins. */
export function tuneEngine(): void {
  for (const flag of engineFlags(process.versions.v8)) setFlagsFromString(flag);
}
