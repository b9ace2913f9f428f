/** The entries that a receiver would delete, as a result for users. */
import type { DeletionResult } from '../../object/content-store.js';
import { maxDeletionNames, shownName } from '../../object/deletion-names.js';
import type { Extra } from '../../wire/lists.js';

/** Describes what would be deleted, for a sender that only asks. */
export function describeDoomed(doomed: Iterable<Extra>): DeletionResult {
  const deletedNames: string[] = [];
  let deletedEntries = 0;
  for (const extra of doomed) {
    deletedEntries++;
    if (deletedEntries <= maxDeletionNames) deletedNames.push(shownName(extra));
  }
  return { deletedEntries, undeletedEntries: 0, deletedNames, undeleted: [] };
}
