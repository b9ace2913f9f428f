/** Reads the files that list options take as `@file`: one item on each line; blank lines and `#` comments do not count. */
import { P2mpError } from '../base/errors.js';
import { readTextFile } from '../node/read-text-file.js';

/**
 * @param parse reads one item; its errors are thrown with the place in the file
 * @throws P2mpError SOURCE_UNREADABLE, or the error of `parse`
 */
export async function readListFile<T>(path: string, parse: (item: string) => T): Promise<T[]> {
  const text = await readTextFile(path);
  return text.split(/\r?\n/).flatMap((line, i) => {
    const item = line.replace(/#.*/, '').trim();
    return item === '' ? [] : [parseAt(`${path}:${i + 1}`, item, parse)];
  });
}

function parseAt<T>(place: string, item: string, parse: (item: string) => T): T {
  try {
    return parse(item);
  } catch (error) {
    if (!(error instanceof P2mpError)) throw error;
    throw new P2mpError(error.code, `${place}: ${error.message}`);
  }
}
