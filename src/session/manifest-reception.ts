/** A manifest on its way to a receiver: with the offer, or block by block; nothing of it is believed unchecked. */

import type { Steps } from '../base/steps.js';
import type { Platform } from '../object/entry-name.js';
import type { Manifest } from '../object/manifest.js';
import { decodeInSteps, manifestLimits, readEntryCount } from '../object/manifest.js';
import type { SessionCrypto } from '../security/crypto.js';
import { hashInSteps } from '../security/crypto.js';
import { isEqualBytes } from '../wire/byte-codec.js';
import type { Offer } from '../wire/messages.js';
import type { ObjectLimits } from './object-limits.js';
import { findCountExcess, findSizeExcess } from './object-limits.js';

/** Why there is none: it may come again, or it is not taken. */
export type NoManifest = { readonly kind: 'again' } | { readonly kind: 'bad'; reason: string };

/** A manifest up to this size is checked in a fraction of a millisecond. */
const smallBytes = 4096;

/** How often a manifest that comes as blocks may be bad. */
const maxTries = 4;

/** Even of no entries a manifest has a byte; with the offer comes all of it or nothing. */
export function isManifestSound({ manifest, manifestSizeBytes }: Offer): boolean {
  const isSize = manifestSizeBytes > 0 && manifestSizeBytes <= manifestLimits.sizeBytes;
  return isSize && (manifest.length === 0 || manifest.length === manifestSizeBytes);
}

export class ManifestReception {
  private readonly bytes: Uint8Array;
  private tries = 0;

  constructor(private readonly offer: Offer) {
    const { manifest, manifestSizeBytes } = offer;
    this.bytes = this.isInline ? manifest : new Uint8Array(manifestSizeBytes);
  }

  /** Whether all of it came with the offer. */
  get isInline(): boolean {
    return this.offer.manifest.length > 0;
  }

  /** Whether it takes so little time to check it that nobody has to wait. */
  get isSmall(): boolean {
    return this.bytes.length <= smallBytes;
  }

  take(offsetBytes: number, bytes: Uint8Array): void {
    this.bytes.set(bytes, offsetBytes);
  }

  /** Checks it, once all of it has come; nothing is to be taken meanwhile. */
  *check(
    crypto: SessionCrypto,
    platform: Platform,
    limits: ObjectLimits,
  ): Steps<Manifest | NoManifest> {
    const { offer, bytes } = this;
    const digest = yield* hashInSteps(crypto, bytes);
    if (!isEqualBytes(digest, offer.manifestDigest)) {
      // Whoever has the group key can have written that: it comes again, but not for ever.
      this.tries++;
      if (this.tries < maxTries && !this.isInline) return { kind: 'again' };
      return bad('a manifest that does not have the digest it was offered by');
    }
    const countExcess = findCountExcess(readEntryCount(bytes), limits);
    if (countExcess !== undefined) return bad(countExcess);
    const decoded = yield* decodeInSteps(bytes, platform);
    if ('fault' in decoded) return bad(`${decoded.fault}: ${decoded.name}`);
    if (decoded.contentSizeBytes !== offer.contentSizeBytes) {
      return bad('files that are not as large together as it was offered');
    }
    const sizeExcess = yield* findSizeExcess(decoded, limits);
    return sizeExcess === undefined ? decoded : bad(sizeExcess);
  }
}

function bad(reason: string): NoManifest {
  return { kind: 'bad', reason };
}
