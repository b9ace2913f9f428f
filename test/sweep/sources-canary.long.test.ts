/** Deliberately broken fetches over sessions: the checkers of the sweep must detect each of them. */
import type { TimeMs } from '../../src/base/machine.js';
import { Fetch } from '../../src/roles/fetch/fetch.js';
import { FetchSource } from '../../src/roles/fetch/fetch-source.js';
import { FetchedObject } from '../../src/roles/fetch/fetched-object.js';
import { ObjectOpening } from '../../src/roles/fetch/object-opening.js';
import { FetchScheduler } from '../../src/roles/fetch/scheduler.js';
import { Source } from '../../src/roles/fetch/source.js';
import { Sources } from '../../src/roles/fetch/sources.js';
import { LeafRequests } from '../../src/session/incoming/leaf-requests.js';
import { askTwoForEverything, noticesWithin } from '../support/canary.js';
import { replace } from '../support/planted-fault.js';
import { complaintsAboutSources } from '../support/sources-check.js';
import { runSources } from '../support/sources-run.js';
import { drawSourcesScenario } from '../support/sources-scenario.js';

/** Each fault must show within this many scenarios; the sweep has more. */
const notices = noticesWithin(60, (number) => {
  const scenario = drawSourcesScenario(number);
  return complaintsAboutSources(scenario, runSources(scenario));
});

notices('blocks that nobody verifies', /not what its root says|not excluded/, () =>
  replace(FetchedObject.prototype, 'isBlock', () => true),
);

notices('a client that keeps a liar', /sent a wrong block and is not excluded/, () =>
  replace(Fetch.prototype, 'exclude', () => undefined),
);

notices('a client that accuses an honest source', /is accused though it is honest/, () => {
  const { take } = LeafRequests.prototype;
  return replace(
    LeafRequests.prototype,
    'take',
    function (this: LeafRequests, nodes: Parameters<typeof take>[0]) {
      return nodes.firstNode === 0 && take.call(this, nodes);
    },
  );
});

notices('a client that forgets the blocks of a lost source', /not complete: no end/, () =>
  replace(FetchScheduler.prototype, 'replace', (_: TimeMs, lost: FetchSource, count: number) =>
    lost.replace(count, 'left'),
  ),
);

notices('a client that asks two sources for everything', /asked twice before/, askTwoForEverything);

notices('a client that asks for everything at once', /blocks asked of one source/, () =>
  replace(FetchSource.prototype, 'windowBlocks', () => 8192),
);

notices('a client that never asks a lost source again', /not complete/, () => {
  const { lose } = Source.prototype;
  return replace(Source.prototype, 'lose', function (this: Source, nowMs: TimeMs, reason: string) {
    lose.call(this, nowMs, reason, false);
  });
});

notices('a client that waits for the manifest of a silent source', /the end at/, () =>
  replace(ObjectOpening.prototype, 'handleLoss', () => undefined),
);

notices('a client that does not end its sessions', /still waits for something|not at rest/, () =>
  replace(Sources.prototype, 'end', () => undefined),
);
