/** Relays files and folders: of other servers to clients that fetch them, or of senders to receivers. */
import { checkOptions } from '../../base/options/check-options.js';
import { type RelayFilesOptions, relayChecks } from './relay-options.js';
import { Relaying } from './relaying.js';
import { type SendOnOptions, sendOnChecks } from './send-on-options.js';
import { SendingOn } from './sending-on.js';

/**
 * Offers what other servers offer, until the signal aborts or `close` is called. What clients fetch is kept in a cache,
 * and passed on while it arrives. Events report upstream servers that do not answer, or whose names are unknown.
 * @throws P2mpError INVALID_ARGUMENT, TARGET_UNWRITABLE, PORT_UNAVAILABLE; the reason of the signal if it aborts before
 *   the relay listens
 * @example
 * ```ts
 * import { generateKeyPair, relay } from 'p2mp';
 *
 * const relaying = await relay({
 *   upstreams: [{ host: '127.0.0.1', port: 7735 }],
 *   trustUpstream: () => true,
 *   cacheFolder: 'cache',
 *   cacheLimitBytes: 1e9,
 *   port: 0,
 *   bind: ['127.0.0.1'],
 *   keyPair: await generateKeyPair(),
 *   trustClient: () => true,
 * });
 * console.log(relaying.activeCount, relaying.cached().length); // 0 0
 * await relaying.close('done');
 * ```
 */
export async function relay(options: RelayFilesOptions): Promise<Relaying>;
/**
 * Sends on what it receives, while it arrives, until the signal aborts or `close` is called.
 * @throws P2mpError INVALID_ARGUMENT, UNKNOWN_HOST, TARGET_UNWRITABLE, PORT_UNAVAILABLE; the reason of the signal if it
 *   aborts before the relay listens
 * @example
 * ```ts
 * import { readFileSync, writeFileSync } from 'node:fs';
 * import { generateKeyPair, receive, relay, send } from 'p2mp';
 *
 * const common = { port: 0, bind: ['127.0.0.1'], trustSender: () => true };
 * const receiving = await receive({
 *   ...common,
 *   dir: 'received',
 *   keyPair: await generateKeyPair(),
 *   trustRelay: () => true,
 * });
 * const relaying = await relay({
 *   ...common,
 *   dir: 'passing',
 *   keyPair: await generateKeyPair(),
 *   to: receiving.addresses,
 *   trustReceiver: () => true,
 * });
 * writeFileSync('a.txt', 'abc');
 * const receivers = relaying.addresses;
 * const result = await send({ paths: ['a.txt'], receivers, trustReceiver: () => true });
 * console.log(result.receivers.map(({ via = [] }) => via.length).join()); // 0,1
 * console.log(readFileSync('received/a.txt', 'utf8')); // abc
 * await relaying.close('done');
 * await receiving.close('done');
 * ```
 */
export async function relay(options: SendOnOptions): Promise<SendingOn>;
export async function relay(
  options: RelayFilesOptions | SendOnOptions,
): Promise<Relaying | SendingOn> {
  const { signal } = options;
  let relaying: Relaying | SendingOn;
  if ('to' in options) {
    checkOptions(options, sendOnChecks);
    signal?.throwIfAborted();
    relaying = await SendingOn.open(options);
  } else {
    checkOptions(options, relayChecks);
    signal?.throwIfAborted();
    relaying = await Relaying.open(options);
  }
  const stop = () => void relaying.close('the relay was stopped');
  signal?.addEventListener('abort', stop, { once: true });
  if (signal?.aborted) {
    await relaying.close('the relay was stopped');
    throw signal.reason;
  }
  return relaying;
}
