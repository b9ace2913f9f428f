/** The options of a session sender, their validation, and the terms derived from them (SESSIONS 3, 4). */

import type { Address } from '../base/address.js';
import { P2mpError } from '../base/errors.js';
import { withoutUndefined } from '../base/without-undefined.js';
import type { DigestTree } from '../object/digest-tree.js';
import type { SessionGeometry } from '../object/geometry.js';
import { createSessionGeometry, leastMssBytes, sessionMssLimits } from '../object/geometry.js';
import type { CreateCongestionController } from '../path/congestion/congestion-control.js';
import type { RateLimit } from '../path/pacer.js';
import type { SessionCrypto } from '../security/crypto.js';
import type { ReceivedInvitation } from '../security/invitations.js';
import { sessionDefaults } from '../transfer/config.js';
import { checkLivenessTimeout, type ReceiverSpec } from '../transfer/receiver-spec.js';
import { ReportInterval } from '../transfer/report-interval.js';
import { askerNumber } from '../wire/header.js';
import { encodeMessage } from '../wire/messages.js';
import type { Deletion, ExistingFiles, Offer } from '../wire/offer.js';
import type { Relayed } from '../wire/relayed.js';
import { standardBlockSizeBytes } from '../wire/sizes.js';

/** Options of a session sender: the object, the receivers, keys, rate and limits. */
export interface SessionSenderOptions {
  /**
   * The receivers at the start, numbered by their position in this list; `join` adds more. At most 65,535 in all.
   * Without this list, the session begins with the first receiver that joins.
   */
  readonly receivers?: readonly ReceiverSpec[];
  /** The name of the object that users see. */
  readonly label: string;
  /** The manifest as `encodeManifest` returns it. */
  readonly manifest: Uint8Array;
  /** SHA-256 of the manifest. If omitted, it is computed synchronously, which takes 50 ms for the largest manifest. */
  readonly manifestDigest?: Uint8Array;
  /** Sum of the files' sizes, as in the manifest. */
  readonly contentSizeBytes: number;
  /**
   * The leaf digests of all blocks, if they are known before the content is read. Receivers then learn the content root
   * from the offer and can verify each block as it arrives. Sessions can share the tree. A block that does not match
   * its digest is not sent; the source counts as changed.
   */
  readonly digestTree?: DigestTree;
  /**
   * Whether all receivers are sent the same blocks at about the same time, because it is expensive to read blocks again. By
   * default only if the digests are not known. Otherwise, those that multicast reaches are served together, and each other
   * one at its own pace.
   */
  readonly servesTogether?: boolean;
  /** If this sender is a relay: where the object comes from. Its receivers then need envelopes of that host. */
  readonly relayed?: Relayed;
  /** Cryptographic functions that use this sender's key. */
  readonly crypto: SessionCrypto;
  /** Content bytes per datagram; 1400 by default. */
  readonly mssBytes?: number;
  /**
   * Size of a block before sealing; 61,440 bytes by default. The receivers must use the same size. Tests use
   * small blocks.
   */
  readonly blockSizeBytes?: number;
  /**
   * Addresses of this host from which to send by several paths at once, to receivers that can be reached at several
   * addresses or from several of these. By default, the system chooses where to send from.
   */
  readonly localHosts?: readonly string[];
  /** The multicast group, used for the receivers that it reaches. If omitted, all data is sent by unicast. */
  readonly group?: Address;
  /** How receivers treat existing files; `update` by default. */
  readonly existing?: ExistingFiles;
  /** What receivers do with other entries that they have in folders of the object; `none` by default. */
  readonly deletion?: Deletion;
  /**
   * Whether a receiver must spare an entry that the object does not contain. By default, no such entry is
   * spared.
   * @param name the name that the entry would have in the object
   */
  readonly isSpared?: (name: string, isFolder: boolean) => boolean;
  /**
   * When the files were listed, in milliseconds since 1970. Receivers do not rely on the time of a file that changed
   * less than 2 s before that. By default, they rely on the time of no file.
   */
  readonly listedAtMs?: number;
  /** The invitations that this sender has. Each is proved to the receiver whose key it names, and to no other one. */
  readonly invitations?: readonly ReceivedInvitation[];
  /** Whether only this session can send the object. If so, receivers keep nothing of an incomplete object. */
  readonly isUnrepeatable?: boolean;
  /** A receiver that is silent for this long fails. */
  readonly livenessTimeoutMs?: number;
  /**
   * Fixed rate limit, at least 1,000 bytes per second. By default, the sender is as fast as the path allows.
   */
  readonly rateBytesPerSec?: number;
  /** A limit that this session shares with others, in place of `rateBytesPerSec`. Each follows its paths below it. */
  readonly rateLimit?: RateLimit;
  /**
   * The number of hosts that send to the same receivers at the same time, this one included; by default 1. It may change.
   * Each leaves room on the way for what the others have in flight.
   */
  readonly senderCount?: () => number;
  /** Creates the congestion controller of a rate group; by default, `createCongestionController`. */
  readonly createController?: CreateCongestionController;
  /** Maximum number of reports per second from all receivers together. */
  readonly reportsPerSec?: number;
}

/** Terms derived from the options. */
export interface SessionTerms {
  readonly geometry: SessionGeometry;
  /** How often receivers report. It grows when receivers join. */
  readonly reportInterval: ReportInterval;
  /** The configured liveness timeout. */
  readonly livenessTimeoutMs: number;
  /** Time between requests to different receivers. The spacing spreads their answers over time. */
  readonly spacingMs: number;
  /** Maximum number of polls per second. A poll requests a report outside the receiver's turn. */
  readonly pollsPerSec: number;
}

/** Maximum size of a manifest that is sent inside the offer. */
const inlineManifestBytes = 700;

/** Maximum length of a label, in characters. */
const maxLabelLength = 100;

/** At a lower rate, datagrams would arrive so rarely that receivers would consider the sender dead. */
const minRateBytesPerSec = 1000;

/** Receiver numbers have 16 bits, and `askerNumber` is reserved. */
const maxReceivers = askerNumber;

/** @throws P2mpError INVALID_ARGUMENT */
export function agreeTerms(options: SessionSenderOptions): SessionTerms {
  const { receivers, rateBytesPerSec = minRateBytesPerSec } = options;
  const receiverCount = receivers?.length ?? 1;
  const { reportsPerSec = sessionDefaults.reportsPerSec } = options;
  if (receiverCount === 0 || receiverCount > maxReceivers) {
    throw invalid(`${receiverCount} receivers: there must be 1 to ${maxReceivers}`);
  }
  if (!(rateBytesPerSec >= minRateBytesPerSec && Number.isFinite(rateBytesPerSec))) {
    throw invalid(
      `rate ${rateBytesPerSec}: must be at least ${minRateBytesPerSec} bytes per second, such as 50MB`,
    );
  }
  if (!(reportsPerSec > 0 && Number.isFinite(reportsPerSec))) {
    throw invalid(`${reportsPerSec} reports per second: must be above 0`);
  }
  const { livenessTimeoutMs = sessionDefaults.livenessTimeoutMs } = options;
  return {
    geometry: agreeGeometry(options),
    reportInterval: new ReportInterval(reportsPerSec),
    livenessTimeoutMs: checkLivenessTimeout(livenessTimeoutMs),
    spacingMs: 1000 / reportsPerSec,
    pollsPerSec: reportsPerSec * (1 - sessionDefaults.turnShare),
  };
}

/** @throws P2mpError INVALID_ARGUMENT if no receiver can join */
export function checkJoin(hasEnded: boolean, receiverCount: number): void {
  if (hasEnded) throw invalid('the session has ended; begin a new one for further receivers');
  if (receiverCount >= maxReceivers) {
    throw invalid(`${receiverCount} receivers were in this session; begin a new one for more`);
  }
}

/** @returns `isSpared` of the options; undefined if nothing is deleted */
export function sparingOf({
  deletion = 'none',
  isSpared = () => false,
}: SessionSenderOptions): SessionSenderOptions['isSpared'] {
  return deletion === 'none' ? undefined : isSpared;
}

/** Creates the offer to any receiver. A short manifest is part of the offer; a long manifest is sent as blocks. */
export function createOffer(
  options: SessionSenderOptions,
  { geometry, reportInterval }: SessionTerms,
  session: number,
  groupKey: Uint8Array,
): Offer {
  const { label, manifest, contentSizeBytes, crypto, group, existing = 'update' } = options;
  const { deletion = 'none', listedAtMs = 0 } = options;
  const { mssBytes } = geometry;
  const offer: Offer = {
    kind: 'offer',
    session,
    label: label.slice(0, maxLabelLength),
    mssBytes,
    manifestSizeBytes: manifest.length,
    contentSizeBytes,
    manifestDigest: options.manifestDigest ?? crypto.hash(manifest),
    manifest,
    groupKey,
    // The longest one, so that the offer does not grow when receivers join.
    reportIntervalMs: reportInterval.forReceivers(maxReceivers),
    ...{ existing, deletion, listedAtMs },
    ...withoutUndefined({ group, contentRoot: options.digestTree?.root() }),
    ...withoutUndefined({ relayed: options.relayed }),
  };
  // The offer must not be larger than a data datagram.
  const isInline =
    manifest.length <= inlineManifestBytes && encodeMessage(offer).length <= mssBytes;
  return isInline ? offer : { ...offer, manifest: new Uint8Array(0) };
}

function agreeGeometry(options: SessionSenderOptions): SessionGeometry {
  const { manifest, contentSizeBytes, mssBytes = sessionDefaults.mssBytes } = options;
  const { blockSizeBytes = standardBlockSizeBytes } = options;
  const { maxBytes } = sessionMssLimits;
  const minBytes = leastMssBytes(blockSizeBytes);
  if (!Number.isInteger(mssBytes) || mssBytes < minBytes || mssBytes > maxBytes) {
    throw invalid(`MSS ${mssBytes}: must be a whole number from ${minBytes} to ${maxBytes}`);
  }
  const { length: manifestSizeBytes } = manifest;
  const geometry = createSessionGeometry(
    manifestSizeBytes,
    contentSizeBytes,
    mssBytes,
    blockSizeBytes,
  );
  if (geometry !== undefined) {
    checkDigestTree(options.digestTree, geometry);
    return geometry;
  }
  throw invalid(
    `${contentSizeBytes} bytes do not fit into one session; send fewer files at a time`,
  );
}

/** @throws P2mpError INVALID_ARGUMENT unless the tree is one of this object */
function checkDigestTree(
  tree: DigestTree | undefined,
  { blockCount, manifestBlockCount }: SessionGeometry,
): void {
  const contentBlocks = blockCount - manifestBlockCount;
  if (tree === undefined || (tree.isComplete && tree.blockCount === contentBlocks)) return;
  throw invalid(
    `digest tree: holds ${tree.count} digests of ${tree.blockCount} blocks; the content has ${contentBlocks}`,
  );
}

function invalid(message: string): P2mpError {
  return new P2mpError('INVALID_ARGUMENT', message);
}
