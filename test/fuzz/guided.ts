/**
 * The search that is guided by what inputs reach: one that reaches a block for the first time, or for the first
 * time so often, is kept, and others are made of it.
 *
 *   npm run fuzz:guided -- [--target name] [--count inputs] [--seed number] [--random]
 *
 * With --random nothing is kept, for comparison. What is kept lies in .fuzz, and is where the next run begins,
 * unless --fresh says otherwise. With --missing it lists the blocks that nothing reached, of files that something
 * reached: that is where the description of hostile behaviour has gaps.
 */
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import type { CountedBlock, CountedTargets } from './counted-blocks.js';
import { loadCountedTargets } from './counted-blocks.js';
import { kindOf } from './fuzzing.js';
import { mix, Tape, tapeOf, toHex } from './tape.js';
import type { Target } from './targets.js';

const mostTapeBytes = 3000;

export interface SearchResult {
  readonly inputs: number;
  readonly tapes: number;
  readonly reached: readonly CountedBlock[];
  readonly kept: readonly Uint8Array[];
  /** The first failing tape of each kind. */
  readonly failures: ReadonlyMap<string, Uint8Array>;
}

export interface SearchOptions {
  readonly seed: number;
  /** Hostile datagrams or texts. */
  readonly count: number;
  readonly isGuided: boolean;
  readonly corpus?: readonly Uint8Array[];
}

export async function search(
  { blocks, hits, module }: CountedTargets,
  target: Target,
  { seed, count, isGuided, corpus = [] }: SearchOptions,
): Promise<SearchResult> {
  const seen = new Uint8Array(blocks.length);
  const kept: Uint8Array[] = [];
  const failures = new Map<string, Uint8Array>();
  const given = [...corpus];
  let inputs = 0;
  let tapes = 0;
  // One-time initialization does not count for any input.
  await module.runInput(target, new Uint8Array(0));
  for (; inputs < count; tapes++) {
    const fresh = tapeOf(seed, target.name, tapes);
    const decide = new Tape(tapeOf(seed, `${target.name} search`, tapes));
    // Some tapes are always new, so that the search does not get stuck.
    const isNew = !isGuided || kept.length === 0 || decide.isOneIn(5);
    const tape = given.pop() ?? (isNew ? fresh : offspring(decide, kept, fresh));
    hits.fill(0);
    try {
      inputs += Math.max(1, (await module.runInput(target, tape)).datagrams);
    } catch (error) {
      inputs++;
      const kind = kindOf(error as Error);
      if (!failures.has(kind)) failures.set(kind, tape);
    }
    if (isNews(hits, seen) && isGuided) kept.push(tape);
  }
  const reached = blocks.filter((_, i) => (seen[i] as number) > 0);
  return { inputs, tapes, reached, kept, failures };
}

/** Records how often each block ran, to the nearest power of two. @returns whether that is new */
function isNews(hits: Uint32Array, seen: Uint8Array): boolean {
  let isNew = false;
  for (let i = 0; i < hits.length; i++) {
    const count = hits[i] as number;
    if (count === 0) continue;
    const bit = 1 << Math.min(7, (31 - Math.clz32(count)) >>> 1);
    if (((seen[i] as number) & bit) !== 0) continue;
    seen[i] = (seen[i] as number) | bit;
    isNew = true;
  }
  return isNew;
}

/** Derives a tape from a kept one, often a recent one, and pieces of others. */
function offspring(decide: Tape, kept: readonly Uint8Array[], fresh: Uint8Array): Uint8Array {
  const parentOf = () => {
    const latest = Math.min(kept.length, 32);
    const reach = decide.isOneIn(2) ? latest : Math.min(kept.length, 65_536);
    return kept[kept.length - 1 - decide.below(reach)] as Uint8Array;
  };
  let tape: Uint8Array = parentOf().slice(0, mostTapeBytes);
  for (let steps = 1 + decide.below(6); steps > 0; steps--) {
    const place = decide.below(Math.max(1, tape.length));
    const size = 1 + decide.below(decide.isOneIn(4) ? 200 : 12);
    const source = decide.isOneIn(2) ? parentOf() : fresh;
    const from = decide.below(Math.max(1, Math.min(source.length, 65_536)));
    const piece = source.subarray(from, from + size);
    switch (decide.below(6)) {
      case 0:
        tape[place] = decide.byte();
        break;
      case 1:
        tape[place] = decide.pick([0, 255, 128]);
        break;
      case 2:
        tape = spliced(tape, place, 0, piece);
        break;
      case 3:
        tape = spliced(tape, place, piece.length, piece);
        break;
      case 4:
        tape = spliced(tape, place, size, new Uint8Array(0));
        break;
      case 5:
        tape = spliced(tape, tape.length, 0, piece);
    }
  }
  return tape.slice(0, mostTapeBytes);
}

function spliced(tape: Uint8Array, place: number, count: number, piece: Uint8Array): Uint8Array {
  const rest = tape.subarray(Math.min(tape.length, place + count));
  const made = new Uint8Array(place + piece.length + rest.length);
  made.set(tape.subarray(0, place));
  made.set(piece, place);
  made.set(rest, place + piece.length);
  return made;
}

async function main(): Promise<boolean> {
  const { values } = parseArgs({
    options: {
      count: { type: 'string', default: '200000' },
      seed: { type: 'string', default: '1' },
      target: { type: 'string', default: 'session-receiver' },
      random: { type: 'boolean', default: false },
      fresh: { type: 'boolean', default: false },
      missing: { type: 'boolean', default: false },
    },
  });
  const counted = await loadCountedTargets();
  const target = counted.module.targetOf(values.target);
  if (target === undefined) throw new Error(`no target ${values.target}`);
  const folder = fileURLToPath(new URL(`../../.fuzz/${target.name}/`, import.meta.url));
  mkdirSync(folder, { recursive: true });
  const names = values.fresh || values.random ? [] : readdirSync(folder).sort();
  const result = await search(counted, target, {
    seed: mix(Number(values.seed)),
    count: Number(values.count),
    isGuided: !values.random,
    corpus: names.map((name) => readFileSync(join(folder, name))),
  });
  const { inputs, tapes, reached, kept, failures } = result;
  for (const tape of kept) {
    const name = createHash('sha256').update(tape).digest('hex').slice(0, 16);
    writeFileSync(join(folder, name), tape);
  }
  const how = values.random ? 'at random' : `guided, ${kept.length} tapes kept`;
  console.log(`${target.name}: ${inputs} inputs on ${tapes} tapes, ${how}`);
  console.log(`${reached.length} of ${counted.blocks.length} blocks reached`);
  if (values.missing) listMissing(counted.blocks, reached);
  for (const [kind, tape] of failures) {
    console.log(`FAILED: ${kind}`);
    console.log(`  replay: npm run fuzz -- --target ${target.name} --tape ${toHex(tape)}`);
  }
  return failures.size === 0;
}

function listMissing(blocks: readonly CountedBlock[], reached: readonly CountedBlock[]): void {
  const files = new Set(reached.map(({ file }) => file));
  const isReached = new Set(reached);
  for (const file of files) {
    const own = blocks.filter((block) => block.file === file);
    const lines = own.filter((block) => !isReached.has(block)).map(({ line }) => line);
    const unique = [...new Set(lines)].sort((a, b) => a - b);
    if (unique.length > 0)
      console.log(`${file}: ${lines.length} of ${own.length}: ${unique.join(' ')}`);
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) process.exit((await main()) ? 0 : 1);
