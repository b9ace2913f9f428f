/** Receivers as the command line names them: `host[:port],...` and `@file` with one per line. */
import { readFile } from 'node:fs/promises';
import { P2mpError } from '../errors.js';
import type { ServerSpec } from '../node/resolve-receivers.js';
import { fileError } from '../node/system-error.js';
import { parseServer } from './arguments.js';

/** @throws P2mpError INVALID_ARGUMENT, SOURCE_UNREADABLE */
export async function parseReceivers(
  texts: readonly string[],
  commonPort: number,
): Promise<ServerSpec[]> {
  const receivers: ServerSpec[] = [];
  for (const text of texts.flatMap((each) => each.split(','))) {
    const item = text.trim();
    if (item.startsWith('@')) receivers.push(...(await readHosts(item.slice(1), commonPort)));
    else if (item !== '') receivers.push(parseServer(item, commonPort));
  }
  if (receivers.length > 0) return receivers;
  throw new P2mpError('INVALID_ARGUMENT', '--to: names no receiver; give host[:port],... or @file');
}

/** One receiver per line; blank lines and what follows a `#` do not count. */
async function readHosts(path: string, commonPort: number): Promise<ServerSpec[]> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    throw fileError('SOURCE_UNREADABLE', path, error);
  }
  const receivers: ServerSpec[] = [];
  text.split(/\r?\n/).forEach((line, i) => {
    const item = line.replace(/#.*/, '').trim();
    if (item === '') return;
    try {
      receivers.push(parseServer(item, commonPort));
    } catch (error) {
      if (!(error instanceof P2mpError)) throw error;
      throw new P2mpError(error.code, `${path}:${i + 1}: ${error.message}`);
    }
  });
  return receivers;
}
