/** The entries that this sender withdraws, and the messages that say so to receivers (SESSIONS 6.12). */

import type { SessionGeometry } from '../../object/geometry.js';
import type { WithdrawnEntry } from '../../object/withdrawn-content.js';
import { WithdrawnContent } from '../../object/withdrawn-content.js';
import type { Withdrawn, WithdrawnRun } from '../../wire/withdrawn.js';
import { maxRunsPerMessage } from '../../wire/withdrawn.js';

/** The most messages. They are repeated with each poll. */
const maxMessages = 16;

export class Withdrawals {
  readonly content: WithdrawnContent;
  private list: readonly Withdrawn[] = [];

  constructor({ blockSizeBytes, contentSizeBytes }: SessionGeometry) {
    this.content = new WithdrawnContent(blockSizeBytes, contentSizeBytes);
  }

  /** The messages that name all withdrawn entries. */
  get messages(): readonly Withdrawn[] {
    return this.list;
  }

  /** @returns false if these are too many entries to name them */
  add(entries: readonly WithdrawnEntry[]): boolean {
    this.content.add(entries);
    const runs = this.runs();
    const messages: Withdrawn[] = [];
    for (let from = 0; from < runs.length; from += maxRunsPerMessage)
      messages.push({ kind: 'withdrawn', runs: runs.slice(from, from + maxRunsPerMessage) });
    this.list = messages;
    return messages.length <= maxMessages;
  }

  private runs(): WithdrawnRun[] {
    const runs: WithdrawnRun[] = [];
    const entries = [...this.content.entries].sort(([a], [b]) => a - b);
    for (const [index, reason] of entries) {
      const last = runs.at(-1);
      if (last !== undefined && last.first + last.count === index && last.reason === reason)
        runs[runs.length - 1] = { ...last, count: last.count + 1 };
      else runs.push({ first: index, count: 1, reason });
    }
    return runs;
  }
}
