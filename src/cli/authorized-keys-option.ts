/** The option of the file of authorized keys, which is reread while a command runs. */
import { join } from 'node:path';
import { AuthorizedKeys } from '../node/keys/authorized-keys.js';
import { defaultKeyFolder } from '../node/keys/key-files.js';
import { single, textOption } from './command.js';
import type { Output } from './output/output.js';

const rereadIntervalMs = 1000;

const defaultPath = join(defaultKeyFolder(), 'authorized_keys');

export const authorizedKeysOption = {
  'authorized-keys': {
    ...textOption,
    value: 'FILE',
    describe: 'File with the public keys of other hosts, one per line, with what each may do',
    defaultDescription: defaultPath,
  },
} as const;

interface Given {
  readonly 'authorized-keys': string | undefined;
}

export function authorizedPathOf({ 'authorized-keys': given }: Given): string {
  return given === undefined ? defaultPath : single('authorized-keys', given);
}

/**
 * Loads the file, and rereads it when it changes. If it becomes invalid, its last valid content stays in use.
 * @param command for messages: `p2mp receive`
 * @param mayBeMissing whether a missing file counts as empty
 * @throws P2mpError TRUST_FILE_BAD
 */
export async function loadAuthorizedKeys(
  argv: Given,
  output: Output,
  command: string,
  mayBeMissing = false,
): Promise<AuthorizedKeys> {
  const authorized = await AuthorizedKeys.load(authorizedPathOf(argv), mayBeMissing);
  let lastMessage: string | undefined;
  const timer = setInterval(async () => {
    const message = (await authorized.refresh())?.message;
    if (message !== undefined && message !== lastMessage) {
      output.warn(`${command}: ${message}; still using the previous list`);
    }
    lastMessage = message;
  }, rereadIntervalMs);
  timer.unref();
  return authorized;
}
