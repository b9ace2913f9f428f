/** How receivers of a session are named for people. */
import type { SessionReceiverStatus } from '../../../session/sender-events.js';

/** The name of a receiver, after those of the relays that it is behind. */
export function receiverName({
  via = [],
  receiver,
}: Pick<SessionReceiverStatus, 'via' | 'receiver'>): string {
  return [...via, receiver].join('/');
}
