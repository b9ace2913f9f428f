/**
 * The portable core: protocol, engine and simulator, without any Node or browser interface. The
 * same machines run on real sockets, in virtual time and in a web page.
 */
export * from './base/address.js';
export * from './base/checksum.js';
export * from './base/errors.js';
export * from './base/machine.js';
export type { Random } from './base/random.js';
export { createRandom } from './base/random.js';
export * from './base/rtt.js';
export * from './classic/config.js';
export type { Diagnosis, DiagnosisEvent, DiagnosisKind } from './classic/packet-diagnosis.js';
export * from './classic/receiver-events.js';
export * from './classic/segment.js';
export * from './classic/sender-events.js';
export type { SenderOptions, TimeoutSpec } from './classic/sender-options.js';
export * from './experiment/theory.js';
export * from './loss.js';
export type { Entry, FileEntry, FolderEntry, LinkEntry, Manifest } from './object/manifest.js';
export { createManifest, decodeManifest, encodeManifest } from './object/manifest.js';
export * from './packet.js';
export * from './receiver.js';
export type { Handshake, SessionCrypto } from './security/crypto.js';
export * from './sender.js';
export type { SessionReceiverOptions } from './session/receiver.js';
export { SessionReceiver } from './session/receiver.js';
export * from './session/receiver-events.js';
export { SessionSender } from './session/sender.js';
export * from './session/sender-events.js';
export type { SessionSenderOptions } from './session/sender-options.js';
export * from './simulator/link.js';
export * from './simulator/session-transfer.js';
export * from './simulator/simulation.js';
export * from './simulator/trace.js';
export * from './simulator/transfer.js';
export type { ReceiverSpec } from './transfer/receiver-spec.js';
export type { FaultCounts, FaultEvent, FaultKind } from './wire/faults.js';
export type { ExistingFiles } from './wire/messages.js';
