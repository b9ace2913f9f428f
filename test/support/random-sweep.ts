/** A sweep of random scenarios: all of them pass and prove something, and one alone can be traced. */
import { closeSync, openSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { formatTraceLine, type TraceRecord } from '../../src/simulator/trace.js';
import { chosenScenarios } from './chosen-scenarios.js';

export interface RandomSweep<Scenario, Run> {
  /** What one scenario is of, such as `relay`. */
  readonly kind: string;
  /** The name of the test file without its ending (`.long.test.ts`). The variable `P2MP_<NAME>_SCENARIO` chooses scenarios. */
  readonly name: string;
  /** What is tested, as a sentence. */
  readonly claim: string;
  readonly scenarioCount: number;
  /** What must occur in some scenario; a sweep without it proves little. */
  readonly conditions: Readonly<Record<string, (run: Run) => boolean>>;
  readonly draw: (number: number) => Scenario;
  readonly run: (scenario: Scenario, trace?: (record: TraceRecord) => void) => Run;
  readonly complaintsAbout: (scenario: Scenario, run: Run) => string[];
}

/** Declares the tests of the sweep, or of the scenarios that the variable chooses. */
export function testRandomSweep<Scenario, Run>(sweep: RandomSweep<Scenario, Run>): void {
  const variable = `P2MP_${sweep.name.toUpperCase()}_SCENARIO`;
  const check = (t: Test, number: number): Run => {
    const scenario = sweep.draw(number);
    const run = sweep.run(scenario);
    const complaints = sweep.complaintsAbout(scenario, run);
    const replay = `${variable}=${number} npx tap test/sweep/${sweep.name}.long.test.ts`;
    if (complaints.length > 0) t.same(complaints, [], `scenario ${number}; replay: ${replay}`);
    return run;
  };
  const chosen = chosenScenarios(variable);
  if (chosen === undefined) {
    testAll(sweep, check);
  } else if (chosen.first < chosen.last) {
    t.test(`${sweep.kind} scenarios ${chosen.first} to ${chosen.last}`, (t) => {
      for (let number = chosen.first; number <= chosen.last; number++) check(t, number);
      t.end();
    });
  } else {
    t.test(`${sweep.kind} scenario ${chosen.first}`, (t) => {
      testTraced(t, sweep, chosen.first);
      t.end();
    });
  }
}

function testAll<Scenario, Run>(
  { claim, scenarioCount, conditions, draw, run }: RandomSweep<Scenario, Run>,
  check: (t: Test, number: number) => Run,
): void {
  t.test(claim, (t) => {
    const missing = new Set(Object.keys(conditions));
    for (let number = 1; number <= scenarioCount; number++) {
      const result = check(t, number);
      for (const what of missing) if (conditions[what]?.(result) === true) missing.delete(what);
    }
    t.same([...missing], [], 'every condition occurred');
    t.end();
  });

  t.test('the same number gives the same run, down to the last datagram', (t) => {
    const traceOf = (number: number): string[] => {
      const lines: string[] = [];
      run(draw(number), (record) => lines.push(formatTraceLine(record)));
      return lines;
    };
    for (const number of [7, 85]) {
      const [first, second] = [traceOf(number), traceOf(number)];
      t.ok(first.length > 20, `scenario ${number} has a trace`);
      t.equal(first.join('\n'), second.join('\n'));
    }
    t.end();
  });
}

/** Runs one scenario and writes its trace to a file. */
function testTraced<Scenario, Run>(
  t: Test,
  { kind, name, draw, run, complaintsAbout }: RandomSweep<Scenario, Run>,
  number: number,
): void {
  const path = join(tmpdir(), `p2mp-${name}-scenario-${number}.jsonl`);
  const file = openSync(path, 'w');
  const write = (line: string) => writeSync(file, `${line}\n`);
  const scenario = draw(number);
  write(JSON.stringify(scenario));
  const result = run(scenario, (record) => write(formatTraceLine(record)));
  closeSync(file);
  process.stderr.write(`trace of ${kind} scenario ${number}: ${path}\n`);
  t.same(complaintsAbout(scenario, result), [], `trace: ${path}`);
}
