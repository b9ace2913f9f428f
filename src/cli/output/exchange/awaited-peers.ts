/** The peers for which an exchange waits before it ends, and for how long still. */
import { escapeControls } from '../../../base/control-characters.js';
import type { CoordinateExchangeEvent } from '../../../node/exchange/coordinate-options.js';
import type { Output } from '../output.js';

type AwaitedEvent = Extract<CoordinateExchangeEvent, { type: 'awaited' }>;

export class AwaitedPeers {
  private names = '';
  private untilMs = -Infinity;

  constructor(private readonly output: Output) {}

  handleEvent({ peers, forMs }: AwaitedEvent): void {
    const { output } = this;
    output.json({ event: 'awaited', peers, seconds: forMs / 1000 });
    this.names = escapeControls(peers.join(', '));
    this.untilMs = performance.now() + forMs;
    if (peers.length === 0) return;
    const seconds = this.secondsLeft();
    output.line(`Everybody has what there is; waiting ${seconds} s for ${this.names} to come back`);
  }

  /** For the total line of a live table; empty if nobody is waited for. */
  describe(): string {
    return this.names === '' ? '' : `waiting ${this.secondsLeft()} s for ${this.names}`;
  }

  private secondsLeft(): number {
    return Math.max(0, Math.round((this.untilMs - performance.now()) / 1000));
  }
}
