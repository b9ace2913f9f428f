/** Checks what every watched fetch must keep to: blocks come once, liars are found, and only they are accused. */
import type { FetchWatch } from './watched-fetch.js';

export type Check = (isGood: boolean, complaint: string) => void;

export interface RepetitionBounds {
  readonly blockSizeBytes: number;
  readonly mssBytes: number;
  readonly sourceCount: number;
  /**
   * Whether each segment arrives once: without room, it is dropped and comes again, and so does a block that was damaged
   * on the way.
   */
  readonly isOrderly: boolean;
}

/** No block is asked of two sources before the last window, or again unless it was lost. */
export function checkRepetitions(
  { blockSizeBytes, mssBytes, sourceCount, isOrderly }: RepetitionBounds,
  life: FetchWatch,
  check: Check,
): void {
  const { repeatedBlocks, earlyRepeats, againBlocks, duplicateBlocks, vainBlocks } = life;
  check(earlyRepeats === 0, `${earlyRepeats} blocks asked twice before the last window`);
  check(vainBlocks === 0, `${vainBlocks} blocks arrived twice that were asked for once`);
  const mostAgain = repeatedBlocks + againBlocks;
  check(duplicateBlocks <= mostAgain, `${duplicateBlocks} blocks twice, not ${mostAgain}`);
  const { report } = life.result ?? {};
  if (report !== undefined) {
    const lost = report.sources.reduce((sum, source) => sum + source.blocksReplaced, 0);
    check(againBlocks <= lost, `${againBlocks} blocks asked again, though ${lost} were lost`);
    const duplicateBytes = duplicateBlocks * blockSizeBytes;
    const isCounted =
      report.duplicateBytes <= duplicateBytes &&
      report.duplicateBytes > duplicateBytes - blockSizeBytes;
    check(
      duplicateBlocks === 0 ? report.duplicateBytes === 0 : isCounted,
      `${report.duplicateBytes} duplicate bytes reported, not ${duplicateBytes}`,
    );
  }
  const manifestSegments = sourceCount * Math.ceil(1000 / mssBytes);
  const segmentsPerBlock = Math.ceil((blockSizeBytes + 16) / mssBytes);
  const mostSegments = life.askedBlocks * segmentsPerBlock + manifestSegments;
  const { arrivedSegments } = life;
  check(
    !isOrderly || arrivedSegments <= mostSegments,
    `${arrivedSegments} segments, not ${mostSegments}`,
  );
}

const accusations = [
  'sent a block with wrong content',
  'sent digests that do not lead to the root of the content',
  'sent a wrong manifest',
];

/** Who sent wrong blocks is excluded and named, and nobody else is accused. */
export function checkLiars(
  isAnyLiar: (source: string) => boolean,
  life: FetchWatch,
  check: Check,
): void {
  const left = life.events.flatMap((event) => (event.type === 'left' ? [event] : []));
  for (const liar of life.liars) {
    const last = left.findLast(({ source }) => source === liar);
    const isNamed = last?.reason === accusations[0] && !last?.isRetried;
    check(isNamed, `${liar} sent a wrong block and is not excluded`);
  }
  for (const { source, reason } of left) {
    const isFair = !accusations.includes(reason) || isAnyLiar(source);
    check(isFair, `${source} is accused though it is honest: ${reason}`);
  }
}
