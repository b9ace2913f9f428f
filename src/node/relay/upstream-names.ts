/**
 * Finds the addresses of a relay's upstream servers. A name that is unknown at the start is looked up again until it is
 * known, because the relay can start before the network or the name server does.
 */
import { type Address, formatAddress } from '../../base/address.js';
import { P2mpError } from '../../base/errors.js';
import type { FoundReceiver, ServerSpec } from '../net/resolve-receivers.js';
import { resolveReceivers, withLocalHosts } from '../net/resolve-receivers.js';

/** The pause between two lookups of a name. */
const pauseMs = 10_000;

export interface UpstreamNamesOptions {
  readonly upstreams: readonly ServerSpec[];
  /** Local addresses from which paths begin. */
  readonly localHosts: readonly string[];
}

export interface LateNames {
  /** Whether this is an address of the relay itself. */
  readonly isOwn: (address: Address) => boolean;
  readonly handleFound: (server: FoundReceiver) => void;
  /** Called once for each reason for which a server cannot be asked. */
  readonly handleUnknown: (upstream: string, reason: string) => void;
}

const ownHint = 'is this relay itself; name the hosts that have the objects';

export class UpstreamNames {
  /** The servers without an address, with the reason. */
  private readonly unknown = new Map<ServerSpec, string>();
  private readonly found: FoundReceiver[] = [];
  private timer: NodeJS.Timeout | undefined;
  private isClosed = false;

  private constructor(private readonly options: UpstreamNamesOptions) {}

  /** @throws P2mpError INVALID_ARGUMENT */
  static async open(options: UpstreamNamesOptions): Promise<UpstreamNames> {
    const names = new UpstreamNames(options);
    names.found.push(...(await names.lookUp(options.upstreams)));
    return names;
  }

  /** The servers whose addresses are known. */
  get servers(): readonly FoundReceiver[] {
    return this.found;
  }

  /**
   * Looks the other names up again from now on.
   * @throws P2mpError INVALID_ARGUMENT if a server is the relay itself
   */
  start(late: LateNames): void {
    const own = this.found.find(({ address }) => late.isOwn(address));
    if (own !== undefined) throw new P2mpError('INVALID_ARGUMENT', `${own.name} ${ownHint}`);
    for (const [spec, reason] of this.unknown) late.handleUnknown(nameOf(spec), reason);
    this.schedule(late);
  }

  close(): void {
    this.isClosed = true;
    clearTimeout(this.timer);
  }

  private schedule(late: LateNames): void {
    if (this.unknown.size === 0 || this.isClosed) return;
    this.timer = setTimeout(() => void this.lookAgain(late), pauseMs).unref();
  }

  private async lookAgain(late: LateNames): Promise<void> {
    for (const [spec, before] of [...this.unknown]) {
      this.unknown.delete(spec);
      const server = await this.lookUpOne(spec, late);
      if (this.isClosed) return;
      const reason = this.unknown.get(spec);
      if (server !== undefined) {
        this.found.push(server);
        late.handleFound(server);
      } else if (reason !== undefined && reason !== before) {
        late.handleUnknown(nameOf(spec), reason);
      }
    }
    this.schedule(late);
  }

  /** @returns undefined if it cannot be used; then `unknown` has the reason */
  private async lookUpOne(spec: ServerSpec, late: LateNames): Promise<FoundReceiver | undefined> {
    try {
      const [server] = await this.lookUp([spec]);
      if (server === undefined) return undefined;
      const twin = this.found.find(
        ({ address }) => formatAddress(address) === formatAddress(server.address),
      );
      if (late.isOwn(server.address)) this.unknown.set(spec, ownHint);
      else if (twin === undefined) return server;
      else this.unknown.set(spec, `is the same host and port as ${twin.name}`);
    } catch (error) {
      this.unknown.set(spec, reasonOf(spec, error));
    }
    return undefined;
  }

  private async lookUp(specs: readonly ServerSpec[]): Promise<FoundReceiver[]> {
    const found = await resolveReceivers(specs, (spec, error) =>
      this.unknown.set(spec, reasonOf(spec, error)),
    );
    return withLocalHosts(found, this.options.localHosts);
  }
}

function nameOf({ host, name = host }: ServerSpec): string {
  return name;
}

/** The message without the name of the host, which comes before each reason anyway. */
function reasonOf({ host }: ServerSpec, error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.startsWith(`${host}: `) ? message.slice(host.length + 2) : message;
}
