/** The content of an incoming object once it is known what the disk holds of it. */
import { RangeSet } from '../../base/range-set.js';
import type { Verification } from '../../object/verification.js';
import type { EnvelopeContent } from '../../security/envelope.js';
import type { Announcement } from './announcement.js';
import type { IncomingWithdrawal } from './incoming-withdrawal.js';
import type { LeafReception } from './leaf-reception.js';

export class IncomingContent {
  /** Content blocks that have arrived in this session. */
  readonly arrived = new RangeSet();
  /** If the object is relayed: what its origin says about it. Undefined until it has come. */
  envelope: EnvelopeContent | undefined;
  private damageCount = 0;
  private badBlockCount = 0;

  constructor(
    readonly announcement: Announcement,
    readonly verification: Verification,
    /** Files that are not read, because their size and time are unchanged. */
    readonly unchangedFiles: number,
    /** Undefined if the leaf digests are not known to the sender, or of no interest to this receiver. */
    readonly leaves: LeafReception | undefined,
    readonly withdrawal: IncomingWithdrawal,
  ) {}

  /** Records a block that does not match its leaf. @returns whether another attempt might help */
  noteBadBlock(): boolean {
    this.badBlockCount++;
    return this.badBlockCount <= maxBadBlocks;
  }

  /** Records damage on disk. @returns whether another repair might help */
  noteDamage(): boolean {
    this.damageCount++;
    return this.damageCount <= maxDamageRepairs;
  }
}

/**
 * Maximum number of blocks that do not match their leaves. If more of them come, the sender is at fault, or somebody
 * with the group key.
 */
const maxBadBlocks = 256;

/** Maximum number of repairs after damage on disk. After further damage, the disk counts as faulty. */
const maxDamageRepairs = 4;
