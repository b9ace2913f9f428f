/** Limits the file descriptors of sessions, so that the rest of the process has enough. */
import { readdir, readFile } from 'node:fs/promises';

/** Number of open descriptors, besides files of sessions, to assume if the system does not report it. */
const assumedOpenCount = 32;

/** Reserved for sockets, HTTP requests, DNS lookups and child processes. */
const spareCount = 16;

/**
 * The number of files that all sessions together may open within RLIMIT_NOFILE. Node raises the soft limit to the
 * hard limit at its start.
 * @param wantedCount upper bound
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

/** @returns undefined if there is no limit or the system does not report it */
async function descriptorLimit(): Promise<number | undefined> {
  const text = await readFile('/proc/self/limits', 'latin1').catch(() => undefined);
  const soft = text === undefined ? reportedLimit() : /^Max open files +(\S+)/m.exec(text)?.[1];
  const count = Number(soft);
  return Number.isInteger(count) && count > 0 ? count : undefined;
}

/** Without /proc, Node's diagnostic report contains the limit; that takes longer. */
function reportedLimit(): unknown {
  const report = process.report?.getReport() as
    | { readonly userLimits?: { readonly open_files?: { readonly soft?: unknown } } }
    | undefined;
  return report?.userLimits?.open_files?.soft;
}
