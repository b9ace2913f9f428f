/** A client that asks a server for objects and receives them, with real sockets and a real disk. */
import { EventEmitter, once } from 'node:events';
import type { Test } from 'tap';
import type { Address } from '../../src/base/address.js';
import { Endpoint, type EndpointEvent } from '../../src/endpoint/endpoint.js';
import { SessionParts } from '../../src/node/disk/parts/session-parts.js';
import { FileBudget } from '../../src/node/disk/store/file-budget.js';
import { PlacedIndex } from '../../src/node/disk/store/placed-files.js';
import { generateKeyPair, type KeyPair } from '../../src/node/keys/key-files.js';
import { createNodeCrypto } from '../../src/node/keys/node-crypto.js';
import { SocketRunner } from '../../src/node/net/socket-runner.js';
import { Asker } from '../../src/session/asks/asker.js';
import type { AskerEvent } from '../../src/session/asks/asker-events.js';
import { StoreDriver } from '../../src/session/drivers/store-driver.js';
import { SessionReceiver } from '../../src/session/receiver.js';
import type { IncomingResult, SessionReceiverEvent } from '../../src/session/receiver-events.js';
import type { AskedObject, ListedObject } from '../../src/wire/asks.js';

type Event = SessionReceiverEvent | AskerEvent;

export class FetchingClient {
  readonly events: Event[] = [];
  /** Any number of fetches may wait at once. */
  private readonly emitter = new EventEmitter().setMaxListeners(0);

  private constructor(
    readonly keyPair: KeyPair,
    readonly dir: string,
    private readonly asker: Asker,
    private readonly runner: SocketRunner<EndpointEvent<never>>,
    private readonly driver: StoreDriver,
  ) {}

  static async open(t: Test, dir: string, keyPair?: KeyPair): Promise<FetchingClient> {
    const own = keyPair ?? (await generateKeyPair());
    const crypto = await createNodeCrypto(own);
    const receiver = new SessionReceiver({
      ...{ crypto, name: 'client', platform: 'posix' },
      refuseSender: () => 'takes only what it asks for',
    });
    // Tests beside other work may have to wait for an answer.
    const asker = new Asker({ crypto, receiver, livenessTimeoutMs: 600_000 });
    let client: FetchingClient | undefined;
    const runner: SocketRunner<EndpointEvent<never>> = await SocketRunner.open<
      EndpointEvent<never>
    >({
      machine: new Endpoint({ receiver, asker }),
      bind: ['127.0.0.1'],
      port: 0,
      receivesBatches: true,
      handleEvent: (event) => client?.handleEvent(event),
      handleSendError: (error) => t.fail(error.message),
    });
    const parts = new SessionParts({
      ...{ dir, fileBudget: new FileBudget(64), placed: await PlacedIndex.open(undefined) },
      ...{ verifiesDisk: false, sharesParts: false, comparesAll: false, updatesModes: false },
      protectedPaths: [],
      handleBadBlock: () => t.fail('bad block'),
    });
    client = new FetchingClient(own, dir, asker, runner, new StoreDriver(receiver, parts, runner));
    t.teardown(async () => {
      await runner.close();
      await parts.settle();
    });
    return client;
  }

  /** @returns the outcome of the session, or the reason of a refusal */
  async fetch(server: Address, what: Partial<AskedObject>): Promise<IncomingResult | string> {
    const id = this.ask(server, what);
    let session: number | undefined;
    for (let at = 0; ; at++) {
      const event = await this.eventAt(at);
      if (event.type === 'refused' && event.ask === id) return event.reason;
      if (event.type === 'failed' && event.ask === id) return event.reason;
      if (event.type === 'answered' && event.ask === id) session = event.session;
      if (event.type === 'end' && event.result.session === session) return event.result;
    }
  }

  /** @returns the objects, or the reason of a refusal or failure */
  async list(server: Address): Promise<ListedObject[] | string> {
    const id = this.ask(server, undefined);
    const objects: ListedObject[] = [];
    for (let at = 0; ; at++) {
      const event = await this.eventAt(at);
      if (event.type === 'refused' && event.ask === id) return event.reason;
      if (event.type === 'failed' && event.ask === id) return event.reason;
      if (event.type !== 'page' || event.ask !== id) continue;
      objects.push(...event.page.objects);
      if (event.page.isLast) return objects;
    }
  }

  /** Resolves when an event of this type has come. */
  async waitFor(type: Event['type']): Promise<Event> {
    for (let at = 0; ; at++) {
      const event = await this.eventAt(at);
      if (event.type === type) return event;
    }
  }

  private ask(address: Address, what: Partial<AskedObject> | undefined): number {
    const server = { name: 'server', address };
    const { nowMs } = this.runner;
    const id = this.asker.ask(nowMs, { server, ...(what === undefined ? {} : { what }) });
    this.runner.drain();
    return id;
  }

  private async eventAt(at: number): Promise<Event> {
    while (this.events.length <= at) await once(this.emitter, 'event');
    return this.events[at] as Event;
  }

  private handleEvent({ role, event }: EndpointEvent<never>): void {
    if (role === 'receiver') this.driver.handleEvent(event);
    if (role === 'asker' && event.type === 'identify') {
      this.asker.trust(this.runner.nowMs, event.ask);
    }
    if (role !== 'receiver' && role !== 'asker') return;
    this.events.push(event);
    this.emitter.emit('event');
  }
}
