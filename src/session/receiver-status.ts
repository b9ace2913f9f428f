/** The status of one receiver, for users and programs. */
import { formatAddress } from '../base/address.js';
import { assert } from '../base/assert.js';
import type { TimeMs } from '../base/machine.js';
import { withoutUndefined } from '../base/without-undefined.js';
import type { SessionPeer } from '../transfer/peer.js';
import type { SessionReceiverOutcome, SessionReceiverStatus } from './sender-events.js';

/** @param isConfirmed whether the root digest for this receiver is known, so that it can verify */
export function statusOf(
  nowMs: TimeMs,
  peer: SessionPeer,
  contentSizeBytes: number,
  isConfirmed: boolean,
): SessionReceiverStatus {
  const { rttMs } = peer.rtt;
  const { missingBytes = contentSizeBytes } = peer;
  const heldBytes = Math.max(0, contentSizeBytes - missingBytes);
  const receivedBytes = peer.earlierBytes + peer.receivedBytes;
  return {
    receiver: peer.name,
    address: formatAddress(peer.address),
    ...withoutUndefined({ selfName: peer.selfName }),
    status: peer.status,
    activity: activityOf(peer, isConfirmed),
    ...withoutUndefined({ reason: peer.reason }),
    heldBytes,
    heldBeforeBytes: heldBefore(heldBytes, receivedBytes),
    receivedBytes,
    elapsedMs: Math.max(0, (peer.settledAtMs ?? nowMs) - (peer.startedAtMs ?? nowMs)),
    datagramsSent: peer.datagramsSent,
    repairs: peer.repairs,
    datagramsLost: peer.segmentsLost,
    lossRatio: lossRatioOf(peer.segmentsLost, peer.segmentsReceived),
    ...withoutUndefined({ rttMs }),
    usesGroup: peer.isMulticastReachable,
    ...peer.done,
  };
}

/** The status of a receiver that has its outcome. */
export function outcomeOf(
  nowMs: TimeMs,
  peer: SessionPeer,
  contentSizeBytes: number,
): SessionReceiverOutcome {
  assert(peer.isSettled, 'the receiver has its outcome');
  const status = statusOf(nowMs, peer, contentSizeBytes, true) as SessionReceiverOutcome;
  const { undeleted } = peer;
  const { deletedEntries, undeletedEntries } = status;
  const left = new Set(undeleted.flatMap(({ name }) => [name, `${name}/`]));
  const isKnown = undeletedEntries === undeleted.length;
  const deletedNames = isKnown ? peer.deletion.names.filter((name) => !left.has(name)) : [];
  return {
    ...status,
    ...(deletedEntries === 0 || deletedNames.length === 0 ? {} : { deletedNames }),
    ...(undeleted.length === 0 ? {} : { undeleted }),
  };
}

/**
 * Bytes that were held before the session. `heldBytes - receivedBytes` can be negative, because a block that
 * is received twice counts twice in `receivedBytes`.
 */
export function heldBefore(heldBytes: number, receivedBytes: number): number {
  return Math.max(0, heldBytes - receivedBytes);
}

/** @returns lost segments as a share of all segments sent, 0..1 */
export function lossRatioOf(lost: number, received: number): number {
  const sent = lost + received;
  return sent === 0 ? 0 : lost / sent;
}

function activityOf(peer: SessionPeer, isConfirmed: boolean): string {
  switch (peer.status) {
    case 'connecting':
      if (peer.deferral !== undefined) return 'waiting for its restart';
      if (peer.addresses.isRefused) return 'port refused, retrying';
      return peer.hasAnswered ? 'silent, retrying' : 'connecting';
    case 'identifying':
      return 'waiting for key approval';
    case 'active':
      if (peer.state === 'whole') return isConfirmed ? 'verifying' : 'waiting for the digest';
      return peer.state;
    default:
      return peer.status;
  }
}
