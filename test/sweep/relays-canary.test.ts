/** Deliberately broken relays: the checkers of the sweep must detect each of them. */
import t from 'tap';
import type { TimeMs } from '../../src/base/machine.js';
import type { FetchSource } from '../../src/roles/fetch/fetch-source.js';
import { FetchedObject } from '../../src/roles/fetch/fetched-object.js';
import { FetchScheduler } from '../../src/roles/fetch/scheduler.js';
import { PassingBlocks, StoredBlocks } from '../../src/roles/relay/block-shelf.js';
import { CacheLedger } from '../../src/roles/relay/cache-ledger.js';
import { CachedObjects } from '../../src/roles/relay/cached-objects.js';
import { OpenObjects } from '../../src/roles/relay/open-objects.js';
import { Relay } from '../../src/roles/relay/relay.js';
import { RelayedObject } from '../../src/roles/relay/relayed-object.js';
import { replace } from '../support/planted-fault.js';
import { complaintsAboutRelays } from '../support/relays-check.js';
import { runRelays } from '../support/relays-run.js';
import { drawRelaysScenario } from '../support/relays-scenario.js';

/** Each fault must show within this many scenarios; the sweep has many times as many. */
const mostScenarios = 100;

notices(
  'a relay that passes on blocks that nobody verified',
  /not what its root|the cache has/,
  () => replace(FetchedObject.prototype, 'isBlock', () => true),
);

notices('a relay that forgets its limit', /bytes in a cache of|bytes counted/, () =>
  replace(CacheLedger.prototype, 'reserve', function (this: CacheLedger, id: string, size: number) {
    this['entries'].set(id, { sizeBytes: size, users: 1, isLeaving: false });
    return 'granted';
  }),
);

notices('a relay that removes what is read', /removed while they were read/, () => {
  const { use } = CacheLedger.prototype;
  return replace(CacheLedger.prototype, 'use', function (this: CacheLedger, id: string) {
    use.call(this, id);
    const entry = this['entries'].get(id);
    if (entry !== undefined) entry.users = 0;
  });
});

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

notices('a relay that keeps everything that passes', /kept of what passes/, () => {
  const { put } = PassingBlocks.prototype;
  return replace(
    PassingBlocks.prototype,
    'put',
    function (this: PassingBlocks, block: number, bytes: Uint8Array, handle: () => void) {
      Object.assign(this, { maxCount: Infinity });
      put.call(this, block, bytes, handle);
    },
  );
});

notices('a relay that gives old versions', /out of date/, () => {
  const find = Relay.prototype['findCurrent' as keyof Relay] as unknown as (
    ...args: unknown[]
  ) => unknown;
  return replace(
    Relay.prototype,
    'findCurrent',
    function (this: Relay, what: { name: string }, hops: readonly Uint8Array[]) {
      const old = this.list().find(({ name }) => name === what.name);
      return old === undefined ? find.call(this, what, hops) : this['objects'].find(old);
    },
  );
});

notices('a relay that never closes what nobody uses', /open objects/, () =>
  replace(OpenObjects.prototype, 'handleTimeout', () => undefined),
);

notices('a relay that forgets waiting clients when a fetch ends', /not complete|no end/, () =>
  replace(RelayedObject.prototype, 'handleReady', () => undefined),
);

notices('a relay that does not stop at itself', /not at rest|no end|not complete|left:/, () => {
  const { find } = Relay.prototype;
  return replace(
    Relay.prototype,
    'find',
    function (this: Relay, what: Parameters<typeof find>[0], _hops: unknown, take: never) {
      find.call(this, what, [], take);
    },
  );
});

notices(
  'a relay that blames itself for its upstream servers',
  /accused though it is honest/,
  () => {
    const { fail } = { fail: Relay.prototype['handleFailed' as keyof Relay] } as unknown as {
      fail: (...args: unknown[]) => void;
    };
    return replace(
      Relay.prototype,
      'handleFailed',
      function (this: Relay, open: unknown, lookup: unknown, reason: string) {
        fail.call(this, open, lookup, reason.replace(/^.*: /, ''));
      },
    );
  },
);

function notices(what: string, expected: RegExp, plant: () => () => void): void {
  t.test(`the checkers notice ${what}`, (t) => {
    const restore = plant();
    const seen = new Set<string>();
    try {
      let isNoticed = false;
      for (let number = 1; number <= mostScenarios && !isNoticed; number++) {
        const scenario = drawRelaysScenario(number);
        let complaints: string[];
        complaints = complaintsAboutRelays(scenario, runRelays(scenario));
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
