/**
 * Finds out which receivers can be reached by multicast. The sender sends several probes to the group,
 * because any of them might be lost. A receiver's next report says whether a probe arrived (SESSIONS 3.6).
 */
import type { Address } from '../../base/address.js';
import { at } from '../../base/assert.js';
import type { TimeMs, Transmit } from '../../base/machine.js';
import type { BlockSeal } from '../../security/block-seal.js';
import { retryTiming } from '../../transfer/config.js';
import { encodeProbeHeader, sessionHeaderSizeBytes } from '../../wire/header.js';
import { tagSizeBytes } from '../../wire/sizes.js';

/**
 * Delay before each probe. The first delay begins when a receiver accepts the offer. It gives that receiver
 * time to join the group.
 */
const probeGapsMs = [3, 27, 80];

export class GroupProbe {
  /** Time of the next probe; Infinity if none is due. */
  dueAtMs: TimeMs = Infinity;
  private sentCount = 0;
  private lastSentAtMs: TimeMs = -Infinity;
  private readonly bytes: Uint8Array;

  constructor(
    private readonly group: Address,
    session: number,
    seal: BlockSeal,
  ) {
    const header = encodeProbeHeader(session);
    this.bytes = new Uint8Array(sessionHeaderSizeBytes + tagSizeBytes);
    this.bytes.set(header);
    this.bytes.set(seal.tag(header, new Uint8Array(0)), sessionHeaderSizeBytes);
  }

  /**
   * Time until which the sender waits for reports that a probe has arrived; Infinity while a probe is due.
   */
  get answersUntilMs(): TimeMs {
    return this.dueAtMs < Infinity ? Infinity : this.lastSentAtMs + retryTiming.probeWaitMs;
  }

  /** Starts a new series of probes, because another receiver has accepted the offer. */
  restart(nowMs: TimeMs): void {
    this.sentCount = 0;
    this.dueAtMs = Math.min(this.dueAtMs, nowMs + at(probeGapsMs, 0));
  }

  /** @returns the probe, and whether it is the last one of its series */
  take(nowMs: TimeMs): { readonly transmit: Transmit; readonly isLast: boolean } {
    this.sentCount++;
    this.lastSentAtMs = nowMs;
    const gapMs = probeGapsMs[this.sentCount];
    const isLast = gapMs === undefined;
    this.dueAtMs = nowMs + (gapMs ?? Infinity);
    return { transmit: { to: this.group, bytes: this.bytes }, isLast };
  }
}
