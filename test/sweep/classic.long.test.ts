/**
 * Hundreds of transfers under hard conditions, each derived from its number. To run one alone and
 * write its trace to a file:
 *
 *   P2MP_SCENARIO=17 npx tap test/sweep/classic.long.test.ts
 *
 * To run many, without traces:
 *
 *   P2MP_SCENARIO=1-10000 npx tap --timeout=7200 test/sweep/classic.long.test.ts
 */
import { closeSync, openSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { formatTraceLine, type TraceRecord } from '../../src/simulator/trace.js';
import type { FaultKind } from '../../src/wire/faults.js';
import { type ChosenScenarios, chosenScenarios } from '../support/chosen-scenarios.js';
import { drawScenario } from '../support/scenario.js';
import { complaintsAbout } from '../support/scenario-check.js';
import { runScenario, type ScenarioRun } from '../support/scenario-run.js';

const scenarioCount = 1200;
/** Additional scenarios: in this one a queue overflows, which is rare. */
const keptNumbers = [411];
const chosen = chosenScenarios('P2MP_SCENARIO');

function sweep(): void {
  t.test('every transfer ends correctly, whatever the network does', (t) => {
    const seen = new Seen();
    for (let number = 1; number <= scenarioCount; number++) seen.add(check(t, number));
    for (const number of keptNumbers) seen.add(check(t, number));
    t.same(seen.missing(), [], 'every condition occurred');
    t.end();
  });

  t.test('the same number gives the same run, down to the last datagram', (t) => {
    for (const number of [3, 5, 17, 42]) {
      const [first, second] = [runTraced(number), runTraced(number)];
      t.ok(first.trace.length > 20, `scenario ${number} has a trace`);
      const named = first.trace.filter((line) => /"crc32":"[0-9a-f]{8}"/.test(line));
      t.ok(named.length > 10, 'the trace names datagrams by their CRC');
      t.notOk(
        first.trace.some((line) => /crc32.{1,3}-/.test(line)),
        'always with eight digits',
      );
      t.equal(first.trace.join('\n'), second.trace.join('\n'));
      t.same(first.run, second.run);
    }
    t.not(runTraced(17).trace.join('\n'), runTraced(42).trace.join('\n'));
    t.end();
  });
}

function check(t: Test, number: number): ScenarioRun {
  const scenario = drawScenario(number);
  const run = runScenario(scenario);
  t.same(
    complaintsAbout(scenario, run),
    [],
    `scenario ${number}; replay: P2MP_SCENARIO=${number} npx tap test/sweep/classic.long.test.ts`,
  );
  return run;
}

function sweepChosen({ first, last }: ChosenScenarios): void {
  t.test(`scenarios ${first} to ${last}`, (t) => {
    for (let number = first; number <= last; number++) check(t, number);
    t.end();
  });
}

function replay(number: number): void {
  t.test(`scenario ${number}`, (t) => {
    const path = join(tmpdir(), `p2mp-scenario-${number}.jsonl`);
    const file = openSync(path, 'w');
    const write = (line: string) => writeSync(file, `${line}\n`);
    const scenario = drawScenario(number);
    write(JSON.stringify(scenario));
    const run = runScenario(scenario, {}, (record) => write(formatTraceLine(record)));
    closeSync(file);
    process.stderr.write(`trace of scenario ${number}: ${path}\n`);
    t.same(complaintsAbout(scenario, run), [], `trace: ${path}`);
    t.end();
  });
}

function runTraced(number: number): { run: ScenarioRun; trace: string[] } {
  const trace: string[] = [];
  const keep = (record: TraceRecord) => trace.push(formatTraceLine(record));
  return { run: runScenario(drawScenario(number), {}, keep), trace };
}

/** Counts conditions that occurred in some scenario; a sweep without them proves little. */
class Seen {
  private readonly counts: Record<string, number> = {
    'receiver given up on': 0,
    'receiver that died when it had all': 0,
    'end not confirmed': 0,
    'end by silence': 0,
    'loss service': 0,
    'link lost': 0,
    'link queueFull': 0,
    'link corrupted': 0,
    'link duplicated': 0,
    'link reordered': 0,
    'fault bad-checksum': 0,
    'fault out-of-sequence': 0,
    'fault duplicate': 0,
    'fault stale-ack': 0,
    'fault storage-busy': 0,
  };

  add(run: ScenarioRun): void {
    const [result] = run.sending.results;
    for (const [i, { isDead, transfers }] of run.receiving.entries()) {
      const outcome = result?.receivers[i];
      if (outcome?.status === 'failed') this.count('receiver given up on');
      else if (isDead) this.count('receiver that died when it had all');
      else if (!outcome?.isConfirmed) this.count('end not confirmed');
      for (const { end, losses, faults } of transfers) {
        if (end === 'silence') this.count('end by silence');
        this.count('loss service', losses);
        this.countFaults(faults);
      }
    }
    this.countFaults(result?.faults ?? {});
    for (const [kind, count] of Object.entries(run.links)) this.count(`link ${kind}`, count);
  }

  missing(): string[] {
    return Object.keys(this.counts).filter((what) => this.counts[what] === 0);
  }

  private countFaults(faults: Partial<Record<FaultKind, number>>): void {
    for (const [kind, count] of Object.entries(faults)) this.count(`fault ${kind}`, count);
  }

  private count(what: string, count = 1): void {
    this.counts[what] = (this.counts[what] ?? 0) + count;
  }
}

if (chosen === undefined) sweep();
else if (chosen.first === chosen.last) replay(chosen.first);
else sweepChosen(chosen);
