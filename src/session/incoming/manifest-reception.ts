/**
 * Receives a manifest, either inside the offer or block by block. The manifest is not trusted before it is
 * checked.
 */

import type { Steps } from '../../base/steps.js';
import type { Platform } from '../../object/entry-name.js';
import type { Manifest } from '../../object/manifest.js';
import { decodeInSteps, manifestLimits, readEntryCount } from '../../object/manifest.js';
import type { SessionCrypto } from '../../security/crypto.js';
import { hashInSteps } from '../../security/crypto.js';
import { isEqualBytes } from '../../wire/byte-codec.js';
import type { Offer } from '../../wire/offer.js';
import type { ObjectLimits } from '../object-limits.js';
import { findCountExcess, findSizeExcess } from '../object-limits.js';

/** A failed check. `mismatch`: the bytes are not those of the digest. `bad`: the object must be refused. */
export interface NoManifest {
  readonly kind: 'mismatch' | 'bad';
  readonly reason: string;
}

/** A manifest up to this size can be checked in a fraction of a millisecond. */
const smallBytes = 4096;

/** If the manifest is sent as blocks, the object is refused after this many failed checks. */
const maxTries = 4;

/** Whether the manifest's size is valid and the offer contains either all or none of the manifest. */
export function isManifestSound({ manifest, manifestSizeBytes }: Offer): boolean {
  const isSize = manifestSizeBytes > 0 && manifestSizeBytes <= manifestLimits.sizeBytes;
  return isSize && (manifest.length === 0 || manifest.length === manifestSizeBytes);
}

export class ManifestReception {
  /** The manifest, as far as it has arrived. */
  readonly bytes: Uint8Array;
  private mismatches = 0;

  constructor(private readonly offer: Offer) {
    const { manifest, manifestSizeBytes } = offer;
    this.bytes = this.isInline ? manifest : new Uint8Array(manifestSizeBytes);
  }

  /** Whether the offer contained the whole manifest. */
  get isInline(): boolean {
    return this.offer.manifest.length > 0;
  }

  /** Whether the manifest is small enough to be checked at once. */
  get isSmall(): boolean {
    return this.bytes.length <= smallBytes;
  }

  /** Whether to receive the manifest again after a mismatch. */
  get isWorthAnotherTry(): boolean {
    // A receiver with the group key might have forged some of the blocks.
    return !this.isInline && this.mismatches < maxTries;
  }

  take(offsetBytes: number, bytes: Uint8Array): void {
    this.bytes.set(bytes, offsetBytes);
  }

  /** Checks the complete manifest. Do not call `take` until the check is done. */
  *check(
    crypto: SessionCrypto,
    platform: Platform,
    limits: ObjectLimits,
  ): Steps<Manifest | NoManifest> {
    const { offer, bytes } = this;
    const digest = yield* hashInSteps(crypto, bytes);
    if (!isEqualBytes(digest, offer.manifestDigest)) {
      this.mismatches++;
      return { kind: 'mismatch', reason: 'the manifest does not match the offered digest' };
    }
    const countExcess = findCountExcess(readEntryCount(bytes), limits);
    if (countExcess !== undefined) return bad(countExcess);
    const decoded = yield* decodeInSteps(bytes, platform);
    if ('fault' in decoded) return bad(`${decoded.fault}: ${decoded.name}`);
    if (decoded.contentSizeBytes !== offer.contentSizeBytes) {
      return bad('the total size of the files does not match the offer');
    }
    const sizeExcess = yield* findSizeExcess(decoded, limits);
    return sizeExcess === undefined ? decoded : bad(sizeExcess);
  }
}

function bad(reason: string): NoManifest {
  return { kind: 'bad', reason };
}
