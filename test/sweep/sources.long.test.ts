/**
 * Fetches from several hosts over sessions under hard conditions, each derived from its number. To run one alone and
 * write its trace to a file:
 *
 *   P2MP_SOURCES_SCENARIO=17 npx tap test/sweep/sources.long.test.ts
 *
 * To run many, without traces:
 *
 *   P2MP_SOURCES_SCENARIO=1-10000 npx tap --timeout=7200 test/sweep/sources.long.test.ts
 */
import { testRandomSweep } from '../support/random-sweep.js';
import { complaintsAboutSources } from '../support/sources-check.js';
import { runSources, type SourcesRun } from '../support/sources-run.js';
import { drawSourcesScenario } from '../support/sources-scenario.js';

/** What must occur in some scenario; a sweep without it proves little. */
const conditions: Readonly<Record<string, (run: SourcesRun) => boolean>> = {
  'a client that was started again': ({ lives }) => lives.length > 1,
  'a fetch that failed': ({ lives }) => lives.at(-1)?.result?.status === 'failed',
  'different content under one name': (run) => hasFailed(run, /different content/),
  'no source that may be used': (run) => hasFailed(run, /wrong content/),
  'a host that sent a wrong block': ({ lives }) => lives.some(({ liars }) => liars.length > 0),
  'wrong digests': (run) => hasLeft(run, /do not lead to the root/),
  'a wrong manifest': (run) => hasLeft(run, /wrong manifest/),
  'a wrong size': (run) => hasLeft(run, /(?:another|wrong) size/),
  'other content': (run) => hasLeft(run, /other content|no such object/),
  'a host that does not know digests': (run) => hasLeft(run, /does not know the digests/),
  'a host that changed': (run) => hasLeft(run, /has changed at the server/),
  'a host that fell silent': (run) => hasLeft(run, /fallen silent/),
  'blocks that were held before': ({ lives }) =>
    lives.some(({ missingBlocks, result }) => {
      const { contentSizeBytes = 0 } = result?.object ?? {};
      return contentSizeBytes > 0 && missingBlocks === 0;
    }),
  'a source that offers the object and sends nothing of it': (run) =>
    hasLeft(run, /has sent nothing of what it was asked for/),
  'blocks asked twice': ({ lives }) => lives.some(({ repeatedBlocks }) => repeatedBlocks > 0),
  'blocks asked again': ({ lives }) => lives.some(({ againBlocks }) => againBlocks > 0),
};

function hasFailed({ lives }: SourcesRun, reason: RegExp): boolean {
  return lives.some(({ result }) => reason.test(result?.reason ?? ''));
}

function hasLeft({ lives }: SourcesRun, reason: RegExp): boolean {
  return lives.some(({ events }) =>
    events.some((event) => event.type === 'left' && reason.test(event.reason)),
  );
}

testRandomSweep({
  kind: 'source',
  name: 'sources',
  claim: 'every fetch gets every byte, or fails for a good reason',
  scenarioCount: 1000,
  conditions,
  draw: drawSourcesScenario,
  run: runSources,
  complaintsAbout: complaintsAboutSources,
});
