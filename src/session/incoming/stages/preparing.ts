/** The stages in which a receiver finds out which blocks of an object it holds already. */
import type { TimeMs } from '../../../base/machine.js';
import type { Range } from '../../../base/range-set.js';
import type { Steps } from '../../../base/steps.js';
import type { HeldBlock } from '../../../object/content-store.js';
import type { Manifest } from '../../../object/manifest.js';
import type { Extra } from '../../../wire/lists.js';
import { Announcement } from '../announcement.js';
import type { HeldContent } from '../held-content.js';
import { takeHeldContent } from '../held-content.js';
import { IncomingContent } from '../incoming-content.js';
import type { IncomingObject } from '../incoming-object.js';
import { Announcing } from './announcing.js';
import { ObjectStage } from './object-stage.js';
import type { Next, PreparedDetails } from './stage.js';

/** The shell is finding out which blocks the disk holds. */
export class Preparing extends ObjectStage {
  override readonly activity = 'preparing';
  protected override readonly reportedState = 'preparing';

  static begin(object: IncomingObject, manifest: Manifest): Preparing {
    const { output, info, offer, blocks } = object;
    const { blockSizeBytes } = blocks.geometry;
    const { existing, deletion, listedAtMs } = offer;
    output.emit({
      ...{ type: 'prepare', info, manifest, blockSizeBytes },
      ...{ existing, deletion, listedAtMs },
    });
    return new Preparing(object);
  }

  protected override get hasReport(): boolean {
    return false;
  }

  override handlePrepared(
    nowMs: TimeMs,
    held: Iterable<HeldBlock>,
    kept: readonly Range[],
    { unchangedFiles = 0, extras = [] }: PreparedDetails,
  ): Next {
    return new TakingHeld(this.object, { held, kept, extras, unchangedFiles }).step(nowMs);
  }
}

/** What the shell found. */
interface Found {
  readonly held: Iterable<HeldBlock>;
  readonly kept: readonly Range[];
  readonly extras: Iterable<Extra>;
  readonly unchangedFiles: number;
}

interface TakenContent {
  readonly announcement: Announcement;
  readonly heldContent: HeldContent;
}

/** What the shell found is being taken over step by step. */
class TakingHeld extends ObjectStage {
  override readonly activity = 'preparing';
  protected override readonly reportedState = 'preparing';
  private readonly steps: Steps<TakenContent>;

  constructor(
    object: IncomingObject,
    private readonly found: Found,
  ) {
    super(object);
    this.steps = takeFound(object, found);
  }

  override get progress() {
    return { ...super.progress, unchangedFiles: this.found.unchangedFiles };
  }

  protected override get hasReport(): boolean {
    return false;
  }

  override get hasSteps(): boolean {
    return true;
  }

  override step(nowMs: TimeMs): Next {
    const { done, value } = this.steps.next();
    if (done !== true) return this;
    const { announcement, heldContent } = value;
    const { verification, missing } = heldContent;
    const content = new IncomingContent(announcement, verification, this.found.unchangedFiles);
    return new Announcing(this.object, content, missing).announce(nowMs);
  }
}

function* takeFound(
  { options, blocks }: IncomingObject,
  { held, kept, extras }: Found,
): Steps<TakenContent> {
  const announcement = yield* Announcement.create(kept, extras);
  const { hash } = options.crypto;
  const heldContent = yield* takeHeldContent(hash, blocks.geometry, held, kept);
  return { announcement, heldContent };
}
