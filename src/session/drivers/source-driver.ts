/** Connects session senders to the source of their content. */
import type { ContentSource } from '../../object/content-source.js';
import type { SessionSender } from '../sender.js';
import type { SessionSenderEvent } from '../sender-events.js';
import type { DriverHost } from './driver-host.js';
import { MachineCalls } from './driver-host.js';

export class SourceDriver {
  private readonly calls: MachineCalls;

  constructor(
    private readonly source: ContentSource,
    host: DriverHost,
  ) {
    this.calls = new MachineCalls(host);
  }

  /**
   * Handles the events that concern the source. Call it for every event of the sender.
   * @param sender the sender that emitted the event; several senders can share a source
   */
  handleEvent(sender: SessionSender, event: SessionSenderEvent): void {
    if (event.type === 'need') {
      const { block, offsetBytes, sizeBytes } = event;
      this.calls.during(() =>
        this.source.read(offsetBytes, sizeBytes, (bytes) => {
          if (bytes === undefined || sender.isDone) return;
          this.calls.call((nowMs) => sender.provideBlock(nowMs, block, bytes));
        }),
      );
    } else if (event.type === 'check-source') {
      this.calls.during(() =>
        this.source.check(() => {
          if (!sender.isDone) this.calls.call((nowMs) => sender.confirmSource(nowMs));
        }),
      );
    }
  }

  /** The senders are gone. Whatever the source reports later is ignored. */
  stop(): void {
    this.calls.stop();
  }
}
