/** What a session is made of: what a caller may say, checked, and what follows from it (SESSIONS 3, 4). */
import type { Address } from '../base/address.js';
import { P2mpError } from '../base/errors.js';
import type { SessionGeometry } from '../object/geometry.js';
import { createSessionGeometry, sessionMssLimits } from '../object/geometry.js';
import type { SessionCrypto } from '../security/crypto.js';
import { sessionDefaults } from '../transfer/config.js';
import { checkGiveUp, type ReceiverSpec } from '../transfer/receiver-spec.js';
import type { ExistingFiles, Offer } from '../wire/messages.js';
import { encodeMessage } from '../wire/messages.js';
import { segmentsPerBlockFor } from '../wire/segment-size.js';

/** Options of a session sender: the object, the receivers, keys, rate and limits. */
export interface SessionSenderOptions {
  readonly receivers: readonly ReceiverSpec[];
  /** What people call the object. */
  readonly label: string;
  /** As `encodeManifest` makes it. */
  readonly manifest: Uint8Array;
  /** SHA-256 of the manifest. If left out, it is computed at once, which takes 50 ms for the largest. */
  readonly manifestDigest?: Uint8Array;
  readonly contentSizeBytes: number;
  readonly crypto: SessionCrypto;
  readonly mssBytes?: number;
  /** As many as one send holds if left out. */
  readonly segmentsPerBlock?: number;
  /** The group to send to, as far as it reaches; left out for unicast alone. */
  readonly group?: Address;
  readonly existing?: ExistingFiles;
  /** No later session can offer this object: receivers keep nothing of it for a resume. */
  readonly isUnrepeatable?: boolean;
  readonly giveUpAfterMs?: number;
  /** A fixed limit; as fast as the path allows if left out. */
  readonly rateBytesPerSec?: number;
  /** Reports that may reach the sender each second. */
  readonly reportsPerSec?: number;
}

/** What follows from the options. */
export interface SessionTerms {
  readonly geometry: SessionGeometry;
  readonly reportIntervalMs: number;
  readonly giveUpAfterMs: number;
  /** What many receivers answer to is sent to one after another, this far apart. */
  readonly spacingMs: number;
  /** Receivers that are asked out of their turn. */
  readonly pollsPerSec: number;
}

/** A manifest up to this size travels with the offer. */
const inlineManifestBytes = 700;

/** What people call the object, in characters. */
const maxLabelLength = 100;

/** Receivers are numbered by 16 bits. */
const maxReceivers = 65_535;

/** Report intervals that patience lasts for at least. */
const livenessTimeoutReports = 8;

/** @throws P2mpError INVALID_ARGUMENT */
export function agreeTerms(options: SessionSenderOptions): SessionTerms {
  const { receivers, rateBytesPerSec = 1 } = options;
  const { reportsPerSec = sessionDefaults.reportsPerSec } = options;
  if (receivers.length === 0 || receivers.length > maxReceivers) {
    throw invalid(`${receivers.length} receivers: name 1 to ${maxReceivers}`);
  }
  for (const rate of [rateBytesPerSec, reportsPerSec]) {
    if (!(rate > 0 && Number.isFinite(rate))) throw invalid(`rate ${rate}: must be above 0`);
  }
  const { minReportIntervalMs, turnShare } = sessionDefaults;
  const reportIntervalMs = Math.max(
    minReportIntervalMs,
    (receivers.length * 1000) / (reportsPerSec * turnShare),
  );
  return {
    geometry: agreeGeometry(options),
    reportIntervalMs,
    // Many receivers have their turns seldom: that is no silence.
    giveUpAfterMs: Math.max(
      checkGiveUp(options.giveUpAfterMs ?? sessionDefaults.giveUpAfterMs),
      livenessTimeoutReports * reportIntervalMs,
    ),
    spacingMs: 1000 / reportsPerSec,
    pollsPerSec: reportsPerSec * (1 - turnShare),
  };
}

/** What receivers are told of the object; a long manifest comes to them as blocks. */
export function createOffer(
  options: SessionSenderOptions,
  { geometry, reportIntervalMs }: SessionTerms,
  groupKey: Uint8Array,
): Offer {
  const { label, manifest, contentSizeBytes, crypto, group, existing = 'update' } = options;
  const { mssBytes, segmentsPerBlock } = geometry;
  const offer: Offer = {
    kind: 'offer',
    label: label.slice(0, maxLabelLength),
    mssBytes,
    segmentsPerBlock,
    manifestSizeBytes: manifest.length,
    contentSizeBytes,
    manifestDigest: options.manifestDigest ?? crypto.hash(manifest),
    manifest,
    groupKey,
    groupHost: group?.host ?? '',
    reportIntervalMs,
    existing,
  };
  // It is to pass where data does.
  const isInline =
    manifest.length <= inlineManifestBytes && encodeMessage(offer).length <= mssBytes;
  return isInline ? offer : { ...offer, manifest: new Uint8Array(0) };
}

function agreeGeometry(options: SessionSenderOptions): SessionGeometry {
  const { manifest, contentSizeBytes, mssBytes = sessionDefaults.mssBytes } = options;
  const { segmentsPerBlock = segmentsPerBlockFor(mssBytes) } = options;
  const { minBytes, maxBytes } = sessionMssLimits;
  if (!Number.isInteger(mssBytes) || mssBytes < minBytes || mssBytes > maxBytes) {
    throw invalid(`MSS ${mssBytes}: must be a whole number from ${minBytes} to ${maxBytes}`);
  }
  const { length: manifestSizeBytes } = manifest;
  const geometry = createSessionGeometry(
    manifestSizeBytes,
    contentSizeBytes,
    mssBytes,
    segmentsPerBlock,
  );
  if (geometry !== undefined) return geometry;
  throw invalid(
    `${contentSizeBytes} bytes in segments of ${mssBytes}, ${segmentsPerBlock} a block: no such session; take larger segments`,
  );
}

function invalid(message: string): P2mpError {
  return new P2mpError('INVALID_ARGUMENT', message);
}
