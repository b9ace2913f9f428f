/** Deliberately broken schedulers: the checkers of the fetch sweep must detect each of them. */
import type { TimeMs } from '../../src/base/machine.js';
import { FetchSource } from '../../src/roles/fetch/fetch-source.js';
import { OpenSegments } from '../../src/roles/fetch/open-segments.js';
import { FetchScheduler } from '../../src/roles/fetch/scheduler.js';
import { askTwoForEverything, noticesWithin } from '../support/canary.js';
import { complaintsAboutFetch } from '../support/fetch-check.js';
import { runFetch } from '../support/fetch-run.js';
import { drawFetchScenario } from '../support/fetch-scenario.js';
import { replace } from '../support/planted-fault.js';

/** Each fault must show within this many scenarios; the sweep has more. */
const notices = noticesWithin(100, (number) => {
  const scenario = drawFetchScenario(number);
  return complaintsAboutFetch(scenario, runFetch(scenario));
});

const scheduler = FetchScheduler.prototype;
const source = FetchSource.prototype;

notices('a scheduler that forgets the blocks of a dead source', /^not complete/, () =>
  replace(scheduler, 'replace', (_nowMs: TimeMs, lost: FetchSource, count: number) =>
    lost.replace(count, 'left'),
  ),
);

notices(
  'a scheduler that asks two sources for everything',
  /asked twice before/,
  askTwoForEverything,
);

notices('a scheduler that begins to ask twice too early', /asked twice before/, () =>
  replace(scheduler, 'serve', function (this: FetchScheduler, nowMs: TimeMs, one: FetchSource) {
    if (!this['hasBegun']) return;
    this['fill'](nowMs, one);
    if (!this['isBySpeed'] || this['unasked'].count >= 20) return;
    this['repeat'](nowMs, one, this['live']);
  }),
);

notices('a scheduler that ignores how fast sources are', /complete at \d+ ms, not by/, () => {
  const restoreCount = replace(
    scheduler,
    'usefulCount',
    (_source: FetchSource, _block: number, mostCount: number) => mostCount,
  );
  const restoreWindow = replace(source, 'windowBlocks', () => 8);
  return () => {
    restoreCount();
    restoreWindow();
  };
});

notices('a scheduler that keeps a liar', /the liars are \d/, () =>
  replace(scheduler, 'handleBadBlock', () => undefined),
);

notices('a scheduler that waits for the last blocks of slow sources', /complete at .* not by/, () =>
  replace(scheduler, 'repeat', () => undefined),
);

notices('a scheduler that takes a silent source for a fast one', /complete at .* not by/, () => {
  const restoreTimeout = replace(source, 'handleTimeout', () => undefined);
  const restorePending = replace(
    source,
    'pendingMs',
    function (this: FetchSource, _nowMs: TimeMs, rank: number) {
      return rank * this.blockMs;
    },
  );
  return () => {
    restoreTimeout();
    restorePending();
  };
});

notices('a scheduler that asks for what a source does not hold', /asked in vain/, () =>
  replace(source, 'holds', () => true),
);

notices('a scheduler that asks for everything at once', /blocks asked of one source/, () =>
  replace(source, 'windowBlocks', () => 8192),
);

notices('a scheduler that never shares the part of a dead source', /^not complete/, () => {
  const { shareOut } = scheduler as unknown as { shareOut: () => void };
  const begun = new WeakSet<FetchScheduler>();
  return replace(scheduler, 'shareOut', function (this: FetchScheduler) {
    if (!begun.has(this)) shareOut.call(this);
    begun.add(this);
  });
});

notices('segments that omit a block', /in segments/, () => {
  const { deliver } = OpenSegments.prototype;
  return replace(
    OpenSegments.prototype,
    'deliver',
    function (this: OpenSegments, block: number, sizeBytes: number) {
      if (block % 10 !== 3) deliver.call(this, block, sizeBytes);
    },
  );
});
