/**
 * A clock that a test sets, for programs that it starts. Calls the library of faketime directly, since the faketime
 * command leaves shared memory.
 */
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const library = [
  '/usr/lib/x86_64-linux-gnu',
  '/usr/lib/aarch64-linux-gnu',
  '/usr/lib64',
  '/usr/lib',
]
  .map((folder) => join(folder, 'faketime/libfaketimeMT.so.1'))
  .find((path) => existsSync(path));

/** The reason to skip a test, or false. */
export const noFaketime = library === undefined && 'faketime is not available';

export class FakedClock {
  /** The environment of a program that sees this clock. */
  readonly env: Readonly<Record<string, string>>;

  /** @param path of a file that the clock needs */
  constructor(private readonly path: string) {
    this.set('+0');
    this.env = {
      LD_PRELOAD: String(library),
      FAKETIME_TIMESTAMP_FILE: path,
      FAKETIME_NO_CACHE: '1',
      // CLOCK_MONOTONIC does not jump in reality either.
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
    };
  }

  /** @param offset such as `+3d` */
  set(offset: string): void {
    writeFileSync(this.path, offset);
  }
}
