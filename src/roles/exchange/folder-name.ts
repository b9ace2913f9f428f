/** Peers keep what others bring in folders that are called like these peers. */
import { checkEntryName } from '../../object/entry-name.js';

/** Whether a folder can have this name, on any platform. */
export function isFolderName(name: string): boolean {
  return !name.includes('/') && checkEntryName(name, 'windows') === undefined;
}
