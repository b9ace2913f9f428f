/** The upstream servers of a relay: those with an address, and those whose names are not known yet. */
import type { ReceiverSpec } from '../../transfer/receiver-spec.js';

export class Upstreams {
  private readonly found: ReceiverSpec[];
  private readonly unknown = new Map<string, string>();

  constructor(servers: readonly ReceiverSpec[]) {
    this.found = [...servers];
  }

  /** The servers that can be asked. */
  get servers(): readonly ReceiverSpec[] {
    return this.found;
  }

  /** For each server without an address, the reason. */
  get absences(): ReadonlyMap<string, string> {
    return this.unknown;
  }

  add(server: ReceiverSpec): void {
    this.unknown.delete(server.name);
    this.found.push(server);
  }

  noteAbsence(name: string, reason: string): void {
    this.unknown.set(name, reason);
  }
}

/** An upstream server that has not answered for this time probably will not. On a working path, it takes some round trips. */
export const noticeableMs = 2000;

/** @param reasons why upstream servers are of no use, by their names */
export function joinReasons(reasons: Iterable<readonly [server: string, reason: string]>): string {
  return [...reasons].map(([server, reason]) => `${server}: ${reason}`).join('; ');
}
