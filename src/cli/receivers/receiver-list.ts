/** Parses the receivers on a command line: `host[:port],...`, or `@file` with one receiver per line. */
import { P2mpError } from '../../base/errors.js';
import type { ServerSpec } from '../../node/net/resolve-receivers.js';
import { parseServer } from '../arguments.js';
import { readListFile } from '../list-file.js';

/** @throws P2mpError INVALID_ARGUMENT, SOURCE_UNREADABLE */
export async function parseReceivers(
  texts: readonly string[],
  commonPort: number,
  option: '--to' | '--from' | '--upstream' = '--to',
): Promise<ServerSpec[]> {
  const receivers: ServerSpec[] = [];
  for (const text of texts.flatMap((each) => each.split(','))) {
    const item = text.trim();
    if (item.startsWith('@')) {
      receivers.push(
        ...(await readListFile(item.slice(1), (each) => parseServer(each, commonPort))),
      );
    } else if (item !== '') receivers.push(parseReceiver(item, commonPort, option));
  }
  if (receivers.length > 0) return receivers;
  throw new P2mpError(
    'INVALID_ARGUMENT',
    `${option}: no ${nounOf(option)}; name at least one as host[:port] or list them in @file`,
  );
}

function nounOf(option: '--to' | '--from' | '--upstream'): string {
  return option === '--to' ? 'receiver' : 'source';
}

function parseReceiver(
  item: string,
  commonPort: number,
  option: '--to' | '--from' | '--upstream',
): ServerSpec {
  const words = item.split(/[\s;]+/).filter((word) => word !== '');
  if (words.length > 1) {
    throw new P2mpError(
      'INVALID_ARGUMENT',
      `${option} ${item}: separate ${nounOf(option)}s by commas: ${option} ${words.join(',')}`,
    );
  }
  return parseServer(item, commonPort);
}

/**
 * Detects receivers that are separated by spaces instead of commas: words after the value of `--to` that do
 * not name existing files.
 * @param args the raw command line
 * @throws P2mpError INVALID_ARGUMENT
 */
export function checkSeparation(args: readonly string[], isFile: (path: string) => boolean): void {
  args.forEach((arg, i) => {
    const value = arg === '--to' ? args[i + 1] : /^--to=(.*)$/s.exec(arg)?.[1];
    if (value === undefined) return;
    const words: string[] = [];
    for (const word of args.slice(arg === '--to' ? i + 2 : i + 1)) {
      if (word.startsWith('-') || isFile(word)) break;
      words.push(word);
    }
    const [first] = words;
    if (first === undefined) return;
    const all = [value, ...words].map((word) => word.replace(/^,|,$/g, '')).join(',');
    throw new P2mpError(
      'INVALID_ARGUMENT',
      `${first}: no such file; if it is a receiver, separate receivers by commas: --to ${all}`,
    );
  });
}
