/**
 * Finds out which receivers can be reached by multicast. Several probes are sent to the group, because each may be
 * lost. A receiver that gets a probe says so in its next report (SESSIONS 3.6).
 */
import type { Address } from '../base/address.js';
import { at } from '../base/assert.js';
import type { TimeMs, Transmit } from '../base/machine.js';
import type { BlockSeal } from '../security/block-seal.js';
import { retryTiming } from '../transfer/config.js';
import { encodeProbeHeader, sessionHeaderSizeBytes } from '../wire/header.js';
import { tagSizeBytes } from '../wire/sizes.js';

/** The delay from a receiver's accept to the first probe, in which it can join, and the delays between probes. */
const probeGapsMs = [3, 27, 80];

export class GroupProbe {
  /** When the next probe is due; Infinity for none. */
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

  /** The time until which receivers may still report that a probe reached them. */
  get answersUntilMs(): TimeMs {
    return this.dueAtMs < Infinity ? Infinity : this.lastSentAtMs + retryTiming.probeWaitMs;
  }

  /** Starts a new series of probes, because another receiver has joined. */
  restart(nowMs: TimeMs): void {
    this.sentCount = 0;
    this.dueAtMs = Math.min(this.dueAtMs, nowMs + at(probeGapsMs, 0));
  }

  /** @returns the probe, and whether it was the last for now */
  take(nowMs: TimeMs): { readonly transmit: Transmit; readonly isLast: boolean } {
    this.sentCount++;
    this.lastSentAtMs = nowMs;
    const gapMs = probeGapsMs[this.sentCount];
    const isLast = gapMs === undefined;
    this.dueAtMs = nowMs + (gapMs ?? Infinity);
    return { transmit: { to: this.group, bytes: this.bytes }, isLast };
  }
}
