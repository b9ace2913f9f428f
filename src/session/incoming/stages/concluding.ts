/** The stages of a session that has its outcome. */
import type { TimeMs } from '../../../base/machine.js';
import type { IncomingInfo, IncomingResult } from '../../receiver-events.js';
import { receiverLimits } from '../../receiver-limits.js';
import { outcomeMessage } from '../incoming-status.js';
import { RetryTimer } from '../retry-timer.js';
import type { SessionOutput } from '../session-output.js';
import { Stage } from './stage.js';

abstract class SettledStage extends Stage {
  /** @param info undefined if the session ended before its offer */
  constructor(
    override readonly info: IncomingInfo | undefined,
    readonly status: IncomingResult['status'],
  ) {
    super();
  }

  override get isSettled(): boolean {
    return true;
  }
}

/** The outcome is repeated until the sender confirms it or the repetitions are used up. */
export class Concluding extends SettledStage {
  override readonly activity = 'concluding';
  private readonly retry = new RetryTimer();
  private repeats = 0;

  constructor(
    private readonly output: SessionOutput,
    info: IncomingInfo | undefined,
    private readonly result: IncomingResult,
    private readonly receipt: Uint8Array | undefined,
  ) {
    super(info, result.status);
  }

  /** Sends the outcome. */
  send(nowMs: TimeMs): Concluding {
    this.output.send(outcomeMessage(this.result, this.receipt));
    this.retry.handleSent(nowMs);
    return this;
  }

  override handleOffer(nowMs: TimeMs): Stage {
    return this.send(nowMs);
  }

  override handlePoll(nowMs: TimeMs): Stage {
    return this.send(nowMs);
  }

  override handleRoot(nowMs: TimeMs): Stage {
    return this.send(nowMs);
  }

  override pollTimeout(): TimeMs {
    return this.retry.dueAtMs;
  }

  override handleTimeout(nowMs: TimeMs): Stage {
    if (nowMs < this.retry.dueAtMs) return this;
    this.repeats++;
    if (this.repeats > receiverLimits.doneRepeats) return new Over(this.info, this.status);
    return this.send(nowMs);
  }
}

export class Over extends SettledStage {
  override readonly activity = 'over';

  override get isOver(): boolean {
    return true;
  }
}
