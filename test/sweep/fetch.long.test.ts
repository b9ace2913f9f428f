/**
 * Fetches from several sources under hard conditions, each derived from its number. To run one alone and write its
 * events to a file:
 *
 *   P2MP_FETCH_SCENARIO=17 npx tap test/sweep/fetch.long.test.ts
 *
 * To run many:
 *
 *   P2MP_FETCH_SCENARIO=1-10000 npx tap --timeout=7200 test/sweep/fetch.long.test.ts
 */
import { writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { chosenScenarios } from '../support/chosen-scenarios.js';
import { complaintsAboutFetch } from '../support/fetch-check.js';
import { type FetchRun, runFetch } from '../support/fetch-run.js';
import { drawFetchScenario } from '../support/fetch-scenario.js';

const scenarioCount = 3000;
const chosen = chosenScenarios('P2MP_FETCH_SCENARIO');

function check(t: Test, number: number): FetchRun {
  const scenario = drawFetchScenario(number);
  const run = runFetch(scenario);
  const replay = `P2MP_FETCH_SCENARIO=${number} npx tap test/sweep/fetch.long.test.ts`;
  const complaints = complaintsAboutFetch(scenario, run);
  if (complaints.length > 0) t.same(complaints, [], `scenario ${number}; replay: ${replay}`);
  return run;
}

/** Counts what occurred in some scenario; a sweep without it proves little. */
function countConditions(counts: Record<string, number>, run: FetchRun): void {
  const count = (what: string, isSo: boolean) => {
    counts[what] = (counts[what] ?? 0) + (isSo ? 1 : 0);
  };
  const { sources, duplicateBytes } = run.report;
  count('a liar', run.dropped.length > 0);
  count(
    'a source that left',
    sources.some(({ state }) => state === 'left'),
  );
  count(
    'blocks taken from a slow source',
    sources.some(({ replaced }) => replaced === 'slow'),
  );
  count(
    'blocks taken from a dead source',
    sources.some(({ replaced }) => replaced === 'left'),
  );
  count('blocks asked twice', run.repeatedBlocks > 0);
  count('blocks that arrived twice', duplicateBytes > 0);
  count(
    'a segment lost twice',
    run.segments.some(({ retries }) => retries > 1),
  );
}

if (chosen === undefined) {
  t.test('every fetch gets every block, in good time and never twice without need', (t) => {
    const counts: Record<string, number> = {};
    for (let number = 1; number <= scenarioCount; number++)
      countConditions(counts, check(t, number));
    const missing = Object.keys(counts).filter((what) => counts[what] === 0);
    t.same(missing, [], 'every condition occurred');
    t.end();
  });

  t.test('the same number gives the same run', (t) => {
    for (const number of [4, 17, 120]) {
      const scenario = drawFetchScenario(number);
      t.same(runFetch(scenario), runFetch(scenario), `scenario ${number}`);
    }
    t.end();
  });
} else {
  t.test(`fetch scenarios ${chosen.first} to ${chosen.last}`, (t) => {
    for (let number = chosen.first; number <= chosen.last; number++) {
      const run = check(t, number);
      if (chosen.first !== chosen.last) continue;
      const path = join(tmpdir(), `p2mp-fetch-scenario-${number}.jsonl`);
      const lines = [JSON.stringify(drawFetchScenario(number)), ...run.trace];
      writeFileSync(path, `${lines.join('\n')}\n`);
      process.stderr.write(`trace of fetch scenario ${number}: ${path}\n`);
    }
    t.end();
  });
}
