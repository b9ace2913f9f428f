/**
 * Chains of relays between origins and clients under hard conditions, each derived from its number. To run one alone
 * and write its trace to a file:
 *
 *   P2MP_RELAYS_SCENARIO=17 npx tap test/sweep/relays.test.ts
 *
 * To run many, without traces:
 *
 *   P2MP_RELAYS_SCENARIO=1-10000 npx tap --timeout=7200 test/sweep/relays.test.ts
 */
import { closeSync, openSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { formatTraceLine, type TraceRecord } from '../../src/simulator/trace.js';
import { chosenScenarios } from '../support/chosen-scenarios.js';
import { complaintsAboutRelays } from '../support/relays-check.js';
import { type RelaysRun, runRelays } from '../support/relays-run.js';
import { drawRelaysScenario } from '../support/relays-scenario.js';

/** `npm run test:sweeps` runs those from here to 1,000. */
const scenarioCount = 100;
const chosen = chosenScenarios('P2MP_RELAYS_SCENARIO');

function check(t: Test, number: number): RelaysRun {
  const scenario = drawRelaysScenario(number);
  const run = runRelays(scenario);
  const complaints = complaintsAboutRelays(scenario, run);
  const replay = `P2MP_RELAYS_SCENARIO=${number} npx tap test/sweep/relays.test.ts`;
  if (complaints.length > 0) t.same(complaints, [], `scenario ${number}; replay: ${replay}`);
  return run;
}

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

function runTraced(number: number): { trace: string[]; run: RelaysRun } {
  const trace: string[] = [];
  const keep = (record: TraceRecord) => trace.push(formatTraceLine(record));
  return { run: runRelays(drawRelaysScenario(number), keep), trace };
}

if (chosen === undefined) {
  t.test('every client gets every byte, or fails for a good reason, and caches stay sound', (t) => {
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
  t.test(`relay scenarios ${chosen.first} to ${chosen.last}`, (t) => {
    for (let number = chosen.first; number <= chosen.last; number++) check(t, number);
    t.end();
  });
} else {
  const { first: number } = chosen;
  t.test(`relay scenario ${number}`, (t) => {
    const path = join(tmpdir(), `p2mp-relays-scenario-${number}.jsonl`);
    const file = openSync(path, 'w');
    const write = (line: string) => writeSync(file, `${line}\n`);
    const scenario = drawRelaysScenario(number);
    write(JSON.stringify(scenario));
    const run = runRelays(scenario, (record) => write(formatTraceLine(record)));
    closeSync(file);
    process.stderr.write(`trace of relay scenario ${number}: ${path}\n`);
    t.same(complaintsAboutRelays(scenario, run), [], `trace: ${path}`);
    t.end();
  });
}
