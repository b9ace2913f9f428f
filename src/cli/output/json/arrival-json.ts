/** The fields of `--json` that say how much of a session's content has arrived at one receiver, and how. */
import { withoutUndefined } from '../../../base/without-undefined.js';
import type { IncomingStatus } from '../../../session/receiver-events.js';
import type { SessionReceiverStatus } from '../../../session/sender-events.js';

/** @param datagrams data datagrams sent to the receiver, or arrived at it */
export function arrivalJson(status: SessionReceiverStatus | IncomingStatus, datagrams: number) {
  return {
    heldBytes: status.heldBytes,
    heldBeforeBytes: status.heldBeforeBytes,
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
