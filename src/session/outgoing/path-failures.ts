/** The reasons to give if datagrams, or those of full size, do not reach a receiver (SESSIONS 3.11, 5.6). */
import { narrowPathAnswers } from '../../security/handshake.js';
import type { SessionMember } from './member.js';

/** Command that should be running on a receiver's host. */
export const receiverProgram = 'p2mp receive';

export function narrowPathReason({ name, path }: SessionMember): string {
  return `the path to ${name} silently drops datagrams of ${path.datagramSizeBytes} bytes, although small ones arrive; send again with --mss auto or a smaller MSS`;
}

/**
 * Names two possible causes. A smaller path MTU is not the only explanation, because a full-size hello
 * arrived earlier.
 */
export function unreachedReason({ name, path }: SessionMember, unreachedMs: number): string {
  return `no data has reached ${name} for ${unreachedMs / 1000} s, although control messages have: a filter drops data, or the path MTU fell below ${path.datagramSizeBytes} bytes; check firewalls and --mss, then send again`;
}

/** Why a receiver fails from which nothing has arrived for this long. */
export function silenceReason(member: SessionMember, silentMs: number): string {
  const seconds = silentMs / 1000;
  if (member.isAsker) return `has not responded for ${seconds} s; it may ask again`;
  const refusal = member.addresses.describeRefusal(receiverProgram);
  if (member.deferral !== undefined) {
    return refusal === undefined
      ? member.deferral.reason
      : `${member.deferral.reason}; now ${refusal}`;
  }
  if (member.otherVersion !== undefined) {
    return `uses protocol version ${member.otherVersion}; install the same release on both sides`;
  }
  const smallAnswers = member.handshake?.smallAnswers ?? 0;
  if (smallAnswers >= narrowPathAnswers.suspected) return narrowPathReason(member);
  if (refusal !== undefined) {
    return member.hasAnswered ? `has not responded for ${seconds} s; now ${refusal}` : refusal;
  }
  if (member.hasAnswered) return `has not responded for ${seconds} s; send again once it is back`;
  const { port } = member.address;
  return `no answer${member.addresses.describe()} for ${seconds} s; is ${receiverProgram} running there, and does a firewall let UDP port ${port} through?`;
}
