/** Deliberately broken relays: the checkers of the sweep must detect each of them. */
import t from 'tap';
import type { TimeMs } from '../../src/base/machine.js';
import type { FetchSource } from '../../src/roles/fetch/fetch-source.js';
import { FetchedObject } from '../../src/roles/fetch/fetched-object.js';
import { FetchScheduler } from '../../src/roles/fetch/scheduler.js';
import { StoredBlocks } from '../../src/roles/relay/block-shelf.js';
import { CacheLedger } from '../../src/roles/relay/cache-ledger.js';
import { CachedObjects } from '../../src/roles/relay/cached-objects.js';
import { replace } from '../support/planted-fault.js';
import { complaintsAboutRelays } from '../support/relays-check.js';
import { runRelays } from '../support/relays-run.js';
import { drawRelaysScenario, type RelaysScenario } from '../support/relays-scenario.js';

/** Each fault must show within this many scenarios; the sweep has many times as many. */
const mostScenarios = 100;

notices(
  'a relay that passes on blocks that nobody verified',
  /not what its root|the cache has/,
  () => replace(FetchedObject.prototype, 'isBlock', () => true),
);

notices('a relay that forgets its limit', /bytes in a cache of|bytes counted/, () =>
  replace(CacheLedger.prototype, 'reserve', function (this: CacheLedger, id: string, size: number) {
    this['entries'].set(id, { sizeBytes: size, users: 1, isLeaving: false, isStuck: false });
    return 'granted';
  }),
);

notices(
  'a relay that removes what is read',
  /removed while they were read|an object that is held/,
  () =>
    replace(CacheLedger.prototype, 'choose', function (this: CacheLedger, neededBytes: number) {
      const staying = [...this['entries']].filter(([, { isLeaving }]) => !isLeaving);
      return neededBytes > 0 ? staying.map(([id]) => id) : [];
    }),
);

notices('a relay that never lets go of an object', /objects in use/, () =>
  replace(CachedObjects.prototype, 'release', () => undefined),
);

notices('a relay that asks two servers for everything', /asked twice before/, () => {
  const scheduler = FetchScheduler.prototype as unknown as { ask: (...args: unknown[]) => void };
  const { ask } = scheduler;
  return replace(
    scheduler,
    'ask',
    function (this: FetchScheduler, nowMs: TimeMs, one: FetchSource, start: number, end: number) {
      const other = this['live'].find((found) => found !== one);
      ask.call(this, nowMs, one, start, end);
      if (other !== undefined && other.asked.count < 100) ask.call(this, nowMs, other, start, end);
      this['shared'].add(start, end);
    },
  );
});

notices('a relay that fetches again what it holds', /written again/, () => {
  const { open } = StoredBlocks.prototype;
  return replace(StoredBlocks.prototype, 'open', function (this: StoredBlocks, handle: () => void) {
    open.call(this, () => {
      this.held.clear();
      handle();
    });
  });
});

/** A broken relay may also fail one of its own assertions. */
function complaintsIn(scenario: RelaysScenario): string[] {
  try {
    return complaintsAboutRelays(scenario, runRelays(scenario));
  } catch (error) {
    return [String(error)];
  }
}

function notices(what: string, expected: RegExp, plant: () => () => void): void {
  t.test(`the checkers notice ${what}`, (t) => {
    const restore = plant();
    const seen = new Set<string>();
    try {
      let isNoticed = false;
      for (let number = 1; number <= mostScenarios && !isNoticed; number++) {
        const scenario = drawRelaysScenario(number);
        const complaints = complaintsIn(scenario);
        for (const complaint of complaints) seen.add(complaint);
        isNoticed = complaints.some((complaint) => expected.test(complaint));
        if (isNoticed) t.comment(`by scenario ${number}`);
      }
      t.ok(isNoticed, [...seen].join('; ') || `no complaints in ${mostScenarios} scenarios`);
    } finally {
      restore();
    }
    t.end();
  });
}
