/**
 * The portable core: protocol, engine and simulator, without any Node or browser interface. The
 * same machines run on real sockets, in virtual time and in a web page.
 */
export * from './address.js';
export * from './checksum.js';
export * from './config.js';
export * from './errors.js';
export type { FaultCounts, FaultEvent, FaultKind } from './faults.js';
export * from './loss.js';
export * from './machine.js';
export * from './packet.js';
export type { Diagnosis, DiagnosisEvent, DiagnosisKind } from './packet-diagnosis.js';
export type { Random } from './random.js';
export { createRandom } from './random.js';
export * from './receiver.js';
export * from './receiver-events.js';
export type { ReceiverSpec } from './receiver-spec.js';
export * from './rtt.js';
export * from './segment.js';
export * from './sender.js';
export * from './sender-events.js';
export type { SenderOptions, TimeoutSpec } from './sender-options.js';
export type { Handshake, SessionCrypto } from './session/crypto.js';
export * from './session/incoming-events.js';
export type { Entry, FileEntry, FolderEntry, LinkEntry, Manifest } from './session/manifest.js';
export { createManifest, decodeManifest, encodeManifest } from './session/manifest.js';
export type { ExistingFiles } from './session/messages.js';
export * from './session/session-events.js';
export type { SessionReceiverOptions } from './session/session-receiver.js';
export { SessionReceiver } from './session/session-receiver.js';
export { SessionSender } from './session/session-sender.js';
export type { SessionSenderOptions } from './session/session-sender-options.js';
export * from './simulator/link.js';
export * from './simulator/session-transfer.js';
export * from './simulator/simulation.js';
export * from './simulator/trace.js';
export * from './simulator/transfer.js';
export * from './theory.js';
