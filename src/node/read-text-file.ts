/** Reads a text file that a user has named. */
import { readFile } from 'node:fs/promises';
import { fileError } from './system-error.js';

/** @throws P2mpError SOURCE_UNREADABLE */
export async function readTextFile(path: string): Promise<string> {
  return readFile(path, 'utf8').catch((error: unknown) => {
    throw fileError('SOURCE_UNREADABLE', path, error);
  });
}
