/** A host that receives sessions which are traffic: it counts what arrives of each, and stores nothing. */
import { assert } from '../base/assert.js';
import type { Clock, Machine, TimeMs } from '../base/machine.js';
import type { Completion, ContentStore, FoundContent } from '../object/content-store.js';
import { StoreDriver } from '../session/drivers/store-driver.js';
import { SessionReceiver } from '../session/receiver.js';
import type { SessionReceiverEvent } from '../session/receiver-events.js';
import { createFlowCrypto } from './flow-crypto.js';
import { Simulation } from './simulation.js';

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

export interface FlowReceiverOptions {
  /** The addresses of the host. The first one is its name; further paths end at the others. */
  readonly addresses: readonly string[];
  /** As in `SessionReceiverOptions`. */
  readonly setsShares?: boolean;
  /** Intercepts the inputs and outputs of the machine. */
  readonly wrap?: (machine: SessionReceiver) => Machine<SessionReceiverEvent>;
}

/** Receives the sessions of one flow or of several. */
export class FlowReceiver {
  readonly name: string;
  private readonly receipts = new Map<string, FlowReceipt>();

  constructor(simulation: Simulation, { addresses, wrap, setsShares = true }: FlowReceiverOptions) {
    const [name = '', ...further] = addresses;
    this.name = name;
    const machine = new SessionReceiver({
      crypto: createFlowCrypto(simulation.seed, name),
      name,
      platform: 'posix',
      refuseSender: () => undefined,
      addresses: further.map(Simulation.address),
      setsShares,
    });
    const handleEvent = (event: SessionReceiverEvent) => {
      const { nowMs } = simulation;
      driver.handleEvent(event);
      if (event.type === 'join') {
        groups.set(event.session, event.group.host);
        simulation.joinGroup(event.group.host, name);
      } else if (event.type === 'leave') {
        simulation.leaveGroup(groups.get(event.session) as string, name);
      } else if (event.type === 'end' && event.result.status === 'complete') {
        this.receiptOf(event.result.label).completeAtMs = nowMs;
      }
    };
    const groups = new Map<number, string>();
    const host = simulation.addHost(name, wrap?.(machine) ?? machine, handleEvent, { addresses });
    const stores = {
      create: ({ label }: { readonly label: string }) =>
        new CountingStore(simulation, this.receiptOf(label)),
      drop: () => undefined,
    };
    const driver = new StoreDriver(machine, stores, host);
  }

  /** Counts what arrives of the flow with this name. */
  add(flow: string, receipt: FlowReceipt): void {
    this.receipts.set(flow, receipt);
  }

  private receiptOf(label: string): FlowReceipt {
    const receipt = this.receipts.get(label);
    assert(receipt !== undefined, 'a flow that was added');
    return receipt;
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
