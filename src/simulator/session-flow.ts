/**
 * Runs a session as traffic: one sender and its receivers share a simulated network with other flows. The
 * content is generated when it is read and only counted when it arrives, so long runs need little memory.
 */
import type { Address } from '../base/address.js';
import type { Clock, Machine, TimeMs } from '../base/machine.js';
import { withoutUndefined } from '../base/without-undefined.js';
import type { Completion, ContentStore, FoundContent } from '../object/content-store.js';
import { createManifest, encodeManifest } from '../object/manifest.js';
import { MemorySource } from '../object/memory-source.js';
import type { SessionCrypto } from '../security/crypto.js';
import { SourceDriver } from '../session/drivers/source-driver.js';
import { StoreDriver } from '../session/drivers/store-driver.js';
import { SessionReceiver } from '../session/receiver.js';
import type { SessionReceiverEvent } from '../session/receiver-events.js';
import { SessionSender } from '../session/sender.js';
import type { SessionSenderEvent } from '../session/sender-events.js';
import type { SessionSenderOptions } from '../session/sender-options.js';
import { isEqualBytes } from '../wire/byte-codec.js';
import type { SimulatedHost } from './host.js';
import { createSimulatedCrypto } from './session-crypto.js';
import { Simulation } from './simulation.js';

/** Options of a session used as traffic. */
export interface SessionFlowOptions
  extends Pick<
    SessionSenderOptions,
    'mssBytes' | 'rateBytesPerSec' | 'createController' | 'reportsPerSec'
  > {
  /** Name of the sender's host; receivers are named `<name>1`, `<name>2` and so on. */
  readonly name: string;
  readonly receiverCount: number;
  readonly contentSizeBytes: number;
  /** When the sender starts. */
  readonly startAtMs?: TimeMs;
  readonly hasGroup?: boolean;
  /** Time that the source takes to provide a block. */
  readonly sourceTimeMs?: number;
  readonly sendTimeMs?: number;
  /** Addresses of the sender and of a single receiver at which further paths end, as numbers. */
  readonly furtherPaths?: readonly { readonly sender: string; readonly receiver: string }[];
  /** Lets a test intercept a receiver's inputs and outputs. */
  readonly wrapReceiver?: (
    receiver: SessionReceiver,
    index: number,
  ) => Machine<SessionReceiverEvent>;
}

/** Width of the time bins in which received bytes are counted. */
const binMs = 100;

/** The number of bytes that one receiver has received, per time bin. */
export class FlowReceipt {
  readonly bytesByBin: number[] = [];
  totalBytes = 0;
  begunAtMs: TimeMs | undefined;
  completeAtMs: TimeMs | undefined;

  add(nowMs: TimeMs, sizeBytes: number): void {
    this.begunAtMs ??= nowMs;
    const bin = Math.floor(nowMs / binMs);
    while (this.bytesByBin.length <= bin) this.bytesByBin.push(0);
    this.bytesByBin[bin] = (this.bytesByBin[bin] as number) + sizeBytes;
    this.totalBytes += sizeBytes;
  }

  /** Mean rate in bytes per second over an interval. */
  rate(fromMs: TimeMs, toMs: TimeMs): number {
    let sum = 0;
    for (let bin = Math.floor(fromMs / binMs); bin < Math.floor(toMs / binMs); bin++) {
      sum += this.bytesByBin[bin] ?? 0;
    }
    return (sum * 1000) / (toMs - fromMs);
  }
}

/** A running session, and a record of what each receiver has received. */
export class SessionFlow {
  readonly receipts: readonly FlowReceipt[];
  readonly sender: SessionSender;

  constructor(
    private readonly simulation: Simulation,
    private readonly options: SessionFlowOptions,
  ) {
    const { name, receiverCount, contentSizeBytes, hasGroup, startAtMs = 0 } = options;
    const { furtherPaths = [] } = options;
    const addresses = [name, ...furtherPaths.map(({ sender }) => sender)];
    const { sourceTimeMs: readTimeMs } = options;
    const names = Array.from({ length: receiverCount }, (_, i) => `${name}${i + 1}`);
    const receipts = names.map(() => new FlowReceipt());
    this.receipts = receipts;
    const file = {
      kind: 'file' as const,
      name: 'file',
      mode: 0o644,
      modifiedMs: 0,
      sizeBytes: contentSizeBytes,
    };
    this.sender = new SessionSender({
      ...options,
      receivers: names.map((own) => ({ name: own, address: Simulation.address(own) })),
      label: name,
      manifest: encodeManifest(createManifest([file])),
      crypto: createFlowCrypto(simulation.seed, name),
      ...(hasGroup === true ? { group: groupOf(name) } : {}),
      ...(furtherPaths.length > 0 && { localHosts: addresses }),
    });
    const waiting = startsAt(this.sender, startAtMs);
    const timing = { clock: simulation, ...withoutUndefined({ readTimeMs }) };
    const host: SimulatedHost = simulation.addHost(
      name,
      waiting,
      (event) => {
        if (event.type === 'identify') this.sender.trust(simulation.nowMs, event.index);
        driver.handleEvent(this.sender, event);
      },
      { addresses, ...withoutUndefined({ sendTimeMs: options.sendTimeMs }) },
    );
    const driver = new SourceDriver(new MemorySource(contentAt, timing), host);
    simulation.at(startAtMs, () => host.drain());
    for (const [i, own] of names.entries()) this.addReceiver(own, i, receipts[i] as FlowReceipt);
  }

  private addReceiver(name: string, index: number, receipt: FlowReceipt): void {
    const { simulation, options } = this;
    const group = groupOf(options.name).host;
    const further = (options.furtherPaths ?? []).map(({ receiver }) => receiver);
    const machine = new SessionReceiver({
      crypto: createFlowCrypto(simulation.seed, name),
      name,
      platform: 'posix',
      refuseSender: () => undefined,
      addresses: further.map(Simulation.address),
    });
    const handleEvent = (event: SessionReceiverEvent) => {
      const { nowMs } = simulation;
      driver.handleEvent(event);
      if (event.type === 'join') simulation.joinGroup(group, name);
      else if (event.type === 'leave') simulation.leaveGroup(group, name);
      else if (event.type === 'end' && event.result.status === 'complete') {
        receipt.completeAtMs = nowMs;
      }
    };
    const wrapped = options.wrapReceiver?.(machine, index) ?? machine;
    const host = simulation.addHost(name, wrapped, handleEvent, {
      addresses: [name, ...further],
    });
    const store = new CountingStore(simulation, receipt);
    const stores = { create: () => store, drop: () => undefined };
    const driver = new StoreDriver(machine, stores, host);
  }
}

/** A store that only counts what is written to it. */
class CountingStore implements ContentStore {
  constructor(
    private readonly clock: Pick<Clock, 'nowMs'>,
    private readonly receipt: FlowReceipt,
  ) {}

  open(handleFound: (found: FoundContent) => void): void {
    handleFound({ held: [], kept: [], unchangedFiles: 0, extras: [] });
  }

  write(_offsetBytes: number, bytes: Uint8Array, handleWritten: () => void): void {
    this.receipt.add(this.clock.nowMs, bytes.length);
    handleWritten();
  }

  verify(_leafOf: unknown, handleDamaged: (blocks: readonly number[]) => void): void {
    handleDamaged([]);
  }

  complete(_doomed: unknown, handleCompleted: (completion: Completion) => void): void {
    handleCompleted({ note: '', deletion: undefined });
  }

  read(_offsetBytes: number, _sizeBytes: number, take: (bytes: undefined) => void): void {
    take(undefined);
  }

  check(handleUnchanged: () => void): void {
    handleUnchanged();
  }

  forget(): void {}

  withdraw(): void {}

  end(): void {}
}

/** Content that is cheap to make. */
function contentAt(offsetBytes: number, sizeBytes: number): Uint8Array {
  const bytes = new Uint8Array(sizeBytes);
  bytes[0] = offsetBytes % 251;
  return bytes;
}

function groupOf(name: string): Address {
  return Simulation.address(`group of ${name}`);
}

/** Wraps a machine so that it sends nothing before its start time. */
function startsAt(machine: SessionSender, startAtMs: TimeMs): Machine<SessionSenderEvent> {
  return {
    handleDatagram: (nowMs, from, bytes) => machine.handleDatagram(nowMs, from, bytes),
    handleTimeout: (nowMs) => machine.handleTimeout(nowMs),
    pollTransmit: (nowMs) => (nowMs < startAtMs ? undefined : machine.pollTransmit(nowMs)),
    pollTimeout: () => machine.pollTimeout(),
    pollEvent: () => machine.pollEvent(),
  };
}

/**
 * Creates faster cryptography. If there is no associated data, only the first 64 bytes of the plaintext are
 * authenticated. Hashes cover only the first 64 bytes of each input. This is enough, because no link of a
 * flow corrupts datagrams.
 */
function createFlowCrypto(seed: string, name: string): SessionCrypto {
  const crypto = createSimulatedCrypto(seed, name);
  const head = (bytes: Uint8Array) => bytes.subarray(0, 64);
  const seal: SessionCrypto['seal'] = (key, nonce, plaintext) => {
    const sealed = new Uint8Array(plaintext.length + 16);
    sealed.set(plaintext);
    sealed.set(crypto.mac(key, nonce, head(plaintext)).subarray(0, 16), plaintext.length);
    return sealed;
  };
  return {
    ...crypto,
    hash: (...parts) => crypto.hash(...parts.map(head)),
    seal: (key, nonce, plaintext, associated) =>
      associated.length > 0
        ? crypto.seal(key, nonce, plaintext, associated)
        : seal(key, nonce, plaintext, associated),
    open: (key, nonce, sealed, associated) => {
      if (associated.length > 0) return crypto.open(key, nonce, sealed, associated);
      const plaintext = sealed.slice(0, -16);
      const expected = seal(key, nonce, head(plaintext), associated).subarray(-16);
      return isEqualBytes(expected, sealed.subarray(-16)) ? plaintext : undefined;
    },
  };
}
