/** Notices changes of this host's addresses. Node does not report them, so the list is read once a second. */
import type { NetworkInterfaceInfo } from 'node:os';
import { networkInterfaces } from 'node:os';

const checkMs = 1000;

export class OwnAddressWatch {
  private known: string;
  /** Whether to call `handleChange` at the next check, whatever the addresses are then. */
  private looksAgain = false;
  private readonly timer: NodeJS.Timeout;

  /** @param handleChange called after a change, and again at the next check */
  constructor(
    private readonly handleChange: () => void,
    private readonly interfaces: () => NodeJS.Dict<NetworkInterfaceInfo[]> = networkInterfaces,
  ) {
    this.known = this.list();
    this.timer = setInterval(() => this.check(), checkMs);
    this.timer.unref();
  }

  /** Compares the addresses with those of the last check. */
  check(): void {
    const current = this.list();
    const isChanged = current !== this.known;
    if (!isChanged && !this.looksAgain) return;
    this.known = current;
    // The routes of an address may come a moment after it.
    this.looksAgain = isChanged;
    this.handleChange();
  }

  /** Calls `handleChange` at the next check, whatever the addresses are then. */
  checkAgain(): void {
    this.looksAgain = true;
  }

  close(): void {
    clearInterval(this.timer);
  }

  private list(): string {
    return Object.entries(this.interfaces())
      .flatMap(([name, infos = []]) => infos.map(({ address }) => `${name} ${address}`))
      .toSorted()
      .join('\n');
  }
}
