/**
 * The portable core: protocol, engine and simulator, without any Node or browser interface. The same state
 * machines run on real sockets, in virtual time and in a web page.
 */
export type { Address } from './base/address.js';
export { formatAddress } from './base/address.js';
export type { OddByteHalf } from './base/checksum.js';
export { internetChecksum, sameChecksum } from './base/checksum.js';
export type { ErrorCode } from './base/errors.js';
export { P2mpError } from './base/errors.js';
export type { Hash } from './base/hash.js';
export type { Machine, Shell, TimeMs, Transmit } from './base/machine.js';
export { datagramsOf, Runner, stoppedTimeMs } from './base/machine.js';
export type { Random } from './base/random.js';
export { createRandom } from './base/random.js';
export type { Range } from './base/range-set.js';
export type { Refusal, RefusalCode, RefusedEvent } from './base/refusal.js';
export type { RttLimits } from './base/rtt.js';
export { RttEstimator } from './base/rtt.js';
export { SegmentSet } from './base/segment-set.js';
export {
  defaultPort,
  maxDatagramSizeBytes,
  maxMssBytes,
  maxSegmentCount,
  maxWindowBlocks,
  receiverDefaults,
  senderDefaults,
  timeoutDefaults,
} from './classic/config.js';
export type {
  Diagnosis,
  DiagnosisEvent,
  DiagnosisKind,
} from './classic/diagnosis/packet-diagnosis.js';
export type { ReceiverEvent, TransferEnd, TransferResult } from './classic/receiver-events.js';
export type { ReceiverOptions } from './classic/receiver-options.js';
export type { Geometry } from './classic/segment.js';
export {
  blockOffsetBytes,
  blockSizeBytes,
  checkMss,
  createGeometry,
  firstSegment,
  segmentOffsetBytes,
  segmentSizeBytes,
  segmentsInBlock,
} from './classic/segment.js';
export type { ReceiverOutcome, SenderEvent, SenderResult } from './classic/sender-events.js';
export type { SenderOptions, TimeoutSpec } from './classic/sender-options.js';
export type { EndpointEvent, EndpointRoles } from './endpoint/endpoint.js';
export { Endpoint } from './endpoint/endpoint.js';
export type { StopAndWait } from './experiment/theory.js';
export {
  deviationOfDelayMs,
  meanDelayMs,
  meanRounds,
  varianceOfRounds,
} from './experiment/theory.js';
export type { GilbertElliottSpec, LossModel, LossSpec } from './loss.js';
export { burstLoss, createLossModel, meanLoss } from './loss.js';
export type { DeletionResult } from './object/content-store.js';
export { DigestTree } from './object/digest-tree.js';
export type { NameFault, Platform } from './object/entry-name.js';
export type { NodeGroup } from './object/leaf-digests.js';
export { LeafDigests } from './object/leaf-digests.js';
export type {
  Entry,
  FileEntry,
  FolderEntry,
  LinkEntry,
  Manifest,
  ManifestFault,
  RefusedManifest,
} from './object/manifest.js';
export { createManifest, decodeManifest, encodeManifest } from './object/manifest.js';
export type { WithdrawnEntry } from './object/withdrawn-content.js';
export type {
  AckPacket,
  DataPacket,
  DecodeFault,
  EndPacket,
  Packet,
  PayloadCheck,
} from './packet.js';
export {
  abortMark,
  checkPayload,
  copyHeader,
  decode,
  describe,
  encodeAbort,
  encodeAbortAck,
  encodeAck,
  encodeData,
  encodeIdentify,
  encodeIdentifyAck,
  fieldOffset,
  headerSizeBytes,
  identifyMark,
  isAbortMarker,
  isIdentifyMarker,
  packetType,
} from './packet.js';
export type { OtherAddressEvent } from './path/candidate-addresses.js';
export { RateLimit } from './path/pacer.js';
export type { PathEnds } from './path/path.js';
export { Receiver } from './receiver.js';
export type {
  Handshake,
  HashInProgress,
  OpenedEnvelope,
  SessionCrypto,
} from './security/crypto.js';
export type { InvitationTerms, ReceivedInvitation } from './security/invitations.js';
export { Sender } from './sender.js';
export type { AskListenerOptions } from './session/asks/ask-listener.js';
export { AskListener } from './session/asks/ask-listener.js';
export { Asker } from './session/asks/asker.js';
export type { AskerEvent } from './session/asks/asker-events.js';
export type { AskerOptions } from './session/asks/asker-options.js';
export type { AskListenerEvent, AskRefusalCause } from './session/asks/listener-events.js';
export type { AskSpec } from './session/asks/outgoing-ask.js';
export type { PathState } from './session/outgoing/kept-path.js';
export type { SessionMemberStatus, SessionOutcomeStatus } from './session/outgoing/member.js';
export { SessionReceiver } from './session/receiver.js';
export type {
  IncomingInfo,
  IncomingPathStatus,
  IncomingResult,
  IncomingStatus,
  InternalErrorEvent,
  InvitedEvent,
  InvitedRelayEvent,
  NamedWithdrawal,
  SessionReceiverEvent,
  SessionReceiverResult,
  SourceEvent,
  TurnedAwayEvent,
} from './session/receiver-events.js';
export type { SessionReceiverOptions } from './session/receiver-options.js';
export { SessionSender } from './session/sender.js';
export type {
  PathStatus,
  SessionReceiverOutcome,
  SessionReceiverStatus,
  SessionSenderEvent,
  SessionSenderResult,
} from './session/sender-events.js';
export type { SessionSenderOptions } from './session/sender-options.js';
export type {
  AnyRole,
  HostFault,
  HostNetwork,
  HostOptions,
  HostRunner,
  HostShell,
  Role,
} from './simulator/host.js';
export { SimulatedHost } from './simulator/host.js';
export type { Deliver, LinkCounts, LinkFate, LinkOptions } from './simulator/link.js';
export { Link } from './simulator/link.js';
export { simulateSession } from './simulator/session-transfer.js';
export type {
  LostFile,
  SessionIncident,
  SettledReceiver,
  SimulatedPath,
  SimulatedReceiverOptions,
  SimulatedSessionOptions,
  SimulatedSessionReceiver,
  SimulatedSessionResult,
} from './simulator/session-transfer-options.js';
export type { Passing, SimulationOptions } from './simulator/simulation.js';
export { Simulation } from './simulator/simulation.js';
export type { TraceRecord } from './simulator/trace.js';
export { formatTraceLine } from './simulator/trace.js';
export type {
  SimulatedReceiverResult,
  SimulatedTransferOptions,
  SimulatedTransferResult,
} from './simulator/transfer.js';
export { createContent, receiverSeed, simulateTransfer } from './simulator/transfer.js';
export type { ReceiverSpec } from './transfer/receiver-spec.js';
export type { Ask, AskedObject, List, ListedObject, ListRequest, Preparing } from './wire/asks.js';
export { compareNames, fillPage } from './wire/asks.js';
export type { EnvelopeQuestion, EnvelopeRequest } from './wire/envelope-request.js';
export type { ExchangeEcho, ExchangeMessage } from './wire/exchange.js';
export type { FaultCounts, FaultEvent, FaultKind } from './wire/faults.js';
export type {
  BlockPacket,
  ChannelPacket,
  ProbePacket,
  SessionDecodeFault,
  SessionPacket,
} from './wire/header.js';
export {
  decodeSession,
  describeSession,
  encodeChannelPacket,
  isSessionDatagram,
  protocolVersion,
  sessionField,
  sessionHeaderSizeBytes,
  sessionKind,
  sessionType,
} from './wire/header.js';
export type { Extra, Extras, Kept, Noted, Undeleted, UndeletedCause } from './wire/lists.js';
export type {
  Accept,
  Bye,
  Done,
  Message,
  Poll,
  Refuse,
  ReportMessage,
  Root,
} from './wire/messages.js';
export { decodeMessage, encodeMessage } from './wire/messages.js';
export type { Deletion, ExistingFiles, Offer } from './wire/offer.js';
export type { AddressChange, AddressesNoted, PathChallenge, PathResponse } from './wire/paths.js';
export type {
  Behind,
  BehindNoted,
  BehindState,
  EnvelopeMessage,
  Relayed,
} from './wire/relayed.js';
export type { Gap, ReceiverState, Report } from './wire/report.js';
export type { Nodes, NodesRequest, TreeName } from './wire/tree-nodes.js';
export type { WithdrawalReason, Withdrawn, WithdrawnRun } from './wire/withdrawn.js';
export { withdrawalReasons } from './wire/withdrawn.js';
