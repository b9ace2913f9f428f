/** Relays files and folders of other servers to clients that fetch them, and keeps them in a cache. */
import { checkOptions } from '../../base/options/check-options.js';
import { type RelayFilesOptions, relayChecks } from './relay-options.js';
import { Relaying } from './relaying.js';

/**
 * Offers what other servers offer, until the signal aborts or `close` is called. What clients fetch is kept in a cache,
 * and passed on while it arrives.
 * @throws P2mpError INVALID_ARGUMENT, UNKNOWN_HOST, TARGET_UNWRITABLE, PORT_UNAVAILABLE; the reason of the signal if it
 *   aborts before the relay listens
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
export async function relay(options: RelayFilesOptions): Promise<Relaying> {
  checkOptions(options, relayChecks);
  const { signal } = options;
  signal?.throwIfAborted();
  const relaying = await Relaying.open(options);
  const stop = () => void relaying.close('the relay was stopped');
  signal?.addEventListener('abort', stop, { once: true });
  if (signal?.aborted) {
    await relaying.close('the relay was stopped');
    throw signal.reason;
  }
  return relaying;
}
