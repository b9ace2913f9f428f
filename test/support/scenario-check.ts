/** Checks the invariants of every run, whatever its conditions. */
import type { ReceiverOutcome } from '../../src/classic/sender-events.js';
import type { Scenario } from './scenario.js';
import type { Receiving, ScenarioRun } from './scenario-run.js';

/** @returns one line per violation; none for a good run */
export function complaintsAbout(scenario: Scenario, run: ScenarioRun): string[] {
  const { sending } = run;
  const complaints: string[] = [];
  const check = (isGood: boolean, complaint: string) => {
    if (!isGood) complaints.push(complaint);
  };
  check(run.isAtRest, `not at rest at ${run.virtualMs} ms, after ${run.steps} steps`);
  check(sending.results.length === 1, `sender done ${sending.results.length} times`);
  check(sending.datagramsAfterEnd === 0, `${sending.datagramsAfterEnd} datagrams after the end`);
  check(
    sending.maxBlocksHeld <= scenario.windowBlocks,
    `${sending.maxBlocksHeld} blocks in a window of ${scenario.windowBlocks}`,
  );
  check(sending.maxEventsLeft === 0, `${sending.maxEventsLeft} events left in the sender`);
  const [result] = sending.results;
  if (result !== undefined) {
    check(
      result.datagramsSent === sending.datagrams,
      `${sending.datagrams} datagrams sent, ${result.datagramsSent} counted`,
    );
    check(
      result.receivers.map(({ receiver }) => receiver).join() ===
        run.receiving.map(({ name }) => name).join(),
      'outcomes are not one for each receiver',
    );
  }
  for (const [i, receiving] of run.receiving.entries()) {
    const outcome = result?.receivers[i];
    for (const complaint of complaintsAboutReceiver(scenario, receiving, outcome)) {
      complaints.push(`${receiving.name}: ${complaint}`);
    }
  }
  return complaints;
}

function complaintsAboutReceiver(
  scenario: Scenario,
  receiving: Receiving,
  outcome: ReceiverOutcome | undefined,
): string[] {
  const { sizeBytes } = scenario;
  const complaints = [...receiving.damages];
  const check = (isGood: boolean, complaint: string) => {
    if (!isGood) complaints.push(complaint);
  };
  const hasAll = receiving.isOpened && receiving.takenBytes === sizeBytes;
  const isIdentical = hasAll && receiving.isStored && receiving.storedBytes === sizeBytes;
  const said = `${outcome?.status}${outcome?.reason === undefined ? '' : ` (${outcome.reason})`}`;
  if (outcome?.status === 'complete') check(hasAll, `called complete, but data is missing`);
  if (outcome?.isConfirmed) check(isIdentical, 'called confirmed, is not stored');
  if (receiving.isDead) {
    check(outcome?.status === 'complete' || outcome?.status === 'failed', `died, called ${said}`);
    check(outcome?.status !== 'failed' || outcome.reason !== undefined, 'failed without a reason');
  } else {
    check(outcome?.status === 'complete', `alive, reported as ${said}`);
    check(isIdentical, `alive, stored ${receiving.storedBytes} bytes of ${sizeBytes}`);
    check(
      receiving.transfers.map(({ status }) => status).join() === 'complete',
      `alive, reported ${JSON.stringify(receiving.transfers)}`,
    );
  }
  check(
    receiving.maxUnwrittenBytes <= scenario.maxUnwrittenBytes,
    `${receiving.maxUnwrittenBytes} bytes unwritten`,
  );
  check(receiving.maxEventsLeft === 0, `${receiving.maxEventsLeft} events or answers left`);
  return complaints;
}
