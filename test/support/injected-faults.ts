/**
 * Faults of the operating system, injected with strace: system calls of a running program fail or
 * take long.
 */
import { spawnSync } from 'node:child_process';
import { type Cleaner, Program } from './processes.js';

/** The reason why faults cannot be injected here, or undefined. */
export const noInjection =
  spawnSync('strace', ['-e', 'trace=none', 'true']).status === 0
    ? false
    : 'strace is not available or may not trace';

/** Calls that write to files. Plain `write` also wakes threads and must not fail. */
export const writing = 'pwrite64,pwritev,pwritev2';
export const syncing = 'fsync,fdatasync';
export const sending = 'sendmsg,sendmmsg,sendto';

export class InjectedFault {
  private constructor(private readonly program: Program) {}

  /**
   * @param calls of the system, separated by commas
   * @param fault as strace's inject takes it: `error=EIO`, `error=ENOBUFS:when=10+10`, `delay_enter=20000`
   * @param path the file whose calls fail; by default, all calls fail
   */
  static async begin(
    t: Cleaner,
    pid: number,
    calls: string,
    fault: string,
    path?: string,
  ): Promise<InjectedFault> {
    const what = ['-e', `trace=${calls}`, '-e', `inject=${calls}:${fault}`];
    if (path !== undefined) what.push('-P', path);
    const program = new Program(t, 'strace', ['-f', '-p', `${pid}`, '-o', '/dev/null', ...what]);
    await program.waitFor(/attached/, 'stderr');
    return new InjectedFault(program);
  }

  async end(): Promise<void> {
    this.program.kill('SIGINT');
    await this.program.exited;
  }
}
