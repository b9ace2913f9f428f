/** What the sender of an incoming object has withdrawn of it (SESSIONS 6.12). */
import { at } from '../../base/assert.js';
import type { SessionGeometry } from '../../object/geometry.js';
import type { Manifest } from '../../object/manifest.js';
import type { WithdrawnEntry } from '../../object/withdrawn-content.js';
import { WithdrawnContent } from '../../object/withdrawn-content.js';
import type { Withdrawn, WithdrawnRun } from '../../wire/withdrawn.js';
import type { NamedWithdrawal } from '../receiver-events.js';

/** The most names in the result of a session. */
const maxNames = 1000;

export class IncomingWithdrawal {
  readonly content: WithdrawnContent;
  private readonly seen = new Set<string>();

  constructor(
    private readonly manifest: Manifest,
    { blockSizeBytes, contentSizeBytes }: SessionGeometry,
  ) {
    this.content = new WithdrawnContent(blockSizeBytes, contentSizeBytes);
  }

  /** @returns whether the message names further entries; undefined if the manifest does not have all of them */
  take({ runs }: Withdrawn): boolean | undefined {
    const { entries } = this.manifest;
    const last = runs.at(-1);
    if (last === undefined || last.first + last.count > entries.length) return undefined;
    // The message is repeated with each poll.
    const unseen = runs.filter((run) => !this.seen.has(keyOf(run)));
    if (unseen.length === 0) return false;
    for (const run of unseen) this.seen.add(keyOf(run));
    return this.content.add(this.entriesOf(unseen)).length > 0;
  }

  /** The first 1,000 entries by name; undefined if none is withdrawn. */
  get named(): readonly NamedWithdrawal[] | undefined {
    if (this.content.count === 0) return undefined;
    return [...this.content.entries]
      .sort(([a], [b]) => a - b)
      .slice(0, maxNames)
      .map(([index, reason]) => ({ name: at(this.manifest.entries, index).name, reason }));
  }

  private *entriesOf(runs: readonly WithdrawnRun[]): Generator<WithdrawnEntry> {
    const { entries } = this.manifest;
    let offsetBytes = 0;
    let index = 0;
    for (const { first, count, reason } of runs) {
      for (; index < first + count; index++) {
        const entry = at(entries, index);
        const sizeBytes = entry.kind === 'file' ? entry.sizeBytes : 0;
        if (index >= first) yield { index, reason, offsetBytes, sizeBytes };
        offsetBytes += sizeBytes;
      }
    }
  }
}

function keyOf({ first, count, reason }: WithdrawnRun): string {
  return `${first}+${count} ${reason}`;
}
