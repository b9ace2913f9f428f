/**
 * Runs a session as traffic: one sender and its receivers share a simulated network with other flows. The
 * content is generated when it is read and only counted when it arrives, so long runs need little memory.
 */
import type { Address } from '../base/address.js';
import type { Machine, TimeMs } from '../base/machine.js';
import { withoutUndefined } from '../base/without-undefined.js';
import { createManifest, encodeManifest } from '../object/manifest.js';
import { MemorySource } from '../object/memory-source.js';
import { SourceDriver } from '../session/drivers/source-driver.js';
import type { SessionReceiver } from '../session/receiver.js';
import type { SessionReceiverEvent } from '../session/receiver-events.js';
import { SessionSender } from '../session/sender.js';
import type { SessionSenderEvent } from '../session/sender-events.js';
import type { SessionSenderOptions } from '../session/sender-options.js';
import { createFlowCrypto } from './flow-crypto.js';
import { FlowReceipt, FlowReceiver } from './flow-receiver.js';
import type { SimulatedHost } from './host.js';
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
  /** A receiver that several flows have in common; by default, each flow has its own. Further paths end at its addresses. */
  readonly sharedReceiver?: FlowReceiver;
  /** Lets a test intercept a receiver's inputs and outputs. */
  readonly wrapReceiver?: (
    receiver: SessionReceiver,
    index: number,
  ) => Machine<SessionReceiverEvent>;
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
    const { furtherPaths = [], sharedReceiver } = options;
    const addresses = [name, ...furtherPaths.map(({ sender }) => sender)];
    const { sourceTimeMs: readTimeMs } = options;
    const names =
      sharedReceiver === undefined
        ? Array.from({ length: receiverCount }, (_, i) => `${name}${i + 1}`)
        : [sharedReceiver.name];
    const receipts = names.map(() => new FlowReceipt());
    this.receipts = receipts;
    const file = {
      kind: 'file' as const,
      // A receiver takes an object from one sender at a time.
      name: sharedReceiver === undefined ? 'file' : name,
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
    const { options, simulation } = this;
    const { sharedReceiver, furtherPaths = [], wrapReceiver } = options;
    const receiver =
      sharedReceiver ??
      new FlowReceiver(simulation, {
        addresses: [name, ...furtherPaths.map(({ receiver: further }) => further)],
        ...(wrapReceiver !== undefined && { wrap: (machine) => wrapReceiver(machine, index) }),
      });
    receiver.add(options.name, receipt);
  }
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
