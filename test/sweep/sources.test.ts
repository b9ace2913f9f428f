/**
 * Fetches from several hosts over sessions under hard conditions, each derived from its number. To run one alone and
 * write its trace to a file:
 *
 *   P2MP_SOURCES_SCENARIO=17 npx tap test/sweep/sources.test.ts
 *
 * To run many, without traces:
 *
 *   P2MP_SOURCES_SCENARIO=1-10000 npx tap --timeout=7200 test/sweep/sources.test.ts
 */
import { closeSync, openSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { formatTraceLine, type TraceRecord } from '../../src/simulator/trace.js';
import { chosenScenarios } from '../support/chosen-scenarios.js';
import { complaintsAboutSources } from '../support/sources-check.js';
import { runSources, type SourcesRun } from '../support/sources-run.js';
import { drawSourcesScenario } from '../support/sources-scenario.js';

/** `npm run test:sweeps` runs those from here to 1,000. */
const scenarioCount = 150;
const chosen = chosenScenarios('P2MP_SOURCES_SCENARIO');

function check(t: Test, number: number): SourcesRun {
  const scenario = drawSourcesScenario(number);
  const run = runSources(scenario);
  const complaints = complaintsAboutSources(scenario, run);
  const replay = `P2MP_SOURCES_SCENARIO=${number} npx tap test/sweep/sources.test.ts`;
  if (complaints.length > 0) t.same(complaints, [], `scenario ${number}; replay: ${replay}`);
  return run;
}

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

function runTraced(number: number): { trace: string[]; run: SourcesRun } {
  const trace: string[] = [];
  const keep = (record: TraceRecord) => trace.push(formatTraceLine(record));
  return { run: runSources(drawSourcesScenario(number), keep), trace };
}

if (chosen === undefined) {
  t.test('every fetch gets every byte, or fails for a good reason', (t) => {
    const missing = new Set(Object.keys(conditions));
    for (let number = 1; number <= scenarioCount; number++) {
      const run = check(t, number);
      for (const what of missing) if (conditions[what]?.(run) === true) missing.delete(what);
    }
    t.same([...missing], [], 'every condition occurred');
    t.end();
  });

  t.test('the same number gives the same run, down to the last datagram', (t) => {
    for (const number of [7, 85]) {
      const [first, second] = [runTraced(number), runTraced(number)];
      t.ok(first.trace.length > 20, `scenario ${number} has a trace`);
      t.equal(first.trace.join('\n'), second.trace.join('\n'));
    }
    t.end();
  });
} else if (chosen.first < chosen.last) {
  t.test(`source scenarios ${chosen.first} to ${chosen.last}`, (t) => {
    for (let number = chosen.first; number <= chosen.last; number++) check(t, number);
    t.end();
  });
} else {
  const { first: number } = chosen;
  t.test(`source scenario ${number}`, (t) => {
    const path = join(tmpdir(), `p2mp-sources-scenario-${number}.jsonl`);
    const file = openSync(path, 'w');
    const write = (line: string) => writeSync(file, `${line}\n`);
    const scenario = drawSourcesScenario(number);
    write(JSON.stringify(scenario));
    const run = runSources(scenario, (record) => write(formatTraceLine(record)));
    closeSync(file);
    process.stderr.write(`trace of source scenario ${number}: ${path}\n`);
    t.same(complaintsAboutSources(scenario, run), [], `trace: ${path}`);
    t.end();
  });
}
