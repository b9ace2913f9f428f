/**
 * Explains why another program sent a wrong checksum. Tries common mistakes, alone and combined, and reports
 * the smallest set that produces the received value. The explanation might be wrong: about one random value
 * in 150 matches some set of mistakes by chance.
 */
import { sameChecksum } from '../../base/checksum.js';
import { readUint16 } from '../../base/network-order.js';
import type { DataPacket } from '../../packet.js';
import { fieldOffset } from '../../packet.js';

/** One way to perform a step of the checksum computation. The correct way has no `cause`. */
interface Way<T> {
  readonly value: T;
  readonly cause?: string;
}

type Range = 'data' | 'all' | 'sequence' | 'type';
type OddByte = 'high' | 'low' | 'dropped';
type Complement = 'ones' | 'twos' | 'none';

/** No range includes the checksum field, because that field is zero while the sum is computed. */
const ranges: readonly Way<Range>[] = [
  { value: 'data' },
  { value: 'all', cause: 'the sum includes the header, but it must cover only the data' },
  {
    value: 'sequence',
    cause: 'the sum includes the sequence number, but it must cover only the data',
  },
  { value: 'type', cause: 'the sum includes the type, but it must cover only the data' },
];

const complements: readonly Way<Complement>[] = [
  { value: 'ones' },
  {
    value: 'none',
    cause: 'the sum is not complemented: every bit must be inverted',
  },
  {
    value: 'twos',
    cause: "the two's complement of the sum is taken, but the protocol takes the one's complement",
  },
];

const carries: readonly Way<boolean>[] = [
  { value: true },
  {
    value: false,
    cause:
      'carries out of the 16 bits are dropped, but each carry must be added back at the low end',
  },
];

const lowByteFirst =
  'the byte order is wrong: the 16-bit words and the checksum field must have the high byte first';

const wordOrders: readonly Way<boolean>[] = [
  { value: false },
  { value: true, cause: lowByteFirst },
];
const fieldOrders = wordOrders;

const oddBytes: readonly Way<OddByte>[] = [
  { value: 'high' },
  {
    value: 'low',
    cause: 'an odd last byte is taken as the low half of its word, but it must be the high half',
  },
  {
    value: 'dropped',
    cause: 'an odd last byte is left out, but it must be padded with a zero byte',
  },
];
const noOddByte = oddBytes.slice(0, 1);

/**
 * Explains a wrong checksum.
 * @returns the likely mistakes; undefined if no common mistake fits
 */
export function explainChecksum(packet: DataPacket, header: Uint8Array): string | undefined {
  const { payload, checksum } = packet;
  if (checksum === 0) return 'the checksum is not computed: its field is 0';
  return explainWordSum(packet, header) ?? explainByteSum(payload, checksum);
}

function explainWordSum({ payload, checksum }: DataPacket, header: Uint8Array): string | undefined {
  let best: readonly string[] | undefined;
  for (const order of wordOrders) {
    const words = sumOfWords(payload, order.value);
    for (const range of ranges) {
      const head = sumOfHeader(header, range.value, order.value);
      for (const odd of payload.length % 2 === 0 ? noOddByte : oddBytes) {
        const sum = words + head + oddWord(payload, odd.value, order.value);
        for (const { value, causes } of finished(sum)) {
          if (!sameChecksum(value, checksum)) continue;
          const all = [range, odd, order].flatMap(({ cause }) => cause ?? []).concat(causes);
          const distinct = [...new Set(all)];
          if (best === undefined || distinct.length < best.length) best = distinct;
        }
      }
    }
  }
  return best?.join('; ');
}

/**
 * Yields the values that a sender might compute from a sum, each with the mistakes that produce that value.
 */
function* finished(sum: number): Iterable<{ value: number; causes: readonly string[] }> {
  for (const carry of carries) {
    const folded = carry.value ? fold(sum) : sum & 0xffff;
    for (const complement of complements) {
      const value = complemented(folded, complement.value);
      for (const order of fieldOrders) {
        const causes = [carry, complement, order].flatMap(({ cause }) => cause ?? []);
        yield { value: order.value ? swap(value) : value, causes };
      }
    }
  }
}

function explainByteSum(payload: Uint8Array, checksum: number): string | undefined {
  const sum = payload.reduce((total, byte) => total + byte, 0);
  const isByteSum = [...finished(sum)].some(({ value }) => value === checksum);
  return isByteSum ? 'the sum adds single bytes, but it must add 16-bit words' : undefined;
}

/**
 * Sum of all complete 16-bit words, without folding. There are at most 32,767 words, so the sum stays below
 * 2^31.
 */
function sumOfWords(bytes: Uint8Array, isLowFirst: boolean): number {
  let sum = 0;
  for (let i = 0; i + 1 < bytes.length; i += 2) {
    const word = readUint16(bytes, i);
    sum += isLowFirst ? swap(word) : word;
  }
  return sum;
}

function sumOfHeader(header: Uint8Array, range: Range, isLowFirst: boolean): number {
  const sequence = header.subarray(fieldOffset.sequence, fieldOffset.checksum);
  const type = header.subarray(fieldOffset.type, fieldOffset.payload);
  const hasSequence = range === 'all' || range === 'sequence';
  const hasType = range === 'all' || range === 'type';
  return (
    (hasSequence ? sumOfWords(sequence, isLowFirst) : 0) +
    (hasType ? sumOfWords(type, isLowFirst) : 0)
  );
}

function oddWord(bytes: Uint8Array, odd: OddByte, isLowFirst: boolean): number {
  if (bytes.length % 2 === 0 || odd === 'dropped') return 0;
  const last = bytes[bytes.length - 1] as number;
  // If words are read low byte first, a padding byte after the odd byte makes the odd byte the low half.
  return (odd === 'high') === isLowFirst ? last : last << 8;
}

function complemented(sum: number, complement: Complement): number {
  if (complement === 'none') return sum;
  return (complement === 'ones' ? ~sum : -sum) & 0xffff;
}

function fold(sum: number): number {
  const once = (sum & 0xffff) + (sum >>> 16);
  return (once & 0xffff) + (once >>> 16);
}

function swap(word: number): number {
  return ((word & 0xff) << 8) | (word >>> 8);
}
