/**
 * Finds out whom a group reaches: probes go to it, and who hears one says so in the next report
 * (SESSIONS 3.6). Several, for each may be lost.
 */
import type { Address } from '../base/address.js';
import { at } from '../base/assert.js';
import type { TimeMs, Transmit } from '../base/machine.js';
import type { BlockSeal } from '../security/block-seal.js';
import { retryTiming } from '../transfer/config.js';
import { encodeProbeHeader, sessionHeaderSizeBytes } from '../wire/header.js';
import { tagSizeBytes } from '../wire/sizes.js';

/** From a receiver's taking part to the first probe, and from each to the next: it joins the group first. */
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

  /** Until when it pays to wait for those who have not said that they hear the group. */
  get answersUntilMs(): TimeMs {
    return this.dueAtMs < Infinity ? Infinity : this.lastSentAtMs + retryTiming.probeWaitMs;
  }

  /** Another receiver listens: it is probed for anew. */
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
