/** Hostile bytes, from scratch or derived from valid ones. */
import { writeUint16 } from '../../src/base/network-order.js';
import { joinBytes } from '../../src/wire/byte-codec.js';
import { sessionField, sessionHeaderSizeBytes } from '../../src/wire/header.js';
import type { Tape } from './tape.js';

/** Numbers at limits and at changes of width. */
const edgeBytes = [0, 1, 2, 0x10, 0x20, 0x3f, 0x40, 0x41, 0x7f, 0x80, 0xfe, 0xff];

const sizes = [0, 1, 2, 7, 8, 15, 16, 17, 31, 32, 33, 63, 64, 65, 80, 112, 200, 700, 1400, 1500];
const largeSizes = [8960, 65_507, 65_535];

const most = 65_535;

export function hostileSize(tape: Tape): number {
  const choice = tape.byte();
  if (choice === 255) return tape.pick(largeSizes);
  return choice < 128 ? tape.pick(sizes) : tape.below(256);
}

/** @param right valid bytes to corrupt, or undefined */
export function hostileBytes(tape: Tape, right: Uint8Array | undefined): Uint8Array {
  if (right === undefined) return tape.fill(hostileSize(tape));
  let bytes = right;
  switch (tape.below(10)) {
    // Unchanged: a replay, or a valid message at a wrong moment.
    case 0:
    case 1:
    case 2:
      return Uint8Array.from(bytes);
    case 3:
      bytes = bytes.subarray(0, tape.below(Math.min(bytes.length, most) + 1));
      break;
    case 4: {
      const more = new Uint8Array(Math.min(most, bytes.length + hostileSize(tape)));
      more.set(bytes.subarray(0, more.length));
      more.set(tape.fill(Math.max(0, more.length - bytes.length)), Math.min(bytes.length, most));
      return more;
    }
    case 5:
      return tape.fill(hostileSize(tape));
  }
  return changed(tape, bytes);
}

/** Changes some bits, bytes or fields, mostly at the front, where fields are. */
function changed(tape: Tape, right: Uint8Array): Uint8Array {
  const bytes = Uint8Array.from(right);
  if (bytes.length === 0) return bytes;
  const count = 1 + tape.below(4);
  for (let i = 0; i < count; i++) {
    const reach = tape.isOneIn(3) ? bytes.length : Math.min(bytes.length, 24);
    const place = tape.below(Math.min(reach, 65_536));
    switch (tape.below(4)) {
      case 0:
        bytes[place] = (bytes[place] as number) ^ (1 << tape.below(8));
        break;
      case 1:
        bytes[place] = tape.byte();
        break;
      case 2:
        bytes[place] = tape.pick(edgeBytes);
        break;
      case 3:
        bytes.fill(tape.pick(edgeBytes), place, place + tape.pick([2, 4, 8]));
    }
  }
  return bytes;
}

/** Sets the right size in the header of a channel packet; otherwise it is just too short. */
export function withItsSize(tape: Tape, bytes: Uint8Array): Uint8Array {
  if (bytes.length < sessionHeaderSizeBytes || !tape.isOneIn(2)) return bytes;
  writeUint16(bytes, sessionField.bodySize, bytes.length - sessionHeaderSizeBytes);
  return bytes;
}

/** Several datagrams joined into one piece, as a system delivers them, up to the maximum size. */
export function join(parts: readonly Uint8Array[]): Uint8Array {
  return joinBytes(parts).slice(0, most);
}

/** An integer for a field: small, round, or absurd. */
export function hostileNumber(tape: Tape): number {
  switch (tape.below(8)) {
    case 0:
      return 0;
    case 1:
      return 1;
    case 2:
    case 3:
      return tape.byte();
    case 4:
      return tape.uint16();
    case 5:
      return tape.uint32();
    case 6:
      return 2 ** tape.below(53) - tape.below(2);
    default:
      return tape.pick([
        Number.MAX_SAFE_INTEGER,
        2 ** 32,
        2 ** 32 - 1,
        2 ** 24,
        2 ** 24 + 1,
        65_535,
      ]);
  }
}
