/** The stages in which the manifest of an object arrives and is checked. */
import type { TimeMs } from '../../../base/machine.js';
import type { Steps } from '../../../base/steps.js';
import { offsetOfBlock } from '../../../object/geometry.js';
import type { Manifest } from '../../../object/manifest.js';
import type { IncomingObject } from '../incoming-object.js';
import type { NoManifest } from '../manifest-reception.js';
import { ManifestReception } from '../manifest-reception.js';
import { ObjectStage } from './object-stage.js';
import { Preparing } from './preparing.js';
import type { Next } from './stage.js';

/** Begins to receive an object. */
export function beginWithManifest(nowMs: TimeMs, object: IncomingObject): Next {
  const manifest = new ManifestReception(object.offer);
  if (manifest.isInline) return CheckingManifest.begin(nowMs, object, manifest);
  return new ReceivingManifest(object, manifest);
}

export class ReceivingManifest extends ObjectStage {
  override readonly activity = 'manifest';
  protected override readonly reportedState = 'receiving';

  constructor(
    object: IncomingObject,
    private readonly manifest: ManifestReception,
  ) {
    super(object);
    object.blocks.expectManifest();
  }

  override takeBlock(nowMs: TimeMs, block: number, bytes: Uint8Array): Next {
    const { object, manifest } = this;
    const { blocks } = object;
    manifest.take(offsetOfBlock(blocks.geometry, block), bytes);
    blocks.feedback.want(nowMs);
    return blocks.isWhole ? CheckingManifest.begin(nowMs, object, manifest) : this;
  }
}

/** The manifest is complete and is being checked step by step. */
export class CheckingManifest extends ObjectStage {
  override readonly activity = 'checking';
  protected override readonly reportedState = 'preparing';
  private readonly steps: Steps<Manifest | NoManifest>;

  private constructor(
    object: IncomingObject,
    private readonly manifest: ManifestReception,
  ) {
    super(object);
    const { crypto, platform, limits } = object.options;
    this.steps = manifest.check(crypto, platform, limits);
  }

  static begin(nowMs: TimeMs, object: IncomingObject, manifest: ManifestReception): Next {
    const checking = new CheckingManifest(object, manifest);
    return manifest.isSmall ? checking.step(nowMs) : checking;
  }

  protected override get hasReport(): boolean {
    return false;
  }

  override get hasSteps(): boolean {
    return true;
  }

  override step(nowMs: TimeMs): Next {
    const { done, value } = this.steps.next();
    return done === true ? this.takeChecked(nowMs, value) : this;
  }

  private takeChecked(nowMs: TimeMs, checked: Manifest | NoManifest): Next {
    const { object, manifest } = this;
    if (!('kind' in checked)) return Preparing.begin(object, checked, manifest.bytes);
    if (checked.kind === 'bad' || !manifest.isWorthAnotherTry)
      return this.refuseObject(checked.reason);
    object.blocks.feedback.want(nowMs);
    return new ReceivingManifest(object, manifest);
  }
}
