/** A host that relays objects of other servers to clients, over real sockets. */
import { hostname } from 'node:os';
import { setImmediate } from 'node:timers/promises';
import type { Address } from '../../base/address.js';
import { withoutUndefined } from '../../base/without-undefined.js';
import type { CacheCounts } from '../../roles/relay/cached-objects.js';
import type { CachedObject } from '../../roles/relay/object-cache.js';
import type { RelayEvent, RelayTotals } from '../../roles/relay/relay-events.js';
import { RelayMachine } from '../../roles/relay/relay-machine.js';
import type { InvitationTerms } from '../../security/invitations.js';
import { affordableFileCount } from '../disk/descriptor-limit.js';
import { FileBudget } from '../disk/store/file-budget.js';
import { createWarmCrypto } from '../keys/node-crypto.js';
import { refusalOf } from '../keys/trust-answer.js';
import type { Offload } from '../net/offload/offload-socket.js';
import { createOwnAddressCheck } from '../net/own-address.js';
import { chooseLocalPaths, hostsOf, pathFinder } from '../net/paths/local-paths.js';
import type { ClientStatus } from '../serve/serve-options.js';
import type { ServingTotals } from '../serve/serving.js';
import { refuserOf, Serving } from '../serve/serving.js';
import { LateHost } from '../serve/serving-port.js';
import { CacheFolder } from './cache-folder.js';
import { RelayCatalogue } from './relay-catalogue.js';
import type { RelayFilesEvent, RelayFilesOptions } from './relay-options.js';
import { UpstreamNames } from './upstream-names.js';

/** The most files that the cache has open. */
const defaultMaxOpenFiles = 256;

/**
 * A running relay. `relay()` makes it.
 * @example
 * ```ts
 * import { generateKeyPair, relay } from 'p2mp';
 *
 * const relaying = await relay({
 *   upstreams: [{ host: '127.0.0.1', port: 7735 }],
 *   trustUpstream: () => true,
 *   cacheFolder: 'kept',
 *   cacheLimitBytes: 1e9,
 *   port: 0,
 *   bind: ['127.0.0.1'],
 *   keyPair: await generateKeyPair(),
 *   trustClient: () => true,
 * });
 * console.log(relaying.cacheSizeBytes, relaying.totals().hits); // 0 0
 * await relaying.drain();
 * ```
 */
export class Relaying {
  private serving: Serving | undefined;
  private readonly catalogue: RelayCatalogue;

  private constructor(
    private readonly options: RelayFilesOptions,
    private readonly machine: RelayMachine,
    private readonly cache: CacheFolder,
    private readonly names: UpstreamNames,
  ) {
    const { relay, host } = machine;
    const closeRelay = () => relay.close(host.nowMs, 'the relay was stopped');
    this.catalogue = new RelayCatalogue(machine, () => host.drain(), closeRelay);
  }

  /** @throws P2mpError INVALID_ARGUMENT, TARGET_UNWRITABLE, PORT_UNAVAILABLE */
  static async open(options: RelayFilesOptions): Promise<Relaying> {
    const { keyPair, trustClient, cacheFolder: path, cacheLimitBytes } = options;
    const { maxOpenFiles = defaultMaxOpenFiles, answerTimeoutMs, patienceMs } = options;
    const paths = chooseLocalPaths(options.networkPaths);
    const localHosts = hostsOf(paths);
    const names = await UpstreamNames.open({ upstreams: options.upstreams, localHosts });
    const crypto = await createWarmCrypto(keyPair);
    const fileBudget = new FileBudget(await affordableFileCount(maxOpenFiles));
    const report = (event: RelayFilesEvent) => options.onEvent?.(event);
    const cache = await CacheFolder.open({
      ...{ path, fileBudget },
      handleError: ({ message: reason }) => report({ type: 'cache-error', name: '', reason }),
    });
    const socketHost = new LateHost();
    try {
      const machine = new RelayMachine({
        ...{ crypto, upstreams: names.servers, cache, cacheLimitBytes, ownKey: keyPair.publicKey },
        ...{ name: hostname(), host: socketHost, refuseAsker: refuserOf(trustClient) },
        ...withoutUndefined({ answerTimeoutMs, patienceMs }),
      });
      const relaying = new Relaying(options, machine, cache, names);
      const { listener, endpoint, host } = machine;
      relaying.serving = await Serving.openPort(
        options,
        {
          ...{ crypto, machine, listener, endpoint, host, socketHost, paths },
          findPaths: pathFinder(options.networkPaths, paths),
          handleMove: (nowMs) => {
            socketHost.runner?.namePaths(machine);
            machine.handleMove(nowMs);
          },
          handleOther: (event) => {
            if (event.role === 'relay') relaying.handleEvent(event.event);
          },
        },
        async () => relaying.catalogue,
      );
      socketHost.runner?.namePaths(machine);
      socketHost.runner?.watchPorts(
        () => machine.awaited(),
        (...refusal) => machine.handleRefusal(socketHost.nowMs, ...refusal),
      );
      await relaying.watchUpstreams();
      return relaying;
    } catch (error) {
      await cache.close();
      throw error;
    }
  }

  /** Reports which upstream servers do not answer, also while no client asks. */
  private async watchUpstreams(): Promise<void> {
    const { machine, names, host } = this;
    const isOwn = createOwnAddressCheck(() => this.addresses);
    try {
      names.start({
        isOwn,
        handleFound: (server) => {
          machine.addUpstream(host.nowMs, server);
          host.drain();
        },
        handleUnknown: (upstream, reason) => {
          machine.noteAbsence(upstream, reason);
          host.drain();
        },
      });
    } catch (error) {
      await this.close('this relay failed to start');
      throw error;
    }
    machine.watchUpstreams(host.nowMs);
    host.drain();
  }

  /** The addresses that the relay listens on. */
  get addresses(): Address[] {
    return this.server.addresses;
  }

  /** Whether the system sends and receives batches of datagrams. */
  get offload(): Offload {
    return this.server.offload;
  }

  /**
   * Invites clients that `trustClient` refuses. An `invited` event reports each client that comes.
   * @returns a code for the client's `invitations`. It is a secret: anyone who has it can fetch.
   * @throws P2mpError INVALID_ARGUMENT
   */
  invite(terms: InvitationTerms): string {
    return this.server.invite(terms);
  }

  /** The status of each client that fetches. */
  statuses(): ClientStatus[] {
    return this.server.statuses();
  }

  /** Number of clients that fetch. */
  get activeCount(): number {
    return this.server.activeCount;
  }

  /** What the relay has done since it was opened. */
  totals(): ServingTotals & RelayTotals {
    return { ...this.server.totals(), ...this.machine.relay.totals };
  }

  /** The objects that the cache holds as a whole, by name. */
  cached(): CachedObject[] {
    return this.machine.relay.list();
  }

  /** How many objects the cache holds, also in part. */
  get cacheCounts(): CacheCounts {
    return this.machine.relay.cached.counts;
  }

  /** What the cache takes on disk at most. */
  get cacheSizeBytes(): number {
    return this.machine.relay.cached.sizeBytes;
  }

  /** Why the relay takes no new clients; undefined if it does. */
  get refusal(): string | undefined {
    return this.server.refusal;
  }

  /** Resolves when the relay is closed. */
  get closed(): Promise<void> {
    return this.server.closed.then(() => this.release());
  }

  /**
   * Takes no new clients, and resolves when all have their outcomes. After the timeout, ends the others.
   * @returns whether all ended by themselves
   */
  async drain(timeoutMs = Infinity): Promise<boolean> {
    const isWhole = await this.server.drain(timeoutMs);
    await this.release();
    return isWhole;
  }

  /** Ends every session with this reason. What is in the cache stays. */
  async close(reason: string): Promise<void> {
    await this.server.close(reason);
    await this.release();
  }

  private async release(): Promise<void> {
    this.names.close();
    await this.cache.close();
  }

  /**
   * The server for its clients.
   * @internal
   */
  get server(): Serving {
    return this.serving as Serving;
  }

  private handleEvent(event: RelayEvent): void {
    if (event.type === 'identify') {
      void this.decide(event);
    } else if (event.type === 'lost') {
      const object = this.catalogue.offer(event.object);
      const reason = `the relay cannot get the rest of ${object.name}: ${event.reason}`;
      // Later, because this call comes from the machine.
      void setImmediate().then(() => this.server.endObject(object, reason, event.isFinal));
    } else {
      this.options.onEvent?.(event);
    }
  }

  private async decide(event: Extract<RelayEvent, { type: 'identify' }>): Promise<void> {
    const refusal = await this.refusalOf(event.upstream, event.serverKey);
    const { host, machine } = this;
    machine.trust(host.nowMs, event, refusal);
    host.drain();
  }

  private async refusalOf(upstream: string, serverKey: Uint8Array): Promise<string | undefined> {
    try {
      const answer = await this.options.trustUpstream(upstream, serverKey);
      return refusalOf(answer, 'its key is not trusted here');
    } catch (error) {
      return `its key could not be checked: ${error instanceof Error ? error.message : error}`;
    }
  }

  private get host() {
    return this.machine.host;
  }
}
