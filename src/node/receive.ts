/** Receives concurrent sessions over real sockets. Each session has its own store for incomplete files. */

import { ignoringMachine, type Machine } from '../base/machine.js';
import { withoutUndefined } from '../base/without-undefined.js';
import type { ReceiverEvent } from '../classic/receiver-events.js';
import type { EndpointEvent } from '../endpoint/endpoint.js';
import { Endpoint } from '../endpoint/endpoint.js';
import { StoreDriver } from '../session/drivers/store-driver.js';
import { SessionReceiver } from '../session/receiver.js';
import type { SessionReceiverEvent } from '../session/receiver-events.js';
import { SessionParts } from './disk/parts/session-parts.js';
import { PlacedIndex } from './disk/store/placed-files.js';
import { FileReceiver } from './file-receiver.js';
import { createWarmCrypto } from './keys/node-crypto.js';
import { chooseLocalPaths, pathFinder } from './net/paths/local-paths.js';
import type { HostFolder } from './receive/receiving-host.js';
import { machineOptionsOf, prepareFolder, ReceivingHost } from './receive/receiving-host.js';
import type { ReceiveOptions } from './receive-options.js';
import { checkReceiveOptions } from './receive-options.js';

type PortEvent = EndpointEvent<ReceiverEvent>;

/**
 * Starts receiving sessions, until the signal aborts or `close` is called.
 * @throws P2mpError INVALID_ARGUMENT, TARGET_UNWRITABLE, PORT_UNAVAILABLE; the reason of the signal if it aborts
 *   before the receiver listens
 * @example
 * ```ts
 * import { readFileSync, writeFileSync } from 'node:fs';
 * import { generateKeyPair, receive, send } from 'p2mp';
 *
 * const receiving = await receive({
 *   dir: 'received',
 *   port: 0,
 *   bind: ['127.0.0.1'],
 *   keyPair: await generateKeyPair(),
 *   trustSender: () => true,
 * });
 * writeFileSync('a.txt', 'abc');
 * const receivers = receiving.addresses;
 * await send({ paths: ['a.txt'], receivers, trustReceiver: () => true });
 * console.log(readFileSync('received/a.txt', 'utf8')); // abc
 * await receiving.close('done');
 * ```
 */
export async function receive(options: ReceiveOptions): Promise<Receiving> {
  checkReceiveOptions(options);
  const { signal } = options;
  signal?.throwIfAborted();
  const receiving = await Receiving.open(options);
  const stop = () => void receiving.close('the receiver was stopped');
  signal?.addEventListener('abort', stop, { once: true });
  if (signal?.aborted) {
    await receiving.close('the receiver was stopped');
    throw signal.reason;
  }
  return receiving;
}

/**
 * A running session receiver.
 * @example
 * ```ts
 * import { generateKeyPair, receive } from 'p2mp';
 *
 * const receiving = await receive({
 *   dir: 'received',
 *   port: 0,
 *   bind: ['127.0.0.1'],
 *   keyPair: await generateKeyPair(),
 *   trustSender: () => true,
 * });
 * console.log(receiving.activeCount, receiving.totals().complete); // 0 0
 * await receiving.drain();
 * ```
 */
export class Receiving extends ReceivingHost<PortEvent> {
  private classic: FileReceiver | undefined;
  private handleClassicEvent: (event: ReceiverEvent) => void = () => undefined;
  private readonly parts: SessionParts;
  private readonly storeDriver: StoreDriver;

  private constructor(
    private readonly options: ReceiveOptions,
    private readonly machine: SessionReceiver,
    { fileBudget }: HostFolder,
    private readonly placed: PlacedIndex,
  ) {
    super(options, machine, 'receiver');
    const { dir, existing, verifiesDisk = false, sharesParts = false } = options;
    const { comparesAll = false, updatesModes = false, protectedPaths = [] } = options;
    this.parts = new SessionParts({
      ...{ dir, fileBudget, placed, verifiesDisk, sharesParts, comparesAll, updatesModes },
      protectedPaths: [...protectedPaths, ...[options.placedPath ?? []].flat()],
      ...withoutUndefined({ existing }),
      handleBadBlock: (session, block, names) => {
        const info = this.machine.find(session)?.info;
        if (info !== undefined) options.onEvent?.({ type: 'bad-block', info, block, names });
      },
    });
    const now = () => this.runner?.nowMs ?? 0;
    this.storeDriver = new StoreDriver(machine, this.parts, {
      get nowMs() {
        return now();
      },
      drain: () => this.runner?.drain(),
    });
  }

  /** @throws P2mpError INVALID_ARGUMENT, TARGET_UNWRITABLE, PORT_UNAVAILABLE */
  static async open(options: ReceiveOptions): Promise<Receiving> {
    checkReceiveOptions(options);
    const { keyPair, maxEntries, mayDelete } = options;
    const paths = chooseLocalPaths(options.networkPaths);
    const folder = await prepareFolder(options);
    const machine = new SessionReceiver({
      crypto: await createWarmCrypto(keyPair),
      ...machineOptionsOf(options, folder),
      ...withoutUndefined({ maxEntries, mayDelete }),
    });
    const placed = await PlacedIndex.open(options.placedPath);
    const receiving = new Receiving(options, machine, folder, placed);
    const classic = await receiving.openClassic();
    await receiving.listen({
      ...{ machine: new Endpoint({ classic, receiver: machine }), paths },
      findPaths: pathFinder(options.networkPaths, paths),
      // Status reports can be slightly late. Polling would take CPU time from senders on the same host.
      deadlines: 'coarse',
      // The P2MP-FTP machine cannot split concatenated datagrams.
      receivesBatches: options.classic === undefined,
      handleEvent: ({ role, event }) => {
        if (role === 'receiver') receiving.handleEvent(event);
        else if (role === 'classic') receiving.handleClassicEvent(event);
      },
      handleSendError: (error) => receiving.handleSendError(error),
    });
    return receiving;
  }

  /** Number of active sessions and P2MP-FTP transfers. */
  override get activeCount(): number {
    return super.activeCount + (this.classic?.isReceiving === true ? 1 : 0);
  }

  /** @returns the machine that handles P2MP-FTP datagrams */
  private async openClassic(): Promise<Machine<ReceiverEvent>> {
    const { classic } = this.options;
    let machine: Machine<ReceiverEvent> = ignoringMachine;
    if (classic === undefined) return machine;
    const { options } = this;
    this.classic = await FileReceiver.open({ ...classic, port: options.port }, async (own) => {
      machine = own.machine;
      this.handleClassicEvent = own.handleEvent;
      const shared = () => this.runner;
      return {
        get nowMs() {
          return shared()?.nowMs ?? 0;
        },
        get addresses() {
          return shared()?.addresses ?? [];
        },
        drain: () => shared()?.drain(),
        close: async () => undefined,
      };
    });
    return machine;
  }

  private handleEvent(event: SessionReceiverEvent): void {
    this.storeDriver.handleEvent(event);
    this.handleReceived(event);
  }

  protected async release(reason: string): Promise<void> {
    await this.parts.settle();
    await this.classic?.close(reason);
    this.placed.close();
  }
}
