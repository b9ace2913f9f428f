/** The status of one receiver, for users and programs. */
import { formatAddress } from '../../base/address.js';
import { assert } from '../../base/assert.js';
import type { TimeMs } from '../../base/machine.js';
import { withoutUndefined } from '../../base/without-undefined.js';
import { foldersAbove } from '../../object/entry-name.js';
import { heldBefore, lossRatioOf } from '../figures.js';
import type {
  PathStatus,
  SessionReceiverOutcome,
  SessionReceiverStatus,
} from '../sender-events.js';
import type { KeptPath } from './kept-path.js';
import type { SessionMember } from './member.js';

/** @param isConfirmed whether the root for this receiver is known, so that it can verify */
export function statusOf(
  nowMs: TimeMs,
  member: SessionMember,
  contentSizeBytes: number,
  isConfirmed: boolean,
): SessionReceiverStatus {
  const { demand, path } = member;
  const { rttMs } = path.rtt;
  const { missingBytes = contentSizeBytes, receivedBytes } = demand;
  const heldBytes = Math.max(0, contentSizeBytes - missingBytes);
  return {
    receiver: member.name,
    address: formatAddress(path.address),
    ...withoutUndefined({ selfName: member.selfName }),
    status: member.status,
    activity: activityOf(member, isConfirmed),
    ...withoutUndefined({ reason: member.reason }),
    heldBytes,
    heldBeforeBytes: heldBefore(heldBytes, receivedBytes),
    receivedBytes,
    elapsedMs: Math.max(0, (member.settledAtMs ?? nowMs) - (member.startedAtMs ?? nowMs)),
    datagramsSent: demand.datagramsSent,
    repairs: demand.repairs,
    ...lossOf(member),
    ...withoutUndefined({ rttMs }),
    usesGroup: path.isMulticastReachable,
    ...(member.paths.length > 0 && {
      paths: member.paths.map((each) => pathStatusOf(member, each)),
    }),
    ...member.done,
  };
}

/** The status of a receiver that has its outcome. */
export function outcomeOf(
  nowMs: TimeMs,
  member: SessionMember,
  contentSizeBytes: number,
): SessionReceiverOutcome {
  assert(member.isSettled, 'the receiver has its outcome');
  const status = statusOf(nowMs, member, contentSizeBytes, true) as SessionReceiverOutcome;
  const { undeleted } = member;
  const { deletedEntries, undeletedEntries } = status;
  // The folders around an entry stay with it.
  const left = new Set(
    undeleted.flatMap(({ name }) => [
      name,
      ...[name, ...foldersAbove(name)].map((each) => `${each}/`),
    ]),
  );
  const isKnown = undeletedEntries === undeleted.length;
  const deletedNames = isKnown ? member.deletion.names.filter((name) => !left.has(name)) : [];
  return {
    ...status,
    ...(deletedEntries === 0 || deletedNames.length === 0 ? {} : { deletedNames }),
    ...(undeleted.length === 0 ? {} : { undeleted }),
  };
}

/**
 * What a receiver counts as lost is what was sent again. With several paths, that includes what was in flight by a path
 * that fell silent. The loss is therefore the sum of the losses of the paths.
 */
function lossOf({
  demand,
  path,
  paths,
}: SessionMember): Pick<SessionReceiverStatus, 'datagramsLost' | 'lossRatio'> {
  // What arrives by multicast is sent by no path.
  if (paths.length === 0 || path.isMulticastReachable) {
    const { segmentsLost, segmentsReceived } = demand;
    return { datagramsLost: segmentsLost, lossRatio: lossRatioOf(segmentsLost, segmentsReceived) };
  }
  let over = 0;
  let lost = 0;
  for (const { path: each } of paths) {
    const { overCount } = each.sent;
    over += overCount;
    lost += Math.max(0, overCount - demand.arrivedOn(each.number));
  }
  return { datagramsLost: lost, lossRatio: lossRatioOf(lost, over - lost) };
}

function pathStatusOf({ demand }: SessionMember, { path, state }: KeptPath): PathStatus {
  const { number, model, mssBytes, from } = path;
  const { count, overCount } = path.sent;
  const arrived = demand.arrivedOn(number);
  const { rttMs } = path.rtt;
  return {
    number,
    address: formatAddress(path.address),
    ...withoutUndefined({ from }),
    state,
    isInUse: state === 'open' && path.isUsed,
    datagramsSent: count,
    datagramsReceived: arrived,
    receivedBytes: arrived * mssBytes,
    lossRatio: overCount === 0 ? 0 : Math.max(0, 1 - arrived / overCount),
    rateBytesPerSec: 1000 * mssBytes * model.latestRate,
    bestRateBytesPerSec: 1000 * mssBytes * path.sustainedRate,
    ...withoutUndefined({ rttMs }),
  };
}

function connectingActivity({ addresses, hasAnswered }: SessionMember): string {
  switch (addresses.refused) {
    case 'port-refused':
      return 'port refused, retrying';
    case 'unreachable':
      return 'unreachable, retrying';
    case undefined:
      return hasAnswered ? 'silent, retrying' : 'connecting';
  }
}

function activityOf(member: SessionMember, isConfirmed: boolean): string {
  switch (member.status) {
    case 'connecting':
      if (member.deferral !== undefined) return 'waiting for its restart';
      return connectingActivity(member);
    case 'identifying':
      return 'waiting for key approval';
    case 'active':
      if (member.demand.state === 'whole')
        return isConfirmed ? 'verifying' : 'waiting for its root';
      return member.demand.state;
    default:
      return member.status;
  }
}
