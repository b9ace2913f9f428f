/** p2mp for Node: the portable core, P2MP-FTP and sessions over real sockets. */
export * from './core.js';
export type {
  FileReceiverEvent,
  FileTransferResult,
  ReceiveFileOptions,
} from './node/file-receiver.js';
export { FileReceiver } from './node/file-receiver.js';
export type { FileSenderEvent, SendFileOptions, SendFileResult } from './node/file-sender.js';
export { sendFile } from './node/file-sender.js';
export type { ServerSpec } from './node/resolve-receivers.js';
export { AuthorizedSenders } from './node/session/authorized-senders.js';
export type { MulticastChoice } from './node/session/group-address.js';
export type { KeyPair } from './node/session/key-files.js';
export {
  defaultKeyFolder,
  fingerprint,
  formatPublicKey,
  generateKeyPair,
  loadKeyPair,
  parsePublicKey,
  saveKeyPair,
} from './node/session/key-files.js';
export { KnownReceivers } from './node/session/known-receivers.js';
export type { ReceiveEvent, ReceiveOptions, ReceivingTotals } from './node/session/receive.js';
export { Receiving, receive } from './node/session/receive.js';
export { planSend, send } from './node/session/send.js';
export type {
  SendEvent,
  SendOptions,
  SendResult,
  TrustReceiver,
} from './node/session/send-options.js';
export type { AskAboutReceiver } from './node/session/trust.js';
export { refuseUnlessAuthorized, trustKnownReceivers } from './node/session/trust.js';
