/** The stages in which a receiver finds out which blocks of an object it holds already. */
import { assert } from '../../../base/assert.js';
import type { TimeMs } from '../../../base/machine.js';
import type { Range } from '../../../base/range-set.js';
import type { Steps } from '../../../base/steps.js';
import type { HeldBlock } from '../../../object/content-store.js';
import type { Manifest } from '../../../object/manifest.js';
import { isEqualBytes } from '../../../wire/byte-codec.js';
import type { Extra } from '../../../wire/lists.js';
import { Announcement } from '../announcement.js';
import type { HeldContent } from '../held-content.js';
import { takeHeldContent } from '../held-content.js';
import { IncomingContent } from '../incoming-content.js';
import type { IncomingObject } from '../incoming-object.js';
import { IncomingWithdrawal } from '../incoming-withdrawal.js';
import { LeafReception } from '../leaf-reception.js';
import { Announcing, discardHeld } from './announcing.js';
import { ObjectStage } from './object-stage.js';
import type { Next, PreparedDetails } from './stage.js';
import { Outcome } from './stage.js';

/** The shell is finding out which blocks the disk holds. */
export class Preparing extends ObjectStage {
  override readonly activity = 'preparing';
  protected override readonly reportedState = 'preparing';

  private constructor(
    object: IncomingObject,
    private readonly manifest: Manifest,
  ) {
    super(object);
  }

  static begin(object: IncomingObject, manifest: Manifest, manifestBytes: Uint8Array): Preparing {
    const { output, info, offer, blocks } = object;
    const { blockSizeBytes } = blocks.geometry;
    const { existing, deletion, listedAtMs } = offer;
    output.emit({
      ...{ type: 'prepare', info, manifest, manifestBytes, blockSizeBytes },
      ...{ existing, deletion, listedAtMs },
    });
    return new Preparing(object, manifest);
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
    // What the origin of a relayed object says covers all of it.
    if (this.object.offer.relayed !== undefined && kept.length > 0)
      return new Outcome('refused', 'keeps existing files, which is not possible through a relay');
    const found = { held, kept, extras, unchangedFiles };
    return new TakingHeld(this.object, this.manifest, found).step(nowMs);
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
  readonly leaves: LeafReception | undefined;
}

/** What the shell found is being taken over step by step. */
class TakingHeld extends ObjectStage {
  override readonly activity = 'preparing';
  protected override readonly reportedState = 'preparing';
  private readonly steps: Steps<TakenContent>;

  constructor(
    object: IncomingObject,
    private readonly manifest: Manifest,
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
    const { announcement, heldContent, leaves } = value;
    const { verification, missing } = heldContent;
    const { unchangedFiles } = this.found;
    const { object, manifest } = this;
    const withdrawal = new IncomingWithdrawal(manifest, object.blocks.geometry);
    const content = new IncomingContent(
      announcement,
      verification,
      unchangedFiles,
      leaves,
      withdrawal,
    );
    const announcing = new Announcing(object, content, missing);
    announcing.requestLeaves(nowMs);
    return announcing.announce(nowMs);
  }
}

function* takeFound(object: IncomingObject, { held, kept, extras }: Found): Steps<TakenContent> {
  const { options, blocks } = object;
  const announcement = yield* Announcement.create(kept, extras);
  const { hash } = options.crypto;
  const heldContent = yield* takeHeldContent(hash, blocks.geometry, held, kept);
  const leaves = createLeafReception(object, heldContent);
  while (leaves?.isComparisonDue === true) {
    discardHeld(object, heldContent, leaves.compare());
    yield;
  }
  return { announcement, heldContent, leaves };
}

function createLeafReception(
  { options, offer }: IncomingObject,
  { verification }: HeldContent,
): LeafReception | undefined {
  const { contentRoot, deletion } = offer;
  if (contentRoot === undefined || deletion === 'list') return undefined;
  const { tree } = verification;
  const leaves = options.leavesOf(contentRoot, tree.blockCount);
  if (leaves === undefined) return undefined;
  const isSame = leaves.blockCount === tree.blockCount && isEqualBytes(leaves.root, contentRoot);
  assert(isSame, 'the leaves of this content');
  return new LeafReception(leaves, tree);
}
