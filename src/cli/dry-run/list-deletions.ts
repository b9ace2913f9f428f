/** `p2mp send --delete --dry-run`: asks the receivers what they would delete. */
import { Readable } from 'node:stream';
import { escapeControls } from '../../base/control-characters.js';
import { formatPlural } from '../../base/format.js';
import { send } from '../../node/send.js';
import type { SendEvent, SendOptions, SendResult } from '../../node/send-options.js';
import type { SessionReceiverOutcome } from '../../session/sender-events.js';
import type { Output } from '../output/output.js';
import type { SendOutput } from '../output/send-output.js';

/**
 * @param options those of the dry run, which has read standard input already
 * @returns undefined if the signal has aborted
 */
export async function listDeletions(
  output: Output,
  options: SendOptions,
  events: SendOutput,
): Promise<SendResult | undefined> {
  const onEvent = (event: SendEvent): void => {
    if (isShown(event, output.isJson)) events.handleEvent(event);
  };
  try {
    return await send({ ...options, input: Readable.from([]), onEvent });
  } catch (error) {
    if (options.signal?.aborted === true && error === options.signal.reason) return undefined;
    throw error;
  }
}

/** The dry run has shown what would be sent, and its result says what would be deleted. */
function isShown(event: SendEvent, isJson: boolean): boolean {
  switch (event.type) {
    case 'receiver':
      return event.outcome.status !== 'complete' && !isJson;
    case 'other-address':
    case 'port-refused':
    case 'unreachable':
    case 'silent':
    case 'deferred':
    case 'fault':
    case 'send-error':
      return true;
    default:
      return false;
  }
}

/** Prints the names once for all receivers that would delete the same entries. */
export function printDeletions(output: Output, { receivers }: SendResult): void {
  const groups = new Map<string, SessionReceiverOutcome[]>();
  for (const outcome of receivers) {
    if (outcome.status !== 'complete') continue;
    const key = JSON.stringify([outcome.deletedEntries, outcome.deletedNames]);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [outcome]);
    else group.push(outcome);
  }
  for (const group of groups.values()) {
    const [{ deletedEntries = 0, deletedNames = [] } = {}] = group;
    const who = group.map(({ receiver }) => receiver).join(', ');
    const what =
      deletedEntries === 0 ? 'nothing' : `${formatPlural(deletedEntries, 'entry', 'entries')}:`;
    output.line(`${who} would delete ${what}`);
    for (const name of deletedNames) output.line(`  ${escapeControls(name)}`);
    const restCount = deletedEntries - deletedNames.length;
    if (restCount > 0) output.line(`  and ${formatPlural(restCount, 'more', 'more')}`);
  }
}
