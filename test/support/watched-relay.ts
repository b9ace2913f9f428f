/** A simulated relay that is watched: its fetches, its cache, and what it leaves behind. It may lie. */
import type { Machine } from '../../src/base/machine.js';
import { createRandom } from '../../src/base/random.js';
import type { ContentSource } from '../../src/object/content-source.js';
import type { ContentStore, StoreRequest } from '../../src/object/content-store.js';
import { hashLeaf } from '../../src/object/hash-tree.js';
import type { MemoryStores } from '../../src/object/memory-store.js';
import type { Lookup } from '../../src/roles/relay/lookup.js';
import type { ObjectHead } from '../../src/roles/relay/object-cache.js';
import type { RelayMachine, RelayMachineEvent } from '../../src/roles/relay/relay-machine.js';
import type { SimulatedHost } from '../../src/simulator/host.js';
import { RelayRole, type RelayRoleOptions } from '../../src/simulator/roles/relay.js';
import { createSimulatedCrypto } from '../../src/simulator/session-crypto.js';
import type { Simulation } from '../../src/simulator/simulation.js';
import type { RelayScenario } from './relays-scenario.js';
import { withoutLeaves, withWrongNodes } from './served-objects.js';
import { WatchedFetch, type WatchOptions } from './watched-fetch.js';

/** What was seen of a cache. */
export interface CacheWatch {
  /** The most content bytes that were stored. */
  readonly mostBytes: number;
  /** The most that the relay's account showed. */
  readonly mostCountedBytes: number;
  /** Blocks that were written though they were stored already. */
  readonly rewrittenBlocks: number;
  /** Blocks that arrived though the relay held them. */
  readonly heldAgain: number;
  /** The most blocks of one object that passed through. */
  readonly mostPassingBlocks: number;
  /** The most blocks that were being written at a time. */
  readonly mostUnwrittenBlocks: number;
  /** Objects that were removed while a client read them. */
  readonly removedInUse: number;
}

type Settings = Pick<RelayScenario, 'lie' | 'isDiskBad'> & WatchOptions;

const { hash } = createSimulatedCrypto('', '');

export class WatchedRelayRole extends RelayRole {
  readonly fetches: WatchedFetch[] = [];
  readonly watch = {
    ...{ mostBytes: 0, mostCountedBytes: 0, rewrittenBlocks: 0, heldAgain: 0 },
    ...{ mostPassingBlocks: 0, mostUnwrittenBlocks: 0, removedInUse: 0 },
  };
  private live: WatchedFetch[] = [];
  private readonly stores: MemoryStores;
  private readonly random;

  constructor(
    simulation: Simulation,
    options: RelayRoleOptions,
    private readonly settings: Settings,
  ) {
    super(simulation, { ...options, disguise: (...shown) => this.lie(...shown) });
    this.stores = options.stores;
    this.random = createRandom(simulation.seed, `${options.name} disk`);
    this.watchStores();
  }

  override boot(host: SimulatedHost): Machine<RelayMachineEvent> {
    const machine = super.boot(host) as RelayMachine;
    this.live = [];
    this.watchLookups(machine);
    this.watchObjects(machine);
    return machine;
  }

  handleTaken(): void {
    for (const fetch of this.live) fetch.look();
    this.live = this.live.filter(({ result }) => result === undefined);
    const { watch } = this;
    watch.mostCountedBytes = Math.max(watch.mostCountedBytes, this.relay.cached.sizeBytes);
  }

  override handleKill(): void {
    super.handleKill();
    if (this.settings.isDiskBad) this.stores.crash(() => this.random() < 0.1);
  }

  private get relay() {
    return (this['machine'] as RelayMachine).relay;
  }

  // --- The end

  leftovers(): string[] {
    const machine = this['machine'] as RelayMachine;
    const { relay } = machine;
    const ledger = relay['objects'].cached['ledger'];
    const counts: Readonly<Record<string, number>> = {
      channels: machine.listener.channelCount,
      sessions: this['sessions'].size,
      lookups: relay['lookups'].size,
      'open objects': [...relay['objects']].length,
      'objects in use': [...ledger['entries'].values()].filter(({ users }) => users > 0).length,
      'waiting reservations': ledger['waiting'].size,
      'upstream sessions': relay['options'].port.isIdle ? 0 : 1,
      timers: machine.pollTimeout() === undefined ? 0 : 1,
    };
    return Object.entries(counts).flatMap(([what, count]) =>
      count === 0 ? [] : [`${count} ${what}`],
    );
  }

  unsoundness(): string[] {
    const wrong: string[] = [];
    const { contents, blockSizeBytes, isDiskBad } = this.settings;
    const heads = this.cache['heads'];
    for (const [id, { durable }] of this.stores['objects']) {
      const head = heads.get(id);
      if (head === undefined) {
        if (durable.size > 0) wrong.push(`${durable.size} blocks of an object without a head`);
        continue;
      }
      const content = contents.get(Buffer.from(head.contentRoot).toString('hex'));
      if (content === undefined) wrong.push(`${head.name} with an unknown root`);
      for (const [block, bytes] of isDiskBad ? [] : durable) {
        const right = content?.subarray(block * blockSizeBytes, (block + 1) * blockSizeBytes);
        const isRight =
          right !== undefined &&
          Buffer.from(right).equals(bytes) &&
          Buffer.from(head.digestTree.leaf(block)).equals(hashLeaf(hash, bytes));
        if (!isRight) wrong.push(`block ${block} of ${head.name}`);
      }
    }
    const blockCountOf = (id: string) => this.stores.blocksOf(id)?.size ?? 0;
    for (const { id, name, contentSizeBytes } of this.relay.list())
      if (blockCountOf(id) < Math.ceil(contentSizeBytes / blockSizeBytes))
        wrong.push(`${name} listed as whole`);
    return wrong;
  }

  // --- The cache

  private watchStores(): void {
    const { stores, watch } = this;
    const create = stores.create.bind(stores);
    stores.create = (request: StoreRequest): ContentStore => {
      const store = create(request);
      const write = store.write.bind(store);
      store.write = (offsetBytes, bytes, handleWritten) => {
        const object = stores['objects'].get(request.manifestDigest);
        const block = offsetBytes / request.blockSizeBytes;
        if (object?.durable.has(block) || object?.written.has(block)) watch.rewrittenBlocks++;
        write(offsetBytes, bytes, handleWritten);
      };
      return store;
    };
    const planCheckpoint = stores.planCheckpoint.bind(stores);
    stores.planCheckpoint = () => {
      this.measure();
      planCheckpoint();
    };
    const drop = stores.drop.bind(stores);
    stores.drop = (object) => {
      for (const { info, object: open } of this.relay['objects'])
        if (info.id === object.manifestDigest && open.isInUse && open.shelf?.keeps === true)
          watch.removedInUse++;
      drop(object);
    };
  }

  private measure(): void {
    let sum = 0;
    for (const { durable, written } of this.stores['objects'].values())
      for (const bytes of new Map([...durable, ...written]).values()) sum += bytes.length;
    this.watch.mostBytes = Math.max(this.watch.mostBytes, sum);
  }

  // --- Fetches and objects

  private watchLookups({ relay }: RelayMachine): void {
    const { port } = relay['options'];
    const begin = relay['beginLookup'].bind(relay);
    relay['beginLookup'] = (what, hops): Lookup => {
      const lookup = begin(what, hops);
      const { fetch } = lookup;
      const watched = new WatchedFetch(fetch, port, this['simulation'], this.settings);
      const poll = fetch.pollEvent.bind(fetch);
      fetch.pollEvent = () => {
        const event = poll();
        if (event !== undefined) watched.handleEvent(event);
        return event;
      };
      this.fetches.push(watched);
      this.live.push(watched);
      return lookup;
    };
  }

  private watchObjects({ relay }: RelayMachine): void {
    const { watch } = this;
    const objects = relay['objects'];
    const find = objects.find.bind(objects);
    const seen = new WeakSet<object>();
    objects.find = (info) => {
      const open = find(info);
      if (seen.has(open)) return open;
      seen.add(open);
      const { object } = open;
      const takeBlock = object['takeBlock'].bind(object);
      object['takeBlock'] = (place, block, bytes, handleWritten) => {
        if (place.held.has(block)) watch.heldAgain++;
        takeBlock(place, block, bytes, handleWritten);
        if (!place.keeps)
          watch.mostPassingBlocks = Math.max(watch.mostPassingBlocks, place.held.count);
        else
          watch.mostUnwrittenBlocks = Math.max(
            watch.mostUnwrittenBlocks,
            (place as unknown as { arriving: Map<number, unknown> }).arriving.size,
          );
      };
      return open;
    };
  }

  // --- Lies

  private lie(head: ObjectHead, source: ContentSource): [ObjectHead, ContentSource] {
    const { lie, blockSizeBytes } = this.settings;
    const { digestTree } = head;
    if (lie === undefined) return [head, source];
    if (lie.what === 'digests')
      return [{ ...head, digestTree: withWrongNodes(digestTree) }, source];
    const read: ContentSource['read'] = (offsetBytes, sizeBytes, take) =>
      source.read(offsetBytes, sizeBytes, (bytes) => {
        const isFlipped = bytes !== undefined && (offsetBytes / blockSizeBytes) % lie.every === 0;
        if (!isFlipped) {
          take(bytes);
          return;
        }
        const flipped = bytes.slice();
        flipped[0] = (flipped[0] as number) ^ 1;
        take(flipped);
      });
    const check = source.check.bind(source);
    return [
      { ...head, digestTree: withoutLeaves(digestTree) },
      { read, check },
    ];
  }
}
