/** The content of an incoming object once it is known what the disk holds of it. */
import type { Verification } from '../../object/verification.js';
import type { Announcement } from './announcement.js';

export class IncomingContent {
  private damageCount = 0;

  constructor(
    readonly announcement: Announcement,
    readonly verification: Verification,
    /** Files that are not read, because their size and time are unchanged. */
    readonly unchangedFiles: number,
  ) {}

  /** Records damage on disk. @returns whether another repair might help */
  noteDamage(): boolean {
    this.damageCount++;
    return this.damageCount <= maxDamageRepairs;
  }
}

/** Maximum number of repairs after damage on disk. After further damage, the disk counts as faulty. */
const maxDamageRepairs = 4;
