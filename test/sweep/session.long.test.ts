/**
 * Sessions under hard conditions, each derived from its number. To run one alone and write its
 * trace to a file:
 *
 *   P2MP_SESSION_SCENARIO=17 npx tap test/sweep/session.long.test.ts
 *
 * To run many, without traces:
 *
 *   P2MP_SESSION_SCENARIO=1-10000 npx tap --timeout=7200 test/sweep/session.long.test.ts
 */
import { closeSync, openSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { Endpoint } from '../../src/endpoint/endpoint.js';
import type { SimulatedSessionResult } from '../../src/simulator/session-transfer-options.js';
import { formatTraceLine, type TraceRecord } from '../../src/simulator/trace.js';
import { type ChosenScenarios, chosenScenarios } from '../support/chosen-scenarios.js';
import { joinArrivals } from '../support/joined-arrivals.js';
import { delegate } from '../support/scenario-run.js';
import { drawSessionScenario } from '../support/session-scenario.js';
import { complaintsAboutSession } from '../support/session-scenario-check.js';
import { runSessionScenario } from '../support/session-scenario-run.js';

const scenarioCount = 1200;
/** One in this many is also run with joined datagrams. */
const joinedEach = 2;
/** Additional scenarios that failed once. */
const keptNumbers = [2550, 6860, 7734, 8279, 9131, 9673];
const chosen = chosenScenarios('P2MP_SESSION_SCENARIO');

function sweep(): void {
  t.test('every session ends correctly, whatever happens to hosts and network', (t) => {
    const seen = new Seen();
    for (let number = 1; number <= scenarioCount; number++) seen.add(check(t, number));
    for (const number of keptNumbers) check(t, number);
    t.same(seen.missing(), [], 'every condition occurred');
    t.end();
  });

  t.test('sessions also end correctly if datagrams are joined on arrival', (t) => {
    const seen = { pieces: 0, joined: 0, largest: 0 };
    for (let number = joinedEach; number <= scenarioCount; number += joinedEach) {
      checkJoined(t, number, seen);
    }
    const { pieces, joined, largest } = seen;
    t.ok(joined > pieces / 10, `${joined} of ${pieces} pieces contain several datagrams`);
    t.equal(largest, 64, 'some pieces have the maximum number of datagrams');
    t.end();
  });

  t.test('the same number gives the same run, down to the last datagram', (t) => {
    for (const number of [3, 17]) {
      const [first, second] = [runTraced(number), runTraced(number)];
      t.ok(first.trace.length > 20, `scenario ${number} has a trace`);
      t.equal(first.trace.join('\n'), second.trace.join('\n'));
      t.same(first.run, second.run);
    }
    t.end();
  });
}

function check(t: Test, number: number): SimulatedSessionResult {
  const scenario = drawSessionScenario(number);
  const run = runSessionScenario(scenario);
  const complaints = complaintsAboutSession(scenario, run);
  if (complaints.length > 0) {
    const replay = `P2MP_SESSION_SCENARIO=${number} npx tap test/sweep/session.long.test.ts`;
    t.same(complaints, [], `scenario ${number}; replay: ${replay}`);
  }
  return run;
}

/** How many pieces of joined datagrams arrived. */
interface SeenPieces {
  pieces: number;
  joined: number;
  largest: number;
}

function checkJoined(t: Test, number: number, seen: SeenPieces): void {
  const scenario = drawSessionScenario(number);
  const run = runSessionScenario(scenario, {
    wrapReceiver: (receiver) => {
      const endpoint = new Endpoint({ receiver });
      const handleDatagram = endpoint.handleDatagram.bind(endpoint);
      return joinArrivals(delegate(receiver, { handleDatagram }), {
        holdMs: [0, 0.2, 1][number % 3] as number,
        handleJoined: (count) => {
          seen.pieces++;
          if (count > 1) seen.joined++;
          seen.largest = Math.max(seen.largest, count);
        },
      });
    },
  });
  const complaints = complaintsAboutSession(scenario, run);
  if (complaints.length > 0) t.same(complaints, [], `scenario ${number}, joined`);
}

function sweepChosen({ first, last }: ChosenScenarios): void {
  t.test(`session scenarios ${first} to ${last}`, (t) => {
    const seen = { pieces: 0, joined: 0, largest: 0 };
    for (let number = first; number <= last; number++) {
      check(t, number);
      if (number % joinedEach === 0) checkJoined(t, number, seen);
    }
    t.end();
  });
}

function replay(number: number): void {
  t.test(`session scenario ${number}`, (t) => {
    const path = join(tmpdir(), `p2mp-session-scenario-${number}.jsonl`);
    const file = openSync(path, 'w');
    const write = (line: string) => writeSync(file, `${line}\n`);
    const scenario = drawSessionScenario(number);
    write(JSON.stringify(scenario));
    const run = runSessionScenario(scenario, {}, (record) => write(formatTraceLine(record)));
    closeSync(file);
    process.stderr.write(`trace of session scenario ${number}: ${path}\n`);
    t.same(complaintsAboutSession(scenario, run), [], `trace: ${path}`);
    t.end();
  });
}

function runTraced(number: number): { run: SimulatedSessionResult; trace: string[] } {
  const trace: string[] = [];
  const keep = (record: TraceRecord) => trace.push(formatTraceLine(record));
  return { run: runSessionScenario(drawSessionScenario(number), {}, keep), trace };
}

/** Counts conditions that occurred in some scenario; a sweep without them proves little. */
class Seen {
  private readonly counts: Record<string, number> = {
    'receiver failed': 0,
    'receiver resumed': 0,
    'bad block repaired': 0,
    'sender restarted': 0,
    'entry withdrawn': 0,
    'entry lost too late': 0,
    'multicast only': 0,
    'multicast and unicast': 0,
    'without a group': 0,
    'link lost': 0,
    'link queueFull': 0,
    'link corrupted': 0,
    'link duplicated': 0,
    'link reordered': 0,
    'several paths': 0,
    'path silent or closed': 0,
    'receiver moved': 0,
    'fault forged': 0,
    'fault no-session': 0,
  };

  add(run: SimulatedSessionResult): void {
    for (const { outcome } of run.settled) {
      const { paths = [] } = outcome;
      if (paths.length > 0) this.count('several paths');
      if (paths.some(({ state }) => state === 'silent' || state === 'closed'))
        this.count('path silent or closed');
      if (paths.some(({ number, address }) => number > 0 && /^r\d+-/.test(address)))
        this.count('receiver moved');
      if (outcome.status === 'failed') this.count('receiver failed');
      if (outcome.status === 'aborted') this.count('entry lost too late');
    }
    for (const { results } of run.receivers) {
      for (const {
        status,
        reason,
        badBlocks,
        updatedBlocks,
        receivedBytes,
        contentSizeBytes,
        withdrawn = [],
      } of results) {
        if (reason === 'replaced by a new session of the same sender')
          this.count('sender restarted');
        if (status !== 'complete') continue;
        if (withdrawn.length > 0) this.count('entry withdrawn');
        if (badBlocks + updatedBlocks > 0) this.count('bad block repaired');
        if (receivedBytes > 0 && receivedBytes < contentSizeBytes) this.count('receiver resumed');
      }
    }
    for (const { datagramsSent, groupDatagramsSent, faults } of run.sender) {
      if (groupDatagramsSent === 0) this.count('without a group');
      else if (groupDatagramsSent === datagramsSent) this.count('multicast only');
      else this.count('multicast and unicast');
      for (const [kind, count] of Object.entries(faults)) this.count(`fault ${kind}`, count);
    }
    for (const [kind, count] of Object.entries(run.links)) this.count(`link ${kind}`, count);
  }

  missing(): string[] {
    return Object.keys(this.counts).filter((what) => this.counts[what] === 0);
  }

  private count(what: string, count = 1): void {
    this.counts[what] = (this.counts[what] ?? 0) + count;
  }
}

if (chosen === undefined) sweep();
else if (chosen.first === chosen.last) replay(chosen.first);
else sweepChosen(chosen);
