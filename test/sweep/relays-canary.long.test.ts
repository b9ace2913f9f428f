/** Deliberately broken relays: the checkers of the sweep must detect each of them. */
import { FetchedObject } from '../../src/roles/fetch/fetched-object.js';
import { StoredBlocks } from '../../src/roles/relay/block-shelf.js';
import { CacheLedger } from '../../src/roles/relay/cache-ledger.js';
import { CachedObjects } from '../../src/roles/relay/cached-objects.js';
import { askTwoForEverything, noticesWithin } from '../support/canary.js';
import { replace } from '../support/planted-fault.js';
import { complaintsAboutRelays } from '../support/relays-check.js';
import { runRelays } from '../support/relays-run.js';
import { drawRelaysScenario } from '../support/relays-scenario.js';

/** Each fault must show within this many scenarios; the sweep has more. */
const notices = noticesWithin(100, (number) => {
  const scenario = drawRelaysScenario(number);
  try {
    return complaintsAboutRelays(scenario, runRelays(scenario));
  } catch (error) {
    // A broken relay may also fail one of its own assertions.
    return [String(error)];
  }
});

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

notices('a relay that asks two servers for everything', /asked twice before/, askTwoForEverything);

notices('a relay that fetches again what it holds', /written again/, () => {
  const { open } = StoredBlocks.prototype;
  return replace(StoredBlocks.prototype, 'open', function (this: StoredBlocks, handle: () => void) {
    open.call(this, () => {
      this.held.clear();
      handle();
    });
  });
});
