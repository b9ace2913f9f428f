/** The records of an exchange: who takes part, what each peer has, and when it begins and ends (SESSIONS 11.3). */
import { escapeControls } from '../base/control-characters.js';
import type { Range } from '../base/range-set.js';
import { isAskableName } from './asks.js';
import { ByteReader, ByteWriter } from './byte-codec.js';
import { digestSizeBytes, keySizeBytes } from './sizes.js';

/** Which object of which peer. */
export interface ExchangedId {
  /** The number of the peer that brings the object. */
  readonly owner: number;
  /** The number of the object among those of its owner. */
  readonly object: number;
}

/** The digests of one file. */
export interface FileDigests {
  readonly md5: Uint8Array;
  readonly sha256: Uint8Array;
}

/** A peer takes part. It is its first record. */
export interface JoinRecord {
  readonly kind: 'join';
  readonly name: string;
  /** When the exchange began for this peer, by the clock of the coordinator, if it has begun. */
  readonly beganAtMs: number | undefined;
}

/** The coordinator accepts a peer. It is its first record. */
export interface WelcomeRecord {
  readonly kind: 'welcome';
  /** The number of this peer. */
  readonly peer: number;
  /** The number of peers for which the coordinator waits. */
  readonly expectedPeers: number;
}

/** Another peer, as the coordinator knows it. */
export interface PeerRecord {
  readonly kind: 'peer';
  readonly peer: number;
  readonly name: string;
  readonly key: Uint8Array;
  readonly host: string;
  readonly port: number;
}

/** An object that a peer brings. */
export interface ObjectRecord extends ExchangedId {
  readonly kind: 'object';
  readonly name: string;
  readonly contentSizeBytes: number;
  readonly manifestDigest: Uint8Array;
  readonly contentRoot: Uint8Array;
  readonly fileCount: number;
}

/** The digests of consecutive files of an object, in the order of its manifest. */
export interface FilesRecord extends ExchangedId {
  readonly kind: 'files';
  readonly firstFile: number;
  readonly digests: readonly FileDigests[];
}

/** All objects of a peer, and their files, have been listed. */
export interface ListedRecord {
  readonly kind: 'listed';
  readonly peer: number;
}

/** The exchange begins. */
export interface StartRecord {
  readonly kind: 'start';
  /** By the clock of the coordinator. */
  readonly atMs: number;
}

/** A peer holds further blocks of an object. */
export interface HeldRecord extends ExchangedId {
  readonly kind: 'held';
  readonly holder: number;
  /** Blocks, numbered within the content; ascending. */
  readonly ranges: readonly Range[];
}

/** A peer has stored an object under its final names. */
export interface StoredRecord extends ExchangedId {
  readonly kind: 'stored';
  readonly holder: number;
}

/** The coordinator hears of a peer, or does not. */
export interface PresenceRecord {
  readonly kind: 'presence';
  readonly peer: number;
  readonly presence: Presence;
}

/** What the coordinator knows of a peer: it hears of it, it hears nothing, or the peer has said that it leaves. */
export type Presence = 'present' | 'silent' | 'left';

/** The peer leaves the exchange. Nothing follows. */
export interface LeaveRecord {
  readonly kind: 'leave';
}

/** Everybody has what there is, but peers that were lost may come back with more. */
export interface AwaitedRecord {
  readonly kind: 'awaited';
  /** Until when, by the clock of the coordinator. */
  readonly untilMs: number;
  /** None if nobody is waited for any more. */
  readonly peers: readonly number[];
}

/** The exchange is over. */
export interface EndRecord {
  readonly kind: 'end';
  /** Empty if each peer has everything. */
  readonly reason: string;
}

export type ExchangeRecord =
  | JoinRecord
  | WelcomeRecord
  | PeerRecord
  | ObjectRecord
  | FilesRecord
  | ListedRecord
  | StartRecord
  | HeldRecord
  | StoredRecord
  | PresenceRecord
  | EndRecord
  | LeaveRecord
  | AwaitedRecord;

const kinds: readonly ExchangeRecord['kind'][] = [
  'join',
  'welcome',
  'peer',
  'object',
  'files',
  'listed',
  'start',
  'held',
  'stored',
  'presence',
  'end',
  'leave',
  'awaited',
];

const presences: readonly Presence[] = ['silent', 'present', 'left'];

export const exchangeLimits = {
  /** Maximum length of the name of a peer, in characters. */
  nameChars: 100,
  filesPerRecord: 20,
  /** They take at most 1,024 bytes. */
  rangesPerRecord: 64,
  /** Numbers of peers. A peer that joins again gets another one. */
  peers: 65_536,
  objectsPerPeer: 1000,
  /** Each peer gets the digests of all files. */
  filesPerPeer: 10_000,
  files: 50_000,
} as const;

const md5SizeBytes = 16;
const maxReasonChars = 200;
const maxHostChars = 64;
const maxAwaitedPeers = 100;

export function encodeRecord(record: ExchangeRecord): Uint8Array {
  const writer = new ByteWriter().uint8(kinds.indexOf(record.kind));
  switch (record.kind) {
    case 'join':
      writer.text(record.name.slice(0, exchangeLimits.nameChars));
      if (record.beganAtMs !== undefined) writer.float64(record.beganAtMs);
      break;
    case 'welcome':
      writer.varint(record.peer).varint(record.expectedPeers);
      break;
    case 'peer':
      writer.varint(record.peer).text(record.name.slice(0, exchangeLimits.nameChars));
      writer.raw(record.key).text(record.host).uint16(record.port);
      break;
    case 'object':
      writeId(writer, record).text(record.name).varint(record.contentSizeBytes);
      writer.raw(record.manifestDigest).raw(record.contentRoot).varint(record.fileCount);
      break;
    case 'files':
      writeId(writer, record).varint(record.firstFile);
      for (const { md5, sha256 } of record.digests) writer.raw(md5).raw(sha256);
      break;
    case 'listed':
      writer.varint(record.peer);
      break;
    case 'start':
      writer.float64(record.atMs);
      break;
    case 'held':
      writeRanges(writeId(writer.varint(record.holder), record), record.ranges);
      break;
    case 'stored':
      writeId(writer.varint(record.holder), record);
      break;
    case 'presence':
      writer.varint(record.peer).uint8(presences.indexOf(record.presence));
      break;
    case 'end':
      writer.text(record.reason.slice(0, maxReasonChars));
      break;
    case 'awaited':
      writer.float64(record.untilMs).varint(Math.min(record.peers.length, maxAwaitedPeers));
      for (const peer of record.peers.slice(0, maxAwaitedPeers)) writer.varint(peer);
      break;
    case 'leave':
      break;
  }
  return writer.finish();
}

/** @returns undefined if the bytes are not a record */
export function decodeRecord(bytes: Uint8Array): ExchangeRecord | undefined {
  const reader = new ByteReader(bytes);
  const kind = kinds[reader.uint8()];
  const record = kind === undefined ? undefined : readRecord(reader, kind);
  return reader.isGood ? record : undefined;
}

function readRecord(reader: ByteReader, kind: ExchangeRecord['kind']): ExchangeRecord | undefined {
  switch (kind) {
    case 'join': {
      const name = readName(reader);
      const beganAtMs = reader.remainingBytes === 0 ? undefined : reader.float64();
      const isGood = name !== '' && Number.isFinite(beganAtMs ?? 0);
      return isGood ? { kind, name, beganAtMs } : undefined;
    }
    case 'welcome':
      return { kind, peer: readPeer(reader), expectedPeers: reader.varint() };
    case 'peer':
      return readPeerRecord(reader);
    case 'object':
      return readObject(reader);
    case 'files':
      return readFiles(reader);
    case 'listed':
      return { kind, peer: readPeer(reader) };
    case 'start': {
      const atMs = reader.float64();
      return Number.isFinite(atMs) ? { kind, atMs } : undefined;
    }
    case 'held': {
      const holder = readPeer(reader);
      const id = readId(reader);
      const ranges = readRanges(reader);
      return ranges === undefined ? undefined : { kind, holder, ...id, ranges };
    }
    case 'stored':
      return { kind, holder: readPeer(reader), ...readId(reader) };
    case 'presence': {
      const peer = readPeer(reader);
      const presence = presences[reader.uint8()];
      return presence === undefined ? undefined : { kind, peer, presence };
    }
    case 'end':
      return { kind, reason: escapeControls(reader.text().slice(0, 2 * maxReasonChars)) };
    case 'leave':
      return { kind };
    case 'awaited':
      return readAwaited(reader);
  }
}

function readAwaited(reader: ByteReader): AwaitedRecord | undefined {
  const untilMs = reader.float64();
  const count = reader.varint();
  if (!Number.isFinite(untilMs) || count > maxAwaitedPeers) return undefined;
  const peers = Array.from({ length: count }, () => readPeer(reader));
  return { kind: 'awaited', untilMs, peers };
}

function readPeerRecord(reader: ByteReader): PeerRecord | undefined {
  const peer = readPeer(reader);
  const name = readName(reader);
  const key = reader.raw(keySizeBytes).slice();
  const host = reader.text();
  const port = reader.uint16();
  const isGood = name !== '' && host.length <= maxHostChars && host !== '' && port > 0;
  return isGood ? { kind: 'peer', peer, name, key, host, port } : undefined;
}

function readObject(reader: ByteReader): ObjectRecord | undefined {
  const id = readId(reader);
  const name = reader.text();
  const contentSizeBytes = reader.varint();
  const manifestDigest = reader.raw(digestSizeBytes).slice();
  const contentRoot = reader.raw(digestSizeBytes).slice();
  const fileCount = reader.varint();
  if (!isAskableName(name)) return undefined;
  return {
    kind: 'object',
    ...{ ...id, name, contentSizeBytes, manifestDigest, contentRoot, fileCount },
  };
}

function readFiles(reader: ByteReader): FilesRecord | undefined {
  const id = readId(reader);
  const firstFile = reader.varint();
  const digests: FileDigests[] = [];
  while (reader.remainingBytes > 0 && reader.isGood) {
    if (digests.length === exchangeLimits.filesPerRecord) return undefined;
    const md5 = reader.raw(md5SizeBytes).slice();
    digests.push({ md5, sha256: reader.raw(digestSizeBytes).slice() });
  }
  return { kind: 'files', ...id, firstFile, digests };
}

function readName(reader: ByteReader): string {
  return escapeControls(reader.text().slice(0, exchangeLimits.nameChars));
}

function readPeer(reader: ByteReader): number {
  const peer = reader.varint();
  if (peer >= exchangeLimits.peers) reader.isGood = false;
  return peer;
}

function writeId(writer: ByteWriter, { owner, object }: ExchangedId): ByteWriter {
  return writer.varint(owner).varint(object);
}

function readId(reader: ByteReader): ExchangedId {
  const owner = readPeer(reader);
  const object = reader.varint();
  if (object >= exchangeLimits.objectsPerPeer) reader.isGood = false;
  return { owner, object };
}

function writeRanges(writer: ByteWriter, ranges: readonly Range[]): void {
  let from = 0;
  for (const { start, end } of ranges) {
    writer.varint(start - from).varint(end - start);
    from = end;
  }
}

function readRanges(reader: ByteReader): Range[] | undefined {
  const ranges: Range[] = [];
  let from = 0;
  while (reader.remainingBytes > 0 && reader.isGood) {
    const start = from + reader.varint();
    const end = start + reader.varint();
    const isFull = ranges.length === exchangeLimits.rangesPerRecord;
    if (end <= start || !Number.isSafeInteger(end) || isFull) return undefined;
    ranges.push({ start, end });
    from = end;
  }
  return ranges;
}
