/** The targets of the fuzzer, by name. */
import { fuzzAsker, fuzzAskListener } from './fuzz-asks.js';
import { fuzzClassicReceiver } from './fuzz-classic-receiver.js';
import { fuzzClassicSender } from './fuzz-classic-sender.js';
import {
  fuzzClassicPacket,
  fuzzEntryName,
  fuzzManifest,
  fuzzMessage,
  fuzzPlan,
  fuzzPublicKey,
  fuzzSegmentBatch,
  fuzzSessionPacket,
} from './fuzz-decoders.js';
import { fuzzDiscovery } from './fuzz-discovery.js';
import { fuzzEnvelope } from './fuzz-envelopes.js';
import { fuzzExchange } from './fuzz-exchange.js';
import {
  fuzzAuthorizedKeys,
  fuzzJournal,
  fuzzKnownReceivers,
  fuzzPrivateKey,
} from './fuzz-files.js';
import { fuzzHandshake } from './fuzz-handshake.js';
import { fuzzSessionReceiver } from './fuzz-session-receiver.js';
import { fuzzSessionSender } from './fuzz-session-sender.js';
import { fuzzBesideSession, fuzzBesideTransfer } from './fuzz-transfers.js';
import { Tape } from './tape.js';
import type { Outcome } from './watch.js';

export interface Target {
  readonly name: string;
  /** The unit of the count: a machine gets several datagrams from each tape. */
  readonly run: (tape: Tape) => number | Outcome | Promise<number>;
  /** The share of this target in a run of all targets. */
  readonly share: number;
}

export const targets: readonly Target[] = [
  { name: 'session-receiver', run: fuzzSessionReceiver, share: 0.27 },
  { name: 'session-sender', run: fuzzSessionSender, share: 0.24 },
  { name: 'ask-listener', run: fuzzAskListener, share: 0.06 },
  { name: 'asker', run: fuzzAsker, share: 0.06 },
  { name: 'classic-receiver', run: fuzzClassicReceiver, share: 0.08 },
  { name: 'classic-sender', run: fuzzClassicSender, share: 0.08 },
  { name: 'session-transfer', run: fuzzBesideSession, share: 0.005 },
  { name: 'classic-transfer', run: fuzzBesideTransfer, share: 0.005 },
  { name: 'session-packet', run: fuzzSessionPacket, share: 0.03 },
  { name: 'classic-packet', run: fuzzClassicPacket, share: 0.03 },
  { name: 'segment-batch', run: fuzzSegmentBatch, share: 0.03 },
  { name: 'message', run: fuzzMessage, share: 0.04 },
  { name: 'exchange', run: fuzzExchange, share: 0.02 },
  { name: 'envelope', run: fuzzEnvelope, share: 0.01 },
  { name: 'manifest', run: fuzzManifest, share: 0.01 },
  { name: 'entry-name', run: fuzzEntryName, share: 0.01 },
  { name: 'discovery', run: fuzzDiscovery, share: 0.01 },
  { name: 'public-key', run: fuzzPublicKey, share: 0.01 },
  { name: 'handshake', run: fuzzHandshake, share: 0.002 },
  { name: 'plan', run: fuzzPlan, share: 0.001 },
  { name: 'journal', run: fuzzJournal, share: 0.001 },
  { name: 'authorized-keys', run: fuzzAuthorizedKeys, share: 0.001 },
  { name: 'known-receivers', run: fuzzKnownReceivers, share: 0.001 },
  { name: 'private-key', run: fuzzPrivateKey, share: 0.001 },
];

export function targetOf(name: string): Target | undefined {
  return targets.find((target) => target.name === name);
}

/** The effect of an input, without files. */
export async function runInput(target: Target, bytes: Uint8Array): Promise<Outcome> {
  const made = target.run(new Tape(bytes));
  const outcome = made instanceof Promise ? await made : made;
  return typeof outcome === 'number' ? { datagrams: outcome, digest: 0, seen: {} } : outcome;
}
