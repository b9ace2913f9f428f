/**
 * p2mp for Node: the portable core, P2MP-FTP and sessions over real sockets. `tsc` without `skipLibCheck` needs
 * `@types/node`.
 */
export * from './core.js';
export type { AnnouncedReceiver } from './discovery/receiver-search.js';
export type { Announcement, AnnounceOptions } from './node/announce-receiver.js';
export { announceReceiver } from './node/announce-receiver.js';
export type { ExclusionOptions } from './node/disk/source/exclusions.js';
export type { SkippedEntry } from './node/disk/source/walk-entries.js';
export type {
  CoordinateExchangeEvent,
  CoordinateExchangeOptions,
  CoordinateExchangeResult,
  ExchangePeerStatus,
  LinkRates,
  PeerPresence,
} from './node/exchange/coordinate-options.js';
export type { Coordinating } from './node/exchange/coordinating.js';
export { coordinateExchange, joinExchange } from './node/exchange/exchange.js';
export type {
  ExchangeFile,
  ExchangeObject,
  ExchangeObjectStatus,
  JoinExchangeEvent,
  JoinExchangeOptions,
  JoinExchangeResult,
} from './node/exchange/join-options.js';
export type { FetchEvent, FetchFilesOptions } from './node/fetch/fetch-options.js';
export type { Fetching } from './node/fetch/fetching.js';
export { fetch, startFetch } from './node/fetch.js';
export type {
  FileReceiverEvent,
  FileTransferResult,
  ReceiveFileOptions,
} from './node/file-receiver.js';
export { FileReceiver } from './node/file-receiver.js';
export type { FileSenderEvent, SendFileOptions, SendFileResult } from './node/file-sender.js';
export { sendFile } from './node/file-sender.js';
export type { FindReceiversOptions, FoundReceivers } from './node/find-receivers.js';
export { findReceivers } from './node/find-receivers.js';
export type { AuthorizedKey, Right } from './node/keys/authorized-keys.js';
export { AuthorizedKeys, formatAuthorizedKey, rights } from './node/keys/authorized-keys.js';
export { parseInvitation } from './node/keys/invitation-code.js';
export type { KeyPair, PublicKeyLine, SaveOptions } from './node/keys/key-files.js';
export {
  defaultKeyFolder,
  fingerprint,
  formatPublicKey,
  generateKeyPair,
  loadKeyPair,
  parsePublicKey,
  saveKeyPair,
} from './node/keys/key-files.js';
export type { ReceiverCheck } from './node/keys/known-receivers.js';
export { KnownReceivers } from './node/keys/known-receivers.js';
export { createNodeCrypto } from './node/keys/node-crypto.js';
export type { AskAboutReceivers, TrustKnownOptions, UnknownReceiver } from './node/keys/trust.js';
export {
  trustAuthorizedClients,
  trustAuthorizedPeers,
  trustAuthorizedRelays,
  trustAuthorizedSenders,
  trustKnownReceivers,
} from './node/keys/trust.js';
export type { TrustAnswer } from './node/keys/trust-answer.js';
export type { MulticastChoice } from './node/net/groups/group-address.js';
export type { Offload } from './node/net/offload/offload-socket.js';
export type { NetworkPaths } from './node/net/paths/local-paths.js';
export type { FoundReceiver, ServerSpec } from './node/net/resolve-receivers.js';
export type { CompleteSession, ReceivingTotals } from './node/receive/receiving-totals.js';
export { Receiving, receive } from './node/receive.js';
export type { ReceiveEvent, ReceiveOptions } from './node/receive-options.js';
export { relay } from './node/relay/relay.js';
export type { RelayFilesEvent, RelayFilesOptions } from './node/relay/relay-options.js';
export type { Relaying } from './node/relay/relaying.js';
export type { SendOnEvent, SendOnOptions } from './node/relay/send-on-options.js';
export type { SendingOn } from './node/relay/sending-on.js';
export { planSend, send } from './node/send.js';
export type {
  PlanOptions,
  SendEvent,
  SendOptions,
  SendResult,
  TrustReceiver,
} from './node/send-options.js';
export type { IndexProgress } from './node/serve/object-catalogue.js';
export type {
  ClientOutcome,
  ClientStatus,
  OfferedPathStatus,
  ServedClient,
  ServeEvent,
  ServeOptions,
} from './node/serve/serve-options.js';
export type { Serving, ServingTotals } from './node/serve/serving.js';
export { serve } from './node/serve.js';
export type {
  FetchReport,
  FetchSegment,
  ReplacedReason,
  SourceIndex,
  SourceReport,
  SourceState,
} from './roles/fetch/fetch-events.js';
export type {
  ContentGroup,
  DeferredEvent,
  FetchActivity,
  FetchedInfo,
  FetchResult,
  FetchRoleEvent,
  GroupEvent,
  SharedEvent,
} from './roles/fetch/fetch-result.js';
export type { CacheCounts } from './roles/relay/cached-objects.js';
export type { CachedObject } from './roles/relay/object-cache.js';
export type { RelayedInfo, RelayReport, RelayTotals } from './roles/relay/relay-events.js';
export type { AnnouncedRole } from './wire/discovery.js';
