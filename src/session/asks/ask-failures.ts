/** Why an ask fails. */
import { formatAddress } from '../../base/address.js';
import type { OutgoingAsk } from './outgoing-ask.js';

/** Command that should be running on the asked host. */
export function askedProgram(ask: OutgoingAsk): string {
  return ask.spec.isExchange ? 'p2mp exchange coordinate' : 'p2mp serve';
}

export function noAnswerReason(ask: OutgoingAsk, silentMs: number): string {
  const seconds = silentMs / 1000;
  if (ask.otherVersion !== undefined) {
    return `uses protocol version ${ask.otherVersion}; install the same release on both sides`;
  }
  if (ask.deferredAtMs !== undefined) return `has put off the answer for ${seconds} s`;
  if (ask.isHeard) return `has not responded for ${seconds} s`;
  const refusal = ask.path.addresses.describeRefusal(askedProgram(ask));
  if (refusal !== undefined) return refusal;
  const { port } = ask.address;
  return `no answer${ask.path.addresses.describe()} for ${seconds} s; is ${askedProgram(ask)} running there, and does a firewall let UDP port ${port} through?`;
}

export function narrowPathReason({ path }: OutgoingAsk): string {
  return `the path to ${formatAddress(path.address)} silently drops datagrams of ${path.datagramSizeBytes} bytes, although small ones arrive`;
}
