/** Suggestions for misspelled words. */
import { closestMatch } from 'leven';

/** @returns the candidate that the user probably meant; undefined if none is similar */
export function findSimilar(word: string, candidates: Iterable<string>): string | undefined {
  const all = [...candidates];
  const lower = word.toLowerCase();
  // About one wrong letter in three, or two swapped letters.
  const letters = word.replace(/^-+/, '').length;
  const maxDistance = letters < 4 ? 1 : Math.max(2, Math.floor(letters / 3));
  const closest = closestMatch(lower, all, { maxDistance });
  if (closest !== undefined) return closest;
  const longer = all.filter((each) => lower.length >= 2 && each.toLowerCase().startsWith(lower));
  return longer.length === 1 ? longer[0] : undefined;
}

/** @returns `; did you mean X?`, or nothing if no candidate is similar */
export function didYouMean(word: string, candidates: Iterable<string>): string {
  const similar = findSimilar(word, candidates);
  return similar === undefined ? '' : `; did you mean ${similar}?`;
}
