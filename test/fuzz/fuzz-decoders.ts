/** All stateless decoders of foreign bytes: an invalid byte is a fault, never an exception. */
import { posix, win32 } from 'node:path';
import { P2mpError } from '../../src/base/errors.js';
import { RangeSet } from '../../src/base/range-set.js';
import { parsePlan } from '../../src/experiment/plan.js';
import { formatPublicKey, parsePublicKey } from '../../src/node/keys/key-files.js';
import type { Platform } from '../../src/object/entry-name.js';
import { readEntryName } from '../../src/object/entry-name.js';
import { compareNames } from '../../src/object/entry-order.js';
import {
  createSessionGeometry,
  segmentCountOfBlock,
  sizeOfSegment,
} from '../../src/object/geometry.js';
import type { Entry } from '../../src/object/manifest.js';
import {
  createManifest,
  decodeManifest,
  encodeManifest,
  isInside,
} from '../../src/object/manifest.js';
import { checkPayload, decode, describe, encodeAck, encodeData } from '../../src/packet.js';
import { SegmentBatch } from '../../src/transfer/segment-batch.js';
import {
  channelDatagramSize,
  decodeSession,
  describeSession,
  isBlockDatagram,
  writeBlockHeader,
} from '../../src/wire/header.js';
import type { Message } from '../../src/wire/messages.js';
import { decodeMessage, encodeMessage } from '../../src/wire/messages.js';
import type { Report } from '../../src/wire/report.js';
import { capturedSession, capturedTransfer } from './captured.js';
import { hostileBytes, hostileNumber, join } from './hostile-bytes.js';
import { hostileReceiverMessage, hostileSenderMessage } from './hostile-messages.js';
import type { Tape } from './tape.js';
import { toHex } from './tape.js';
import { demand } from './watch.js';

/** Decodes hostile inputs until the tape ends. @returns their number */
function repeat(tape: Tape, once: () => void): number {
  let count = 0;
  do {
    once();
    count++;
  } while (!tape.isOver);
  return count;
}

export function fuzzClassicPacket(tape: Tape): number {
  const { toReceiver, toSender } = capturedTransfer();
  const pool = [...toReceiver, ...toSender];
  return repeat(tape, () => {
    const bytes = hostileBytes(tape, tape.isOneIn(4) ? undefined : tape.pick(pool));
    const packet = decode(bytes);
    demand(describe(bytes).length > 0, () => 'no words for a packet');
    if (typeof packet === 'string' || packet.kind === 'end') return;
    if (packet.kind === 'ack') {
      const again = decode(encodeAck(packet.sequence));
      const isSame = typeof again !== 'string' && again.sequence === packet.sequence;
      demand(isSame, () => `ACK ${packet.sequence} reads as another`);
      return;
    }
    const right = decode(encodeData(packet.sequence, packet.payload));
    const isGood =
      typeof right !== 'string' && right.kind === 'data' && checkPayload(right) === 'good';
    demand(isGood, () => 'a checksum that does not fit what it was made of');
  });
}

export function fuzzSessionPacket(tape: Tape): number {
  const { toReceiver, toSender } = capturedSession();
  return repeat(tape, () => {
    const pool = tape.isOneIn(2) ? toReceiver : toSender;
    const first = hostileBytes(tape, tape.isOneIn(8) ? undefined : tape.pick(pool));
    const bytes = tape.isOneIn(3) ? join([first, hostileBytes(tape, tape.pick(pool))]) : first;
    const packet = decodeSession(bytes);
    demand(describeSession(bytes).length > 0, () => 'no words for a packet');
    for (let offset = 0; offset < bytes.length; ) {
      const size = channelDatagramSize(bytes, offset);
      demand(size >= 1 && offset + size <= bytes.length, () => `a datagram of ${size} bytes`);
      demand(size >= 16 || offset + size === bytes.length, () => 'less than a header in between');
      offset += size;
    }
    if (typeof packet === 'string') return;
    const tagBytes = 'tag' in packet ? packet.tag.length : 0;
    const isWhole = packet.header.length + packet.body.length + tagBytes === bytes.length;
    demand(isWhole, () => 'a packet that leaves out some of its bytes');
  });
}

/** Data that came together, in any geometry. */
export function fuzzSegmentBatch(tape: Tape): number {
  return repeat(tape, () => {
    const mssBytes = tape.pick([64, 65, 100, 1400, 65_000]);
    const geometry = createSessionGeometry(
      tape.pick([0, 10, 5000, hostileNumber(tape)]),
      tape.pick([0, 1, 5000, 100_000, hostileNumber(tape)]),
      tape.isOneIn(16) ? hostileNumber(tape) : mssBytes,
      tape.pick([48, 240, 61_440]),
    );
    if (geometry === undefined) return;
    const parts: Uint8Array[] = [];
    const count = 1 + tape.below(6);
    for (let i = 0; i < count; i++) {
      const block = tape.isOneIn(8) ? tape.uint32() : tape.below(3);
      const segment = tape.isOneIn(8) ? tape.byte() : i;
      const isKnown = block < geometry.blockCount && segment < segmentCountOfBlock(geometry, block);
      const isTagged = tape.isOneIn(4);
      const bodyBytes = isKnown ? sizeOfSegment(geometry, block, segment) : tape.byte();
      const sizeBytes = 16 + bodyBytes + (isTagged ? 16 : 0) + (tape.isOneIn(8) ? 1 : 0);
      const bytes = new Uint8Array(Math.min(sizeBytes, 65_535));
      if (bytes.length < 16) continue;
      const fields = { session: 1, generation: 1, block, segment, flags: tape.byte(), burst: 1 };
      writeBlockHeader(bytes, 0, isTagged, fields);
      parts.push(tape.isOneIn(8) ? hostileBytes(tape, bytes) : bytes);
    }
    const bytes = join(parts);
    const batch = new SegmentBatch();
    for (let offset = 0; isBlockDatagram(bytes, offset); ) {
      const isGood = batch.read(geometry, bytes, offset);
      demand(
        batch.end > offset && batch.end <= bytes.length,
        () => `a batch that ends at ${batch.end}`,
      );
      if (isGood) checkBatch(batch, geometry, bytes.subarray(offset, batch.end));
      offset = batch.end;
    }
  });
}

function checkBatch(
  batch: SegmentBatch,
  geometry: NonNullable<ReturnType<typeof createSessionGeometry>>,
  bytes: Uint8Array,
): void {
  let total = 0;
  for (let i = 0; i < batch.count; i++) {
    const segment = batch.segment(i);
    demand(
      segment < segmentCountOfBlock(geometry, batch.block),
      () => `segment ${segment} there is not`,
    );
    const expected = sizeOfSegment(geometry, batch.block, segment);
    demand(batch.body(i).length === expected, () => `segment ${segment} of another size`);
    total += batch.header(i).length + expected + batch.tag(i).length;
  }
  demand(total === bytes.length, () => 'a batch that leaves out some of its bytes');
}

export function fuzzMessage(tape: Tape): number {
  return repeat(tape, () => {
    const context = { session: 1, blockCount: tape.byte(), burst: tape.uint16() };
    const bytes = tape.isOneIn(8)
      ? hostileBytes(tape, undefined)
      : tape.isOneIn(2)
        ? hostileSenderMessage(tape, context)
        : hostileReceiverMessage(tape, context);
    const message = decodeMessage(bytes);
    if (message === undefined) return;
    if (message.kind === 'report') checkReport(message.report);
    const again = decodeMessage(encodeMessage(message));
    demand(
      isSameMessage(message, again),
      () => `a ${message.kind} that reads as another: ${toHex(bytes)}`,
    );
  });
}

/**
 * Numbers encoded in thousandths may be rounded if they are extremely large, and a gap without
 * segments has no encoding, since no receiver reports one.
 */
function isSameMessage(message: Message, again: Message | undefined): boolean {
  if (message.kind !== 'report') return again?.kind === message.kind;
  const { gaps, ackDelayMs, stampMs } = message.report;
  const isEmpty = gaps.some((gap) => gap.kind === 'part' && gap.segments.isEmpty);
  return (
    isEmpty ||
    Math.max(ackDelayMs, stampMs) > 2 ** 40 ||
    JSON.stringify(message) === JSON.stringify(again)
  );
}

function checkReport({ firstBlock, describedBlocks, gaps }: Report): void {
  const missing = new RangeSet();
  let next = firstBlock;
  for (const gap of gaps) {
    demand(gap.firstBlock >= next, () => 'what is lacking out of order');
    next = gap.firstBlock + (gap.kind === 'whole' ? gap.blockCount : 1);
    missing.add(gap.firstBlock, next);
  }
  demand(next <= describedBlocks, () => 'more is lacking than is told of');
  demand(Number.isSafeInteger(describedBlocks), () => `${describedBlocks} blocks`);
}

const names = [
  'a',
  'b',
  'a/b',
  'a/b/c',
  'link',
  '..',
  '.',
  '../a',
  '/a',
  'a//b',
  'con',
  'aux.txt',
  'C:',
  'a\\b',
];
const pieces = [
  '/',
  '.',
  '..',
  '\\',
  ':',
  ' ',
  'a',
  'CON',
  '\0',
  '\u202e',
  'é',
  '%2e',
  'com1',
  '.p2mp-part',
];
const platforms: readonly Platform[] = ['posix', 'windows'];

export function fuzzManifest(tape: Tape): number {
  return repeat(tape, () => {
    const count = tape.below(8);
    const entries: Entry[] = Array.from({ length: count }, () => hostileEntry(tape));
    if (!tape.isOneIn(4)) entries.sort(compareEntries);
    const whole = encodeManifest(createManifest(entries));
    const bytes = tape.isOneIn(2) ? hostileBytes(tape, whole) : whole;
    for (const platform of platforms) {
      const manifest = decodeManifest(bytes, platform);
      if ('fault' in manifest) continue;
      for (const entry of manifest.entries) {
        checkName(entry.name, platform);
        if (entry.kind === 'link') checkLink(entry, platform);
      }
      const again = encodeManifest(manifest);
      demand(
        JSON.stringify(decodeManifest(again, platform)) === JSON.stringify(manifest),
        () => `a manifest that reads as another: ${toHex(again)}`,
      );
    }
  });
}

function compareEntries(a: Entry, b: Entry): number {
  return compareNames(new TextEncoder().encode(a.name), new TextEncoder().encode(b.name));
}

function hostileEntry(tape: Tape): Entry {
  const name = tape.isOneIn(3) ? hostileName(tape) : tape.pick(names);
  const kind = tape.pick(['file', 'folder', 'link'] as const);
  if (kind === 'link') return { kind, name, target: tape.isOneIn(2) ? hostileName(tape) : '../a' };
  const modifiedMs = tape.pick([0, 1e12, -1, NaN, Infinity, 8.64e15, 1e300, 0.1]);
  const mode = tape.uint16();
  return kind === 'folder'
    ? { kind, name, mode, modifiedMs }
    : { kind, name, mode, modifiedMs, sizeBytes: hostileNumber(tape) };
}

function hostileName(tape: Tape): string {
  let name = '';
  for (let i = tape.below(8); i > 0; i--) name += tape.pick(pieces);
  return tape.isOneIn(16) ? name.repeat(1 + tape.byte()) : name;
}

export function fuzzEntryName(tape: Tape): number {
  return repeat(tape, () => {
    const right = new TextEncoder().encode(hostileName(tape));
    const bytes = tape.isOneIn(3) ? hostileBytes(tape, right) : right;
    for (const platform of platforms) {
      const read = readEntryName(bytes, platform);
      if (typeof read !== 'string') checkName(read.name, platform);
    }
  });
}

/** Uses Node's own path functions: the name stays inside the folder. */
function checkName(name: string, platform: Platform): void {
  const { join: joined, relative, isAbsolute } = platform === 'posix' ? posix : win32;
  const root = platform === 'posix' ? '/target' : 'D:\\target';
  const inside = relative(root, joined(root, name));
  const isIn = inside !== '' && !isAbsolute(inside) && !leadsUp(inside, platform);
  demand(isIn, () => `${JSON.stringify(name)} leaves the folder on ${platform}`);
  const same = platform === 'posix' ? inside : inside.replaceAll('\\', '/');
  demand(
    same === name,
    () => `${JSON.stringify(name)} is ${JSON.stringify(inside)} on ${platform}`,
  );
}

function leadsUp(path: string, platform: Platform): boolean {
  const [first] = platform === 'posix' ? path.split('/') : path.split(/[\\/]/);
  return first === '..';
}

function checkLink(link: Extract<Entry, { kind: 'link' }>, platform: Platform): void {
  demand(isInside(link, platform), () => 'a link that was let pass');
  const { join: joined, relative, dirname, isAbsolute } = platform === 'posix' ? posix : win32;
  const root = platform === 'posix' ? '/target' : 'D:\\target';
  const leadsTo = relative(root, joined(dirname(joined(root, link.name)), link.target));
  const isIn = !isAbsolute(leadsTo) && !leadsUp(leadsTo, platform);
  demand(isIn, () => `${JSON.stringify(link)} leads out on ${platform}`);
}

const planKeys = [
  'title',
  'about',
  'seed',
  'repetitions',
  'mode',
  'network',
  'plot',
  'fileSizeBytes',
  'receivers',
  'mssBytes',
  'loss',
  'lossModel',
  'window',
  'timeoutMs',
  'sendTimeMs',
  'link',
  '__proto__',
];
const planValues = [
  '"simulated"',
  '["real","simulated"]',
  '{"from":1,"to":5}',
  '{"from":0,"to":1e308,"step":1e-300}',
  '{"from":0,"to":1,"step":0.1}',
  '[0,0.1]',
  '1e999',
  '-0',
  '1000',
  '2',
  '"auto"',
  '"burst:4"',
  '{"rttMs":10}',
  '{"rttMs":[1,2],"rateBytesPerSec":1e6,"queueBytes":9000}',
  '{"x":"loss","xScale":"log"}',
  'null',
  '[]',
  '{}',
  '"\\u0000"',
  '[[[[]]]]',
];
const rightPlan = '"title":"A plan","seed":"s","fileSizeBytes":1000,"receivers":2';

export function fuzzPlan(tape: Tape): number {
  const members = Array.from(
    { length: tape.below(6) },
    () => `"${tape.pick(planKeys)}":${tape.pick(planValues)}`,
  );
  let text = `{${[rightPlan, ...members].join(',')}}`;
  if (tape.isOneIn(3)) {
    const spoilt = hostileBytes(tape, new TextEncoder().encode(text));
    text = new TextDecoder().decode(spoilt);
  }
  if (tape.isOneIn(64)) text = '['.repeat(1 + tape.uint16());
  try {
    const { points } = parsePlan(text, 'plan');
    demand(points.length > 0, () => 'a plan without points');
  } catch (error) {
    demandRefusal(error, 'INVALID_PLAN');
  }
  return 1;
}

export function fuzzPublicKey(tape: Tape): number {
  return repeat(tape, () => {
    const key = tape.fill(tape.isOneIn(4) ? tape.byte() : 32);
    const line = `p2mp-x25519 ${Buffer.from(key).toString('base64')} ${hostileName(tape)}`;
    const bytes = tape.isOneIn(2) ? hostileBytes(tape, new TextEncoder().encode(line)) : undefined;
    const text = bytes === undefined ? line : new TextDecoder().decode(bytes);
    try {
      const { publicKey, comment } = parsePublicKey(text);
      const again = parsePublicKey(formatPublicKey(publicKey, comment));
      demand(toHex(again.publicKey) === toHex(publicKey), () => 'a key that reads as another');
    } catch (error) {
      demandRefusal(error, 'INVALID_ARGUMENT');
    }
  });
}

/** Refused in words for people, on one line each. */
export function demandRefusal(error: unknown, code: P2mpError['code']): void {
  if (error instanceof P2mpError && error.code === code) return;
  throw error;
}
