/** The fields of `--json` that say how much of a session's content has arrived at one receiver, and how. */
import { withoutUndefined } from '../../../base/without-undefined.js';
import type { IncomingStatus } from '../../../session/receiver-events.js';
import type { SessionReceiverStatus } from '../../../session/sender-events.js';

type Status = SessionReceiverStatus | IncomingStatus;

/** @param datagrams data datagrams sent to the receiver, or arrived at it */
export function arrivalJson(status: Status, datagrams: number) {
  const { heldBytes, heldBeforeBytes } = status;
  return { heldBytes, heldBeforeBytes, ...deliveryJson(status, datagrams) };
}

/** Without what the receiver holds, which one of several sources does not know. */
export function deliveryJson(
  status: Omit<Status, 'heldBytes' | 'heldBeforeBytes'>,
  datagrams: number,
) {
  return {
    receivedBytes: status.receivedBytes,
    seconds: status.elapsedMs / 1000,
    loss: status.lossRatio,
    lost: status.datagramsLost,
    datagrams,
    ...withoutUndefined({ rttMs: status.rttMs }),
    multicast: status.usesGroup,
    unchanged: status.unchangedFiles,
    deleted: status.deletedEntries,
    undeleted: status.undeletedEntries,
  };
}
