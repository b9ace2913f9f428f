/** Receives files by P2MP-FTP on a simulated host, and compares them with what was sent. */
import type { Machine } from '../../base/machine.js';
import type { ReceiverEvent, TransferResult } from '../../classic/receiver-events.js';
import type { ReceiverOptions } from '../../classic/receiver-options.js';
import { Receiver } from '../../receiver.js';
import { SimulatedDisk } from '../disk.js';
import type { Role, SimulatedHost } from '../host.js';
import type { Simulation } from '../simulation.js';

/** How a simulated P2MP-FTP receiver receives, and how fast its disk is. */
export interface ClassicReceiverRoleOptions {
  readonly receiver: ReceiverOptions;
  /** What the sender sends. */
  readonly content: Uint8Array;
  /** Time that the disk takes for one write. If omitted, everything is written at once. */
  readonly writeTimeMs?: number;
  /** Time that the disk takes to make a file durable. */
  readonly storeTimeMs?: number;
  /** Lets a test intercept the machine's inputs and outputs. */
  readonly wrap?: (receiver: Receiver) => Machine<ReceiverEvent>;
}

/** A P2MP-FTP receiver as a role of a simulated host. */
export class ClassicReceiverRole implements Role<ReceiverEvent> {
  readonly transfers: TransferResult[] = [];
  /** Wrong bytes, and bytes at a wrong offset. */
  readonly damages: string[] = [];
  /** Number of files begun. */
  opened = 0;
  /** Bytes of the current file that were passed to the disk. */
  takenBytes = 0;
  isStored = false;
  storedBytes = 0;
  maxUnwrittenBytes = 0;
  private writtenBytes = 0;
  private receiver: Receiver | undefined;
  private disk: SimulatedDisk | undefined;

  constructor(
    private readonly simulation: Simulation,
    private readonly options: ClassicReceiverRoleOptions,
  ) {}

  /** Whether the receiver durably holds exactly the bytes sent. */
  get isIdentical(): boolean {
    const { isStored, damages, writtenBytes } = this;
    return isStored && damages.length === 0 && writtenBytes === this.options.content.length;
  }

  boot(host: SimulatedHost): Machine<ReceiverEvent> {
    const { receiver: options, wrap } = this.options;
    const receiver = new Receiver(options);
    this.receiver = receiver;
    this.disk = new SimulatedDisk(this.simulation, host);
    return wrap?.(receiver) ?? receiver;
  }

  handleEvent(event: ReceiverEvent): void {
    const { simulation, receiver, disk } = this;
    switch (event.type) {
      case 'open':
        this.opened++;
        this.begin();
        break;
      case 'discard':
        this.begin();
        break;
      case 'write':
        this.write(event.offsetBytes, event.bytes);
        break;
      case 'finish':
        disk?.perform(this.options.storeTimeMs ?? 0, () => {
          this.isStored = true;
          this.storedBytes = event.sizeBytes;
          receiver?.handleStored(simulation.nowMs);
        });
        break;
      case 'done':
        this.transfers.push(event.result);
        break;
    }
  }

  private begin(): void {
    this.takenBytes = 0;
    this.writtenBytes = 0;
    this.isStored = false;
  }

  private write(offsetBytes: number, bytes: Uint8Array): void {
    const { receiver, damages, takenBytes } = this;
    const { content, writeTimeMs } = this.options;
    if (offsetBytes !== takenBytes) damages.push(`gap at ${offsetBytes}`);
    if (!isSame(bytes, content, offsetBytes)) damages.push(`bytes at ${offsetBytes}`);
    const throughBytes = offsetBytes + bytes.length;
    this.takenBytes = throughBytes;
    const unwrittenBytes = (receiver?.receivedBytes ?? 0) - this.writtenBytes;
    this.maxUnwrittenBytes = Math.max(this.maxUnwrittenBytes, unwrittenBytes);
    const finish = () => {
      this.writtenBytes = throughBytes;
      receiver?.handleWritten(throughBytes);
    };
    if (writeTimeMs === undefined) finish();
    else this.disk?.perform(writeTimeMs, finish);
  }
}

function isSame(bytes: Uint8Array, content: Uint8Array, offsetBytes: number): boolean {
  if (offsetBytes + bytes.length > content.length) return false;
  for (let i = 0; i < bytes.length; i++) {
    if (bytes[i] !== content[offsetBytes + i]) return false;
  }
  return true;
}
