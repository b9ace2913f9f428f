/** Sends one file by P2MP-FTP from a simulated host. */
import type { Machine } from '../../base/machine.js';
import type { SenderEvent, SenderResult } from '../../classic/sender-events.js';
import type { SenderOptions } from '../../classic/sender-options.js';
import { Sender } from '../../sender.js';
import type { Role, SimulatedHost } from '../host.js';
import type { Simulation } from '../simulation.js';

/** What a simulated P2MP-FTP sender sends, and how fast its source is. */
export interface ClassicSenderRoleOptions {
  readonly sender: SenderOptions;
  readonly content: Uint8Array;
  /** Time that the source takes to provide a block. */
  readonly sourceTimeMs?: number;
  /** Lets a test intercept the machine's inputs and outputs. */
  readonly wrap?: (sender: Sender) => Machine<SenderEvent>;
}

/** A P2MP-FTP sender as a role of a simulated host. */
export class ClassicSenderRole implements Role<SenderEvent> {
  readonly results: SenderResult[] = [];
  datagramsAfterEnd = 0;
  private sender: Sender | undefined;
  private host: SimulatedHost | undefined;

  constructor(
    private readonly simulation: Simulation,
    private readonly options: ClassicSenderRoleOptions,
  ) {}

  boot(host: SimulatedHost): Machine<SenderEvent> {
    const { sender: options, wrap } = this.options;
    const sender = new Sender(options);
    this.host = host;
    this.sender = sender;
    return wrap?.(sender) ?? sender;
  }

  handleEvent(event: SenderEvent): void {
    const { simulation, sender } = this;
    switch (event.type) {
      case 'need':
        this.provide(event);
        break;
      case 'check-source':
        sender?.confirmSource(simulation.nowMs);
        break;
      case 'done':
        this.results.push(event.result);
        break;
    }
  }

  handleTransmit(): void {
    if (this.results.length > 0) this.datagramsAfterEnd++;
  }

  private provide({
    blockIndex,
    offsetBytes,
    sizeBytes,
  }: Extract<SenderEvent, { type: 'need' }>): void {
    const { simulation, sender, host } = this;
    const { content, sourceTimeMs = 0 } = this.options;
    const bytes = content.subarray(offsetBytes, offsetBytes + sizeBytes);
    const provide = () => sender?.provideBlock(simulation.nowMs, blockIndex, bytes);
    if (sourceTimeMs === 0) provide();
    else host?.at(simulation.nowMs + sourceTimeMs, provide);
  }
}
