/** Messages on a channel (SESSIONS 4) from a malicious holder of its key. */
import { ByteWriter } from '../../src/wire/byte-codec.js';
import { hostileBytes, hostileNumber } from './hostile-bytes.js';
import type { Tape } from './tape.js';

const kind = {
  offer: 0,
  accept: 1,
  refuse: 2,
  report: 3,
  poll: 4,
  root: 5,
  nodesRequest: 6,
  nodes: 7,
  done: 8,
  bye: 9,
  kept: 10,
  extras: 11,
  noted: 12,
  ask: 13,
  preparing: 14,
  listRequest: 15,
  list: 16,
  withdrawn: 21,
  envelopeRequest: 22,
} as const;

/** Values that fit the session; others are made up. */
export interface MessageContext {
  readonly session: number;
  readonly blockCount: number;
  readonly burst: number;
}

/** Mostly the kinds that a sender sends, sometimes others. */
export function hostileSenderMessage(tape: Tape, context: MessageContext): Uint8Array {
  const which = tape.pick([
    kind.poll,
    kind.poll,
    kind.root,
    kind.nodes,
    kind.nodes,
    kind.offer,
    kind.bye,
    kind.noted,
    kind.withdrawn,
    tape.below(22),
  ]);
  return message(tape, which, context);
}

export function hostileReceiverMessage(tape: Tape, context: MessageContext): Uint8Array {
  const which = tape.pick([
    kind.report,
    kind.report,
    kind.report,
    kind.report,
    kind.accept,
    kind.nodesRequest,
    kind.nodesRequest,
    kind.kept,
    kind.extras,
    tape.below(18),
  ]);
  return message(tape, which, context);
}

function message(tape: Tape, which: number, context: MessageContext): Uint8Array {
  const writer = new ByteWriter().uint8(which);
  switch (which) {
    case kind.offer:
      writeOffer(writer, tape, context);
      break;
    case kind.accept:
    case kind.refuse:
    case kind.bye:
      writeText(writer, tape);
      break;
    case kind.report:
      writeReport(writer, tape, context);
      break;
    case kind.poll:
      writer.uint8(tape.byte()).uint16(nearBurst(tape, context.burst));
      break;
    case kind.root:
      writer.raw(tape.fill(32)).varint(tape.pick([0, 0, 1, hostileNumber(tape)]));
      break;
    case kind.withdrawn: {
      const count = tape.pick([0, 1, 1, 2, 56, 57]);
      writer.varint(count);
      for (let i = 0; i < count; i++)
        writer.varint(nodeNumber(tape)).varint(nodeNumber(tape)).uint8(tape.below(7));
      break;
    }
    case kind.nodesRequest:
      writer.uint8(tape.below(3)).uint8(tape.isOneIn(3) ? tape.byte() : tape.below(6));
      writer.varint(nodeNumber(tape)).uint8(tape.byte());
      break;
    case kind.nodes:
      writer.uint8(tape.below(3)).uint8(tape.isOneIn(3) ? tape.byte() : tape.below(6));
      writer.varint(nodeNumber(tape)).raw(tape.fill(32 * tape.below(34)));
      break;
    case kind.done:
      writer.uint8(tape.below(3));
      for (let i = 0; i < 6; i++) writer.varint(hostileNumber(tape));
      writeText(writer, tape);
      for (let i = tape.pick([0, 1, 17]); i > 0; i--) {
        writer.uint8(tape.below(4)).text(tape.pick(names));
      }
      break;
    case kind.kept:
      writer.varint(tape.below(3));
      for (let i = tape.below(4); i > 0; i--)
        writer.varint(nodeNumber(tape)).varint(nodeNumber(tape));
      break;
    case kind.extras:
      writer.varint(tape.below(3));
      for (let i = tape.pick([0, 1, 2, 64, 65]); i > 0; i--) {
        writer.uint8(tape.below(3)).text(tape.pick(names));
      }
      break;
    case kind.noted:
      writer.varint(tape.below(3)).raw(tape.fill(tape.pick([0, 1, 64, 65])));
      break;
    case kind.ask:
      writer.uint8(tape.below(5)).uint16(tape.uint16());
      writeText(writer, tape);
      for (let i = tape.below(3); i > 0; i--) writer.raw(tape.fill(32));
      break;
    case kind.envelopeRequest:
      writeText(writer, tape);
      writer.raw(tape.fill(80)).uint8(tape.below(10));
      for (let i = tape.below(4); i > 0; i--) writer.raw(tape.fill(8));
      break;
    case kind.listRequest:
      writeText(writer, tape);
      break;
    case kind.list:
      writer.uint8(tape.below(3));
      writeText(writer, tape);
      for (let i = tape.below(4); i > 0; i--) {
        const hasRoot = tape.below(2);
        writer.uint8(hasRoot).text(tape.pick(names)).varint(hostileNumber(tape));
        writer.raw(tape.fill(32 + 32 * hasRoot));
      }
      break;
    default:
      writer.raw(tape.fill(tape.byte()));
  }
  const bytes = writer.finish();
  return tape.isOneIn(4) ? hostileBytes(tape, bytes) : bytes;
}

function writeOffer(writer: ByteWriter, tape: Tape, { session }: MessageContext): void {
  writer.uint32(tape.isOneIn(8) ? tape.uint32() : session);
  writeText(writer, tape);
  writer.uint16(tape.pick([0, 1, 2, 64, 100, 480, 481, 1400, 8940, 65_000, 65_001, 65_535]));
  writer.varint(hostileNumber(tape)).varint(hostileNumber(tape)).raw(tape.fill(32));
  writer.counted(tape.fill(tape.pick([0, 0, 1, 10, 100]))).raw(tape.fill(32));
  writeText(writer, tape);
  writer.varint(hostileNumber(tape)).uint8(tape.below(4)).uint8(tape.below(4)).raw(tape.fill(8));
  writer.counted(tape.fill(tape.pick([0, 0, 32, 5])));
}

const hasShareFlag = 64;
const hostileShares = [0, 2 ** 53 - 1];

function writeReport(writer: ByteWriter, tape: Tape, { blockCount, burst }: MessageContext): void {
  const plain = () =>
    tape.isOneIn(3) ? hostileNumber(tape) : tape.below(Math.min(blockCount + 2, 65_536));
  writer.uint8(tape.isOneIn(16) ? tape.byte() : tape.below(4));
  const flags = tape.byte();
  writer.uint8(flags);
  writer.uint16(nearBurst(tape, burst)).uint16(nearBurst(tape, burst));
  writer.varint(hostileNumber(tape)).varint(hostileNumber(tape)).varint(hostileNumber(tape));
  if ((flags & hasShareFlag) !== 0) writer.varint(hostileShares[flags >>> 7] ?? 0);
  writer.varint(hostileNumber(tape)).varint(hostileNumber(tape));
  writer.varint(hostileNumber(tape)).varint(hostileNumber(tape));
  const first = tape.isOneIn(4) ? plain() : 0;
  writer.varint(first).varint(tape.isOneIn(4) ? plain() : Math.max(0, blockCount - first));
  const gapCount = tape.below(6);
  for (let i = 0; i < gapCount; i++) {
    writer.varint(tape.isOneIn(8) ? plain() : 0);
    const head = tape.isOneIn(8) ? hostileNumber(tape) : tape.pick([2, 2, 4, 1, 3, 15, 0, 17]);
    writer.varint(head);
    if (head === 1) writer.counted(tape.fill(tape.pick([0, 1, 8, 16, 32, 33])));
    else if (head % 2 === 1 && head < 20)
      for (let k = 1; k < head; k += 2) writer.uint8(tape.byte());
  }
}

const names = ['a', 'sent/b', '../up', '/root', '', '.', 'a//b', '\u001b[2J', 'x'.repeat(300)];

function writeText(writer: ByteWriter, tape: Tape): void {
  if (tape.isOneIn(4)) writer.counted(tape.fill(tape.byte()));
  else
    writer.text(tape.pick(['', 'r1', '239.1.2.3', '\u001b[2J', 'x'.repeat(300), '🂡'.repeat(120)]));
}

function nodeNumber(tape: Tape): number {
  return tape.isOneIn(4) ? hostileNumber(tape) : tape.below(8);
}

function nearBurst(tape: Tape, burst: number): number {
  if (tape.isOneIn(4)) return tape.uint16();
  return (burst + tape.below(5) - 2) & 0xffff;
}
