/** Tests of checkers: code that is broken on purpose must lead to complaints. */
import t from 'tap';
import type { TimeMs } from '../../src/base/machine.js';
import type { FetchSource } from '../../src/roles/fetch/fetch-source.js';
import { FetchScheduler } from '../../src/roles/fetch/scheduler.js';
import { replace } from './planted-fault.js';

/** Declares a test that the checkers notice a fault. @param plant breaks the code and returns what repairs it */
export type Notices = (what: string, expected: RegExp, plant: () => () => void) => void;

/** @param complaintsIn runs the scenario of this number, and returns one line per violation */
export function noticesWithin(
  mostScenarios: number,
  complaintsIn: (number: number) => string[],
): Notices {
  return (what, expected, plant) => {
    t.test(`the checkers notice ${what}`, (t) => {
      const restore = plant();
      const seen = new Set<string>();
      try {
        let isNoticed = false;
        for (let number = 1; number <= mostScenarios && !isNoticed; number++) {
          const complaints = complaintsIn(number);
          for (const complaint of complaints) seen.add(complaint);
          isNoticed = complaints.some((complaint) => expected.test(complaint));
          if (isNoticed) t.comment(`by scenario ${number}`);
        }
        t.ok(isNoticed, [...seen].join('; ') || `no complaints in ${mostScenarios} scenarios`);
      } finally {
        restore();
      }
      t.end();
    });
  };
}

/** Makes each scheduler of a fetch ask two sources for everything. @returns what repairs it */
export function askTwoForEverything(): () => void {
  const scheduler = FetchScheduler.prototype as unknown as { ask: (...args: unknown[]) => void };
  const { ask } = scheduler;
  return replace(
    scheduler,
    'ask',
    function (this: FetchScheduler, nowMs: TimeMs, one: FetchSource, start: number, end: number) {
      const other = this['live'].find((found) => found !== one);
      ask.call(this, nowMs, one, start, end);
      if (other !== undefined && other.asked.count < 100) ask.call(this, nowMs, other, start, end);
      this['shared'].add(start, end);
    },
  );
}
