/** Runs inputs for targets, and minimizes those that fail. */
import { assert } from '../../src/base/assert.js';
import { tapeOf, toHex } from './tape.js';
import type { Target } from './targets.js';
import { runInput } from './targets.js';

export interface Failure {
  readonly target: string;
  /** The index of the input, from 0. */
  readonly number: number;
  readonly error: Error;
  /** The shortest tape that fails in the same way. */
  readonly tape: Uint8Array;
}

/** The number of attempts to shorten a tape. */
const mostTries = 3000;

/** One in this many inputs runs twice: both runs must give the same result. */
const repeatEvery = 50;

/** The sequence of inputs for one target. */
export class Fuzzing {
  /** Inputs so far, and the hostile datagrams or texts in them. */
  number = 0;
  datagrams = 0;
  /** Events at the target. */
  readonly seen = new Set<string>();

  constructor(
    readonly target: Target,
    private readonly seed: number,
  ) {}

  /** Runs the next input. */
  async next(): Promise<Failure | undefined> {
    const { target, seed } = this;
    const number = this.number++;
    const tape = tapeOf(seed, target.name, number);
    try {
      const { datagrams, digest, seen } = await runInput(target, tape);
      this.datagrams += datagrams;
      for (const what in seen) if ((seen[what] as number) > 0) this.seen.add(what);
      if (number % repeatEvery === 0) {
        const again = await runInput(target, tape);
        assert(again.digest === digest, 'the same input came to something else');
      }
      return undefined;
    } catch (error) {
      const short = await shorten(target, tape, kindOf(error as Error));
      return { target: target.name, number, error: error as Error, tape: short };
    }
  }
}

/** Failures of one kind differ only in numbers and quoted text. */
export function kindOf({ name, message }: Error): string {
  return `${name}: ${message.replace(/".*"/s, 'Q').replace(/\d+/g, 'N')}`;
}

export function replayCommand({ target, tape }: Failure): string {
  return `npm run fuzz -- --target ${target} --tape ${toHex(tape)}`;
}

/** Removes what the failure does not need, then replaces the rest by zeros as far as possible. */
async function shorten(target: Target, tape: Uint8Array, kind: string): Promise<Uint8Array> {
  let short = tape;
  let tries = 0;
  const takes = async (candidate: Uint8Array) => {
    tries++;
    if ((await failureOf(target, candidate)) !== kind) return false;
    short = candidate;
    return true;
  };
  for (let size = tape.length >>> 1; size > 0 && tries < mostTries; size >>>= 1) {
    for (let from = short.length - size; from >= 0 && tries < mostTries; from -= size) {
      const rest = new Uint8Array(short.length - size);
      rest.set(short.subarray(0, from));
      rest.set(short.subarray(from + size), from);
      await takes(rest);
      from = Math.min(from, short.length);
    }
  }
  for (let i = 0; i < short.length && tries < mostTries; i++) {
    if (short[i] !== 0) await takes(short.map((byte, k) => (k === i ? 0 : byte)));
  }
  return short;
}

async function failureOf(target: Target, tape: Uint8Array): Promise<string | undefined> {
  try {
    await runInput(target, tape);
    return undefined;
  } catch (error) {
    return kindOf(error as Error);
  }
}
