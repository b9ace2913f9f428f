/** Fetches an object from one or many servers into a folder, over real sockets. */
import { hostname } from 'node:os';
import { P2mpError } from '../base/errors.js';
import { checkOptions } from '../base/options/check-options.js';
import { withoutUndefined } from '../base/without-undefined.js';
import { FetchMachine } from '../roles/fetch/fetch-machine.js';
import type { FetchResult, FetchRoleEvent } from '../roles/fetch/fetch-result.js';
import { affordableFileCount } from './disk/descriptor-limit.js';
import { SessionParts } from './disk/parts/session-parts.js';
import { removeStaleParts } from './disk/parts/stale-parts.js';
import { FileBudget } from './disk/store/file-budget.js';
import { allocationBytesAt } from './disk/store/free-space.js';
import { PlacedIndex } from './disk/store/placed-files.js';
import { TargetFolder } from './disk/store/target-folder.js';
import type { FetchFilesOptions } from './fetch/fetch-options.js';
import { fetchChecks } from './fetch/fetch-options.js';
import { generateKeyPair } from './keys/key-files.js';
import { createNodeCrypto } from './keys/node-crypto.js';
import { refusalOf } from './keys/trust-answer.js';
import type { FoundReceiver } from './net/resolve-receivers.js';
import { resolveReceivers } from './net/resolve-receivers.js';
import { SendErrorLog } from './net/send-error-log.js';
import { SessionGroups } from './net/session-groups.js';
import { SocketRunner } from './net/socket-runner.js';

const defaultMaxOpenFiles = 256;

/** The longest wait for the sources' confirmations of the end. */
const farewellMs = 2000;
const farewellCheckMs = 10;

/**
 * Fetches an object into a folder.
 * @returns the result, also if the fetch failed or was stopped by the signal
 * @throws P2mpError INVALID_ARGUMENT, UNKNOWN_HOST, TARGET_UNWRITABLE, PORT_UNAVAILABLE, before anything is sent
 * @example
 * ```ts
 * import { readFileSync, writeFileSync } from 'node:fs';
 * import { fetch, generateKeyPair, serve } from 'p2mp';
 *
 * writeFileSync('a.txt', 'abc');
 * const serving = await serve({
 *   paths: ['a.txt'],
 *   port: 0,
 *   bind: ['127.0.0.1'],
 *   keyPair: await generateKeyPair(),
 *   trustClient: () => true,
 * });
 * const result = await fetch({
 *   name: 'a.txt',
 *   sources: serving.addresses,
 *   dir: 'fetched',
 *   trustSource: () => true,
 * });
 * console.log(result.status, readFileSync('fetched/a.txt', 'utf8')); // complete abc
 * await serving.close('done');
 * ```
 */
export async function fetch(options: FetchFilesOptions): Promise<FetchResult> {
  checkOptions(options, fetchChecks);
  const { name = '', root, sources, dir, keyPair, signal } = options;
  if (name === '' && root === undefined)
    throw new P2mpError('INVALID_ARGUMENT', 'nothing to fetch: give a name or a root');
  signal?.throwIfAborted();
  const specs = await resolveReceivers(sources);
  await (await TargetFolder.open(dir)).checkTakesFiles();
  await removeStaleParts(dir, undefined);
  const pair = keyPair ?? (await generateKeyPair());
  const placed = await PlacedIndex.open(undefined);
  const fileCount = await affordableFileCount(options.maxOpenFiles ?? defaultMaxOpenFiles);
  const stores = new SessionParts({
    ...{ dir, fileBudget: new FileBudget(fileCount), placed, protectedPaths: [] },
    ...{ updatesModes: false, verifiesDisk: options.verifiesDisk ?? false },
    // Each block is verified, so it does not matter which source sent it.
    ...{ sharesParts: true, comparesAll: true, handleBadBlock: () => undefined },
  });
  const fetching = new Fetching(options);
  try {
    const { split, existing, patienceMs, mssBytes } = options;
    const machine = new FetchMachine({
      ...{ crypto: await createNodeCrypto(pair), ownKey: pair.publicKey, name: hostname() },
      platform: process.platform === 'win32' ? 'windows' : 'posix',
      limits: {
        ...{ maxBytes: Infinity, maxEntries: Infinity },
        allocationBytes: await allocationBytesAt(dir),
      },
      ...{ stores, host: fetching.driverHost, sources: specs },
      what: {
        name,
        ...(root === undefined ? {} : { root: Uint8Array.from(Buffer.from(root, 'hex')) }),
      },
      ...withoutUndefined({ split, existing, patienceMs, mssBytes }),
    });
    return await fetching.run(machine, specs);
  } finally {
    await stores.settle();
    placed.close();
  }
}

/** One run over real sockets. */
class Fetching {
  private runner: SocketRunner<FetchRoleEvent> | undefined;
  private readonly sendErrors = new SendErrorLog((message) =>
    this.options.onEvent?.({ type: 'send-error', message }),
  );

  private readonly groups = new SessionGroups(
    () => this.runner?.sockets,
    (group, reason) => this.options.onEvent?.({ type: 'no-group', group, reason }),
  );

  constructor(private readonly options: FetchFilesOptions) {}

  get driverHost() {
    const now = () => this.runner?.nowMs ?? 0;
    return {
      get nowMs() {
        return now();
      },
      drain: () => this.runner?.drain(),
    };
  }

  async run(machine: FetchMachine, specs: readonly FoundReceiver[]): Promise<FetchResult> {
    const { port = 0, bind, signal } = this.options;
    const runner = await this.open(machine, port, bind);
    const stop = () => {
      machine.abort(runner.nowMs, 'the fetch was stopped; what has arrived is kept');
      runner.drain();
    };
    const progress = this.startProgress(machine, runner);
    try {
      const result = await new Promise<FetchResult>((resolve, reject) => {
        this.handleEnd = resolve;
        this.crash = reject;
        signal?.addEventListener('abort', stop, { once: true });
        machine.start(runner.nowMs);
        for (const spec of specs)
          if (spec.noRoute !== undefined) machine.leave(runner.nowMs, spec, spec.noRoute);
        runner.watchPorts(
          () => machine.awaited(),
          (...refusal) => machine.handleRefusal(runner.nowMs, ...refusal),
        );
        runner.drain();
        if (signal?.aborted) stop();
      });
      await this.sayFarewell(machine, runner);
      return result;
    } finally {
      clearInterval(progress);
      signal?.removeEventListener('abort', stop);
      await runner.close();
    }
  }

  private handleEnd: (result: FetchResult) => void = () => undefined;
  private crash: (error: unknown) => void = () => undefined;

  private open(machine: FetchMachine, port: number, bind: readonly string[] | undefined) {
    return SocketRunner.open<FetchRoleEvent>({
      ...{ machine, port, ...withoutUndefined({ bind }) },
      receivesBatches: true,
      handleEvent: (event) => this.handleEvent(machine, event),
      handleSendError: (error) => this.sendErrors.add(error),
    }).then((runner) => {
      this.runner = runner;
      return runner;
    });
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
    this.options.onEvent?.(event);
    if (event.type === 'end') this.handleEnd(event.result);
  }

  private async decide(
    machine: FetchMachine,
    { ask, source, serverKey }: Extract<FetchRoleEvent, { type: 'identify' }>,
  ): Promise<void> {
    const answer = await this.options.trustSource(source, serverKey);
    machine.trust(this.runner?.nowMs ?? 0, ask, refusalOf(answer, 'its key is not trusted here'));
    this.runner?.drain();
  }

  private startProgress(
    machine: FetchMachine,
    runner: SocketRunner<FetchRoleEvent>,
  ): NodeJS.Timeout | undefined {
    const { onEvent, progressIntervalMs = 1000 } = this.options;
    if (onEvent === undefined) return undefined;
    const startedAtMs = runner.nowMs;
    return setInterval(() => {
      const { nowMs } = runner;
      const { activity, contentSizeBytes } = machine;
      const report = machine.report(nowMs);
      const elapsedMs = nowMs - startedAtMs;
      onEvent({ type: 'progress', activity, report, contentSizeBytes, elapsedMs });
    }, progressIntervalMs);
  }

  /** Lets the sources confirm the end, so that they need not ask for it. */
  private async sayFarewell(
    machine: FetchMachine,
    runner: SocketRunner<FetchRoleEvent>,
  ): Promise<void> {
    const untilMs = runner.nowMs + farewellMs;
    while (!machine.isConfirmed && runner.nowMs < untilMs)
      await new Promise((resolve) => setTimeout(resolve, farewellCheckMs));
  }
}
