/** A running fetch, over real sockets. */
import { hostname } from 'node:os';
import { formatAddress } from '../../base/address.js';
import { withoutUndefined } from '../../base/without-undefined.js';
import { FetchMachine } from '../../roles/fetch/fetch-machine.js';
import type { FetchResult, FetchRoleEvent } from '../../roles/fetch/fetch-result.js';
import { affordableFileCount } from '../disk/descriptor-limit.js';
import { SessionParts } from '../disk/parts/session-parts.js';
import { removeStaleParts } from '../disk/parts/stale-parts.js';
import { FileBudget } from '../disk/store/file-budget.js';
import { allocationBytesAt } from '../disk/store/free-space.js';
import { PlacedIndex } from '../disk/store/placed-files.js';
import { TargetFolder } from '../disk/store/target-folder.js';
import { parseInvitation } from '../keys/invitation-code.js';
import type { KeyPair } from '../keys/key-files.js';
import { generateKeyPair } from '../keys/key-files.js';
import { createNodeCrypto } from '../keys/node-crypto.js';
import { refusalOf } from '../keys/trust-answer.js';
import { SessionGroups } from '../net/groups/session-groups.js';
import type { LocalPath } from '../net/paths/local-paths.js';
import { chooseLocalPaths, hostsOf, pathFinder } from '../net/paths/local-paths.js';
import type { FoundReceiver, ServerSpec } from '../net/resolve-receivers.js';
import { resolveReceivers, withLocalHosts } from '../net/resolve-receivers.js';
import { SendErrorLog } from '../net/send-error-log.js';
import { SocketRunner } from '../net/socket-runner.js';
import type { FetchFilesOptions } from './fetch-options.js';

const defaultMaxOpenFiles = 256;

const anyKey = new Uint8Array(32);

/** The longest wait for the sources' confirmations of the end. */
const farewellMs = 2000;
const farewellCheckMs = 1;

/**
 * A running fetch. `startFetch` starts one.
 * @example
 * ```ts
 * import { startFetch } from 'p2mp';
 *
 * const controller = new AbortController();
 * const fetching = await startFetch({
 *   name: 'c.txt',
 *   sources: [{ host: '127.0.0.1', port: 9 }],
 *   dir: 'fetched',
 *   trustSource: () => true,
 *   signal: controller.signal,
 * });
 * controller.abort();
 * console.log((await fetching.result).status); // failed
 * ```
 */
export class Fetching {
  /** The result, also if the fetch failed or was stopped by the signal. */
  readonly result: Promise<FetchResult>;
  private machine: FetchMachine | undefined;
  private runner: SocketRunner<FetchRoleEvent> | undefined;
  private sources: readonly FoundReceiver[] = [];
  private startedAtMs = 0;
  /** Each source as `host:port`, by its name. */
  private readonly givenAs = new Map<string, string>();
  private readonly sendErrors = new SendErrorLog((message) =>
    this.options.onEvent?.({ type: 'send-error', message }),
  );
  private readonly groups = new SessionGroups(
    () => this.runner?.sockets,
    (group, reason) => this.options.onEvent?.({ type: 'no-group', group, reason }),
  );
  private handleEnd: (result: FetchResult) => void = () => undefined;
  private crash: (error: unknown) => void = () => undefined;

  private constructor(
    private readonly options: FetchFilesOptions,
    private readonly stores: SessionParts,
    private readonly placed: PlacedIndex,
    private readonly paths: readonly LocalPath[],
  ) {
    const ended = new Promise<FetchResult>((resolve, reject) => {
      this.handleEnd = resolve;
      this.crash = reject;
    });
    this.result = this.run(ended);
    // The caller might not look at the result before it is rejected.
    this.result.catch(() => undefined);
  }

  /** @throws P2mpError INVALID_ARGUMENT, UNKNOWN_HOST, TARGET_UNWRITABLE, PORT_UNAVAILABLE */
  static async open(options: FetchFilesOptions): Promise<Fetching> {
    const { dir, keyPair, maxOpenFiles = defaultMaxOpenFiles } = options;
    // Its library loads while the disk answers.
    const crypto = loadCrypto(keyPair);
    crypto.catch(() => undefined);
    const found = await resolveReceivers(options.sources.map(named));
    const peers = found.map(({ address }) => address);
    const paths = chooseLocalPaths(options.networkPaths, { peers });
    await (await TargetFolder.open(dir)).checkTakesFiles();
    await removeStaleParts(dir, undefined);
    const placed = await PlacedIndex.open(undefined);
    const stores = new SessionParts({
      ...{ dir, placed, protectedPaths: [], updatesModes: false },
      fileBudget: new FileBudget(await affordableFileCount(maxOpenFiles)),
      verifiesDisk: options.verifiesDisk ?? false,
      // Each block is verified, so it does not matter which source sent it.
      ...{ sharesParts: true, continuesEarlier: true, comparesAll: true, answersEarly: true },
      handleBadBlock: () => undefined,
    });
    const fetching = new Fetching(options, stores, placed, paths);
    try {
      await fetching.begin(await fetching.withLocalHosts(found), await crypto);
    } catch (error) {
      fetching.crash(error);
      await fetching.result.catch(() => undefined);
      throw error;
    }
    return fetching;
  }

  /**
   * Changes the sources: new ones join, and missing ones leave. Those that were excluded are asked again, except those
   * that have sent something wrong. The others stay as they are.
   * @throws P2mpError INVALID_ARGUMENT, UNKNOWN_HOST; then all stay as they are
   */
  async setSources(sources: readonly ServerSpec[]): Promise<void> {
    const found = await this.withLocalHosts(await resolveReceivers(sources.map(named)));
    this.noteNames(sources);
    const { machine, runner } = this;
    if (machine === undefined || runner === undefined) return;
    const before = new Map(this.sources.map((each) => [formatAddress(each.address), each]));
    // New ones first, because the fetch ends when no source is left.
    this.sources = found.map((each) => {
      const key = formatAddress(each.address);
      const earlier = before.get(key) ?? each;
      before.delete(key);
      if (!machine.join(runner.nowMs, each)) return earlier;
      this.leaveUnrouted(machine, each);
      return each;
    });
    for (const each of before.values())
      machine.leave(runner.nowMs, each, 'is not among the sources any more');
    runner.drain();
  }

  /** Asks the sources. */
  private async begin(
    sources: readonly FoundReceiver[],
    { crypto, keyPair }: Awaited<ReturnType<typeof loadCrypto>>,
  ): Promise<void> {
    const { name = '', root, dir, split, existing, patienceMs, mssBytes } = this.options;
    const { port = 0, bind, signal, originKey } = this.options;
    const invitations = this.options.invitations?.map(parseInvitation);
    const receiverKey = keyPair.publicKey;
    const origin = originKey === undefined ? undefined : { originKey, receiverKey };
    const machine = new FetchMachine({
      crypto,
      // Parts do not depend on a key, which may be a new one for each fetch.
      ...{ ownKey: anyKey, name: hostname(), stores: this.stores, sources },
      platform: process.platform === 'win32' ? 'windows' : 'posix',
      limits: {
        ...{ maxBytes: Infinity, maxEntries: Infinity },
        allocationBytes: await allocationBytesAt(dir),
      },
      host: this.driverHost,
      what: {
        name,
        ...(root === undefined ? {} : { root: Uint8Array.from(Buffer.from(root, 'hex')) }),
      },
      ...withoutUndefined({ split, existing, patienceMs, mssBytes, invitations, origin }),
    });
    const runner = await SocketRunner.open<FetchRoleEvent>({
      ...{ machine, port, paths: this.paths, ...withoutUndefined({ bind }) },
      receivesBatches: true,
      handleEvent: (event) => this.handleEvent(machine, event),
      handleSendError: (error) => this.sendErrors.add(error),
      findPaths: pathFinder(this.options.networkPaths, this.paths, {
        peers: sources.map(({ address }) => address),
      }),
      handleMove: (nowMs) => {
        runner.namePaths(machine);
        machine.handleMove(nowMs);
      },
    });
    runner.namePaths(machine);
    this.noteNames(this.options.sources);
    this.machine = machine;
    this.runner = runner;
    this.sources = sources;
    this.startedAtMs = runner.nowMs;
    machine.start(this.startedAtMs);
    for (const each of sources) this.leaveUnrouted(machine, each);
    runner.watchPorts(
      () => machine.awaited(),
      (...refusal) => machine.handleRefusal(runner.nowMs, ...refusal),
    );
    signal?.addEventListener('abort', this.stop, { once: true });
    runner.drain();
    if (signal?.aborted) this.stop();
  }

  private withLocalHosts(sources: readonly FoundReceiver[]): Promise<FoundReceiver[]> {
    return withLocalHosts(sources, hostsOf(this.paths));
  }

  private noteNames(sources: readonly ServerSpec[]): void {
    for (const { host, port, name = formatAddress({ host, port }) } of sources)
      this.givenAs.set(name, formatAddress({ host, port }));
  }

  private async run(ended: Promise<FetchResult>): Promise<FetchResult> {
    let progress: NodeJS.Timeout | undefined;
    try {
      progress = this.startProgress();
      const result = await ended;
      await this.sayFarewell();
      return result;
    } finally {
      clearInterval(progress);
      this.options.signal?.removeEventListener('abort', this.stop);
      await this.runner?.close();
      await this.stores.settle();
      this.placed.close();
    }
  }

  private readonly stop = (): void => {
    const { machine, runner } = this;
    if (runner === undefined) return;
    machine?.abort(runner.nowMs, 'the fetch was stopped; what has arrived is kept');
    runner.drain();
  };

  private get driverHost() {
    const now = () => this.runner?.nowMs ?? 0;
    return {
      get nowMs() {
        return now();
      },
      drain: () => this.runner?.drain(),
    };
  }

  private leaveUnrouted(machine: FetchMachine, source: FoundReceiver): void {
    const { noRoute } = source;
    if (noRoute !== undefined) machine.leave(this.runner?.nowMs ?? 0, source, noRoute);
  }

  private handleEvent(machine: FetchMachine, event: FetchRoleEvent): void {
    if (event.type === 'identify') {
      this.decide(machine, event).catch((error: unknown) => this.crash(error));
      return;
    }
    if (event.type === 'join') {
      this.groups.join(event.session, event.group);
      return;
    }
    if (event.type === 'leave') {
      this.groups.leave(event.session);
      return;
    }
    if (event.type === 'ready') return;
    this.options.onEvent?.(event.type === 'segment' ? this.sinceStart(event) : event);
    if (event.type === 'end') this.handleEnd(event.result);
  }

  private sinceStart(segment: Extract<FetchRoleEvent, { type: 'segment' }>) {
    const { startMs, endMs } = segment;
    return {
      ...segment,
      startMs: startMs - this.startedAtMs,
      endMs: endMs - this.startedAtMs,
    };
  }

  private async decide(
    machine: FetchMachine,
    { ask, source, serverKey }: Extract<FetchRoleEvent, { type: 'identify' }>,
  ): Promise<void> {
    const answer = await this.options.trustSource(this.givenAs.get(source) ?? source, serverKey);
    machine.trust(this.runner?.nowMs ?? 0, ask, refusalOf(answer, 'its key is not trusted here'));
    this.runner?.drain();
  }

  private startProgress(): NodeJS.Timeout | undefined {
    const { onEvent, progressIntervalMs = 1000 } = this.options;
    if (onEvent === undefined) return undefined;
    const startedAtMs = performance.now();
    return setInterval(() => {
      const { machine, runner } = this;
      if (machine === undefined || runner === undefined) return;
      const { nowMs } = runner;
      const { activity, contentSizeBytes } = machine;
      const elapsedMs = nowMs - startedAtMs;
      const report = machine.report(nowMs);
      onEvent({ type: 'progress', activity, report, contentSizeBytes, elapsedMs });
    }, progressIntervalMs);
  }

  /** Lets the sources confirm the end, so that they need not ask for it. */
  private async sayFarewell(): Promise<void> {
    const { machine, runner } = this;
    if (machine === undefined || runner === undefined) return;
    const untilMs = runner.nowMs + farewellMs;
    while (!machine.isConfirmed && runner.nowMs < untilMs)
      await new Promise((resolve) => setTimeout(resolve, farewellCheckMs));
  }
}

/** @param givenPair by default a new one */
async function loadCrypto(givenPair: KeyPair | undefined) {
  const keyPair = givenPair ?? (await generateKeyPair());
  return { keyPair, crypto: await createNodeCrypto(keyPair) };
}

/** Several sources can be on one host. */
function named({ host, port, name = formatAddress({ host, port }) }: ServerSpec): ServerSpec {
  return { host, port, name };
}
