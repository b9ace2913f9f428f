/** How many file descriptors this process may have open, so that sessions leave room for the rest. */
import { readdir, readFile } from 'node:fs/promises';

/** What this process has open besides files of sessions, where the system does not say. */
const assumedOpenCount = 32;

/** Left for sockets, status requests, look-ups of names and children that start later. */
const spareCount = 16;

/**
 * Files that sessions may have open, all together, within the limit of this process (RLIMIT_NOFILE).
 * Node has raised the soft limit to the hard one when it started.
 * @param wantedCount the most that is of use
 */
export async function affordableFileCount(wantedCount: number): Promise<number> {
  const limit = await descriptorLimit();
  if (limit === undefined) return wantedCount;
  const openCount = await readdir('/proc/self/fd').then(
    (names) => names.length,
    () => assumedOpenCount,
  );
  return Math.max(1, Math.min(wantedCount, limit - openCount - spareCount));
}

/** @returns undefined where there is no limit, or the system does not say */
async function descriptorLimit(): Promise<number | undefined> {
  const text = await readFile('/proc/self/limits', 'latin1').catch(() => undefined);
  const soft = text === undefined ? reportedLimit() : /^Max open files +(\S+)/m.exec(text)?.[1];
  const count = Number(soft);
  return Number.isInteger(count) && count > 0 ? count : undefined;
}

/** Systems without /proc tell it in Node's diagnostic report, which takes longer. */
function reportedLimit(): unknown {
  const report = process.report?.getReport() as
    | { readonly userLimits?: { readonly open_files?: { readonly soft?: unknown } } }
    | undefined;
  return report?.userLimits?.open_files?.soft;
}
