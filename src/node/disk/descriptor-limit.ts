/** Limits how many file descriptors sessions use, so that the rest of the process has enough. */
import { readdir, readFile } from 'node:fs/promises';

/** Number of descriptors assumed to be open already if the system does not report how many are. */
const assumedOpenCount = 32;

/** Number of descriptors reserved for sockets, HTTP requests, DNS lookups and child processes. */
const spareCount = 16;

/**
 * Returns how many files all sessions together can open without exceeding RLIMIT_NOFILE. Node raises the soft
 * limit to the hard limit when it starts.
 * @param wantedCount upper bound of the result
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

/**
 * @returns the limit of open descriptors; undefined if there is no limit or the system does not report one
 */
async function descriptorLimit(): Promise<number | undefined> {
  const text = await readFile('/proc/self/limits', 'latin1').catch(() => undefined);
  const soft = text === undefined ? reportedLimit() : /^Max open files +(\S+)/m.exec(text)?.[1];
  const count = Number(soft);
  return Number.isInteger(count) && count > 0 ? count : undefined;
}

/** Reads the limit from Node's diagnostic report, which takes longer but works without /proc. */
function reportedLimit(): unknown {
  const report = process.report?.getReport() as
    | { readonly userLimits?: { readonly open_files?: { readonly soft?: unknown } } }
    | undefined;
  return report?.userLimits?.open_files?.soft;
}
