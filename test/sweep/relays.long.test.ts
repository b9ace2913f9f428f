/**
 * Chains of relays between origins and clients under hard conditions, each derived from its number. To run one alone
 * and write its trace to a file:
 *
 *   P2MP_RELAYS_SCENARIO=17 npx tap test/sweep/relays.long.test.ts
 *
 * To run many, without traces:
 *
 *   P2MP_RELAYS_SCENARIO=1-10000 npx tap --timeout=7200 test/sweep/relays.long.test.ts
 */
import { testRandomSweep } from '../support/random-sweep.js';
import { complaintsAboutRelays } from '../support/relays-check.js';
import { type RelaysRun, runRelays } from '../support/relays-run.js';
import { drawRelaysScenario } from '../support/relays-scenario.js';

/** What must occur in some scenario; a sweep without it proves little. */
const conditions: Readonly<Record<string, (run: RelaysRun) => boolean>> = {
  'a chain of three': ({ relays }) => relays.length === 3,
  'a hit': (run) => hasEvent(run, 'hit'),
  'a miss': (run) => hasEvent(run, 'miss'),
  'an eviction': (run) => hasEvent(run, 'evicted'),
  'an object that passes': ({ relays }) => relays.some(({ cache }) => cache.mostPassingBlocks > 0),
  'a fill that failed': (run) => hasEvent(run, 'fill-failed'),
  'a fetch with two upstream servers': ({ relays }) =>
    relays.some(({ fetches }) =>
      fetches.some(({ result }) => (result?.report?.sources.length ?? 0) > 1),
    ),
  'a relay that was stopped': ({ relays }) => relays.some(({ isDown }) => isDown),
  'a client that was started again': ({ clients }) => clients.some(({ lives }) => lives.length > 1),
  'a client that left': ({ clients }) => clients.some(({ isDown }) => isDown),
  'a client that failed': ({ clients }) =>
    clients.some(({ lives }) => lives.at(-1)?.result?.status === 'failed'),
  'a wrong block for a relay': ({ relays }) =>
    relays.some(({ fetches }) => fetches.some(({ liars }) => liars.length > 0)),
  'a wrong block for a client': ({ clients }) =>
    clients.some(({ lives }) => lives.some(({ liars }) => liars.some((name) => name[0] === 'r'))),
  'wrong digests of a relay': (run) => hasLeft(run, /do not lead to the root/),
  'a circle': (run) => hasLeft(run, /asks itself/),
  'a changed file': (run) => hasLeft(run, /has changed at the server/),
  'a relay that fell silent': (run) => hasLeft(run, /fallen silent/),
};

function hasEvent({ relays }: RelaysRun, type: string): boolean {
  return relays.some(({ events }) => events.some((event) => event.type === type));
}

function hasLeft({ clients }: RelaysRun, reason: RegExp): boolean {
  return clients.some(({ lives }) =>
    lives.some(({ events }) =>
      events.some((event) => event.type === 'left' && reason.test(event.reason)),
    ),
  );
}

testRandomSweep({
  kind: 'relay',
  name: 'relays',
  claim: 'every client gets every byte, or fails for a good reason, and caches stay sound',
  scenarioCount: 1000,
  conditions,
  draw: drawRelaysScenario,
  run: runRelays,
  complaintsAbout: complaintsAboutRelays,
});
