/** p2mp for Node: the portable core, and the file transfer over real sockets. */
export * from './core.js';
export type {
  FileReceiverEvent,
  FileTransferResult,
  ReceiveFileOptions,
} from './node/file-receiver.js';
export { FileReceiver } from './node/file-receiver.js';
export type {
  FileSenderEvent,
  SendFileOptions,
  SendFileResult,
  ServerSpec,
} from './node/file-sender.js';
export { sendFile } from './node/file-sender.js';
