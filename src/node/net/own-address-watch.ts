/** Notices changes of this host's addresses. Node does not report them, so the list is read once a second. */
import type { NetworkInterfaceInfo } from 'node:os';
import { networkInterfaces } from 'node:os';

const checkMs = 1000;

export class OwnAddressWatch {
  private known: string;
  private readonly timer: NodeJS.Timeout;

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
    if (current === this.known) return;
    this.known = current;
    this.handleChange();
  }

  /** Calls `handleChange` at the next check, whatever the addresses are then. */
  checkAgain(): void {
    this.known = '';
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
