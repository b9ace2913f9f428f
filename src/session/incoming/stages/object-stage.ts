/**
 * What the stages have in common in which an object is received: the data of the blocks, and the reports to the sender.
 */
import type { Address } from '../../../base/address.js';
import { assert } from '../../../base/assert.js';
import type { TimeMs } from '../../../base/machine.js';
import { withoutUndefined } from '../../../base/without-undefined.js';
import type { Poll } from '../../../wire/messages.js';
import type { Offer } from '../../../wire/offer.js';
import type { PathChallenge } from '../../../wire/paths.js';
import type { ReceiverState } from '../../../wire/report.js';
import type { IncomingInfo } from '../../receiver-events.js';
import type { IncomingObject } from '../incoming-object.js';
import type { Next, StageProgress } from './stage.js';
import { Outcome, Stage } from './stage.js';

export abstract class ObjectStage extends Stage {
  /** The state to report to the sender. */
  protected abstract readonly reportedState: ReceiverState;

  constructor(readonly object: IncomingObject) {
    super();
  }

  override get info(): IncomingInfo {
    return this.object.info;
  }

  override get progress(): StageProgress {
    const { blocks, info } = this.object;
    return { figures: blocks.figures(info.from) };
  }

  // --- Messages

  override handleOffer(nowMs: TimeMs, _offer: Offer): Next {
    const { output } = this.object;
    this.accept();
    const next = output.takeNewChannel() ? this.announceAgain(nowMs) : this;
    if (next instanceof ObjectStage) next.wantReport(nowMs);
    return next;
  }

  private accept(): void {
    const { options, output, challenge, blocks } = this.object;
    const { name, addresses } = options;
    const more = withoutUndefined({ challenge, addresses: addresses.current });
    output.send({ kind: 'accept', name, ...more });
    blocks.quiet.handleAccept();
  }

  /** The sender has a new channel to this receiver, and may have forgotten what was announced. */
  protected announceAgain(_nowMs: TimeMs): Next {
    return this;
  }

  /** Applies the settings in the poll, and answers with a report. */
  override handlePoll(nowMs: TimeMs, { hasTags, leavesGroup, reportGapMs, burst }: Poll): Next {
    const { blocks, output, info } = this.object;
    if (hasTags) blocks.beginTags();
    if (leavesGroup && blocks.leaveGroup()) output.emit({ type: 'leave', session: info.session });
    blocks.feedback.keepApart(reportGapMs);
    if (burst !== undefined) blocks.feedback.handleEnd(nowMs, burst);
    this.report(nowMs);
    return this;
  }

  /** Answers a challenge on a path, and reports what has arrived by that path. */
  handleChallenge(nowMs: TimeMs, from: Address, challenge: PathChallenge): void {
    const { blocks, output } = this.object;
    output.sendTo(from, blocks.paths.answer(nowMs, from, challenge));
    const path = blocks.paths.find(challenge.path);
    if (path === undefined || challenge.burst === undefined) return;
    path.feedback.handleEnd(nowMs, challenge.burst);
    this.report(nowMs, path);
  }

  // --- Data

  /** @returns whether the probe is authentic */
  handleProbe(nowMs: TimeMs, header: Uint8Array, body: Uint8Array): boolean {
    const { blocks } = this.object;
    if (!blocks.isProbe(header, body)) return false;
    if (blocks.noteProbe()) this.wantReport(nowMs);
    return true;
  }

  /** Takes a complete block. */
  takeBlock(_nowMs: TimeMs, block: number, _bytes: Uint8Array): Next {
    assert(false, `no block is missing while ${this.activity}, not ${block} either`);
  }

  override handleWritten(nowMs: TimeMs, sizeBytes: number): void {
    this.object.blocks.noteWritten(nowMs, sizeBytes);
  }

  // --- Reports

  /** Whether there is anything to report before the sender polls. */
  protected get hasReport(): boolean {
    return true;
  }

  /** Requests a report at this receiver's next turn, if there is anything to report. */
  private wantReport(nowMs: TimeMs): void {
    if (this.hasReport) this.object.blocks.feedback.want(nowMs);
  }

  /** Sends a report now, by the path that it is about. */
  report(nowMs: TimeMs, path = this.object.blocks.paths.first): void {
    const { blocks, output } = this.object;
    path.feedback.handleReport(nowMs);
    const report = blocks.createReport(nowMs, this.reportedState, path);
    output.sendTo(path.address, { kind: 'report', report });
  }

  /** Says unasked where this receiver is now. The sender ignores reports before the accept. */
  reportQuiet(nowMs: TimeMs): void {
    const { quiet } = this.object.blocks;
    quiet.handleReport(nowMs);
    if (quiet.isAcceptUnanswered) this.accept();
    else this.report(nowMs);
  }

  override pollTimeout(): TimeMs {
    const { paths, quiet } = this.object.blocks;
    return Math.min(paths.dueAtMs, quiet.dueAtMs);
  }

  override handleTimeout(nowMs: TimeMs): Next {
    this.flush(nowMs);
    return this;
  }

  override flush(nowMs: TimeMs): void {
    const { paths, quiet } = this.object.blocks;
    if (nowMs >= quiet.dueAtMs) this.reportQuiet(nowMs);
    if (nowMs < paths.dueAtMs) return;
    for (const path of paths) if (nowMs >= path.feedback.dueAtMs) this.report(nowMs, path);
  }

  // --- The end

  override close(): void {
    this.object.blocks.close();
  }

  /** Refuses an object that this receiver must not accept. */
  protected refuseObject(reason: string): Outcome {
    this.object.output.countFault('bad-object');
    return new Outcome('refused', reason);
  }
}
