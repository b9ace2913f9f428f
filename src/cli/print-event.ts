/** What both commands tell of odd datagrams and of datagrams that were not sent. */
import type { FaultEvent } from '../faults.js';
import type { Output } from './output.js';

export interface SendErrorEvent {
  readonly type: 'send-error';
  readonly message: string;
}

export function printOddity(
  output: Output,
  event: FaultEvent | SendErrorEvent,
  isVerbose: boolean,
): void {
  const { type, ...fields } = event;
  output.json({ event: type, ...fields });
  if (output.isJson) return;
  if (event.type === 'send-error') output.warn(`not sent: ${event.message}`);
  else if (isVerbose) output.detail(`${event.kind} from ${event.from}: ${event.packet}`);
}
