/**
 * The lock of a part is a file that names the process that holds the lock. The file lies beside the part, so
 * that removing the part does not remove a lock that another process has just acquired. If the process that
 * holds the lock has died, another process can take over the lock.
 */
import { createHash, randomBytes } from 'node:crypto';
import { link, open, readFile, rename, rm } from 'node:fs/promises';
import { P2mpError } from '../../../base/errors.js';

interface Holder {
  readonly pid: number;
  /** Start time of the process, because process IDs are reused. */
  readonly start: string;
}

/** Another store holds the lock. */
export class PartInUse extends P2mpError {}

export class PartLock {
  private constructor(private readonly path: string) {}

  /**
   * @param path path of the lock file, whose folder may vanish between attempts
   * @param makeFolder creates that folder
   * @param shown name of the part in messages
   * @throws PartInUse with the code TARGET_UNWRITABLE if another store holds the lock
   */
  static async acquire(
    path: string,
    makeFolder: () => Promise<void>,
    shown: string,
  ): Promise<PartLock> {
    const own: Holder = { pid: process.pid, start: await ownStart() };
    // An attempt fails only if another process acquires or releases the lock at the same time.
    for (let attempt = 0; attempt < 20; attempt++) {
      await makeFolder();
      if (await tryCreate(path, JSON.stringify(own))) return new PartLock(path);
      const text = await readIfThere(path);
      if (text === undefined) continue;
      const holder = parseHolder(text);
      if (holder !== undefined && (await isAlive(holder))) throw inUse(shown, holder.pid);
      // Several processes may find that the lock names a dead process. The guard lets only one of them at a
      // time check this again and then take over the lock.
      const guard = await PartLock.acquire(guardPath(path, text), makeFolder, shown);
      try {
        if ((await readIfThere(path)) !== text) continue;
        await replace(path, JSON.stringify(own));
        return new PartLock(path);
      } finally {
        await guard.release();
      }
    }
    throw inUse(shown, undefined);
  }

  async release(): Promise<void> {
    await rm(this.path, { force: true });
  }
}

function inUse(shown: string, pid: number | undefined): PartInUse {
  const who =
    pid === undefined ? 'another process' : pid === process.pid ? 'this process' : `process ${pid}`;
  const remedy = 'wait until it has finished, or stop it';
  return new PartInUse('TARGET_UNWRITABLE', `${shown}: is being received by ${who}; ${remedy}`);
}

/** Creates the lock with its content in one step. */
async function tryCreate(path: string, text: string): Promise<boolean> {
  const newPath = `${path}.${randomBytes(6).toString('hex')}`;
  try {
    await writeNew(newPath, text);
    await link(newPath, path);
    return true;
  } catch (error) {
    switch ((error as NodeJS.ErrnoException).code) {
      case 'EEXIST':
      case 'ENOENT':
        return false;
      case 'EPERM':
      case 'ENOSYS':
      case 'ENOTSUP':
      case 'EOPNOTSUPP':
        // On a file system without hard links, the lock is empty for an instant.
        return writeNew(path, text).then(
          () => true,
          (failure: NodeJS.ErrnoException) => {
            if (failure.code === 'EEXIST') return false;
            throw failure;
          },
        );
      default:
        throw error;
    }
  } finally {
    await rm(newPath, { force: true });
  }
}

async function writeNew(path: string, text: string): Promise<void> {
  const handle = await open(path, 'wx', 0o600);
  try {
    await handle.writeFile(text);
  } finally {
    await handle.close();
  }
}

/**
 * Path of a second lock that guards the takeover of this lock. A killed process may leave the second lock
 * behind.
 */
function guardPath(path: string, text: string): string {
  return `${path}.${createHash('sha256').update(text).digest('hex').slice(0, 12)}`;
}

async function replace(path: string, text: string): Promise<void> {
  const newPath = `${path}.${randomBytes(6).toString('hex')}`;
  try {
    await writeNew(newPath, text);
    await rename(newPath, path);
  } finally {
    await rm(newPath, { force: true });
  }
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** @returns undefined if the file is empty or invalid, for example after a power loss */
function parseHolder(text: string): Holder | undefined {
  try {
    const { pid, start } = JSON.parse(text);
    return Number.isInteger(pid) && pid > 0 && typeof start === 'string'
      ? { pid, start }
      : undefined;
  } catch {
    return undefined;
  }
}

async function isAlive({ pid, start }: Holder): Promise<boolean> {
  if (pid === process.pid) return start === (await ownStart());
  if (process.platform === 'linux') return start === (await linuxStart(pid));
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

let known: Promise<string> | undefined;

/** It does not change while the process lives. */
function ownStart(): Promise<string> {
  known ??= findOwnStart();
  return known;
}

async function findOwnStart(): Promise<string> {
  const linux = process.platform === 'linux' ? await linuxStart(process.pid) : undefined;
  return linux ?? `${Math.round(performance.timeOrigin)}`;
}

/** Boot ID and start tick of the process; undefined if the process has exited. */
async function linuxStart(pid: number): Promise<string | undefined> {
  const stat = await readIfThere(`/proc/${pid}/stat`).catch(() => undefined);
  const boot = await readIfThere('/proc/sys/kernel/random/boot_id').catch(() => undefined);
  if (stat === undefined) return undefined;
  // The second field is the program name, which may contain any character; see proc(5).
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  // In state Z or X, the process has exited, although its parent may not have reaped it yet.
  if (fields[0] === 'Z' || fields[0] === 'X') return undefined;
  return `${boot?.trim()} ${fields[19]}`;
}
