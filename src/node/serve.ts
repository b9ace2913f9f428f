/** Serves files and folders to clients that fetch them. */
import { checkOptions } from '../base/options/check-options.js';
import { type ServeOptions, serveChecks } from './serve/serve-options.js';
import { Serving } from './serve/serving.js';

/**
 * Offers files and folders, until the signal aborts or `close` is called. Each is indexed in the background; clients
 * that ask for it earlier wait.
 * @throws P2mpError INVALID_ARGUMENT, SOURCE_UNREADABLE, TARGET_UNWRITABLE, PORT_UNAVAILABLE; the reason of the signal if
 *   it aborts before the server listens
 * @example
 * ```ts
 * import { writeFileSync } from 'node:fs';
 * import { generateKeyPair, serve } from 'p2mp';
 *
 * writeFileSync('a.txt', 'abc');
 * const serving = await serve({
 *   paths: ['a.txt'],
 *   port: 0,
 *   bind: ['127.0.0.1'],
 *   keyPair: await generateKeyPair(),
 *   trustClient: () => true,
 * });
 * console.log(serving.entries().map(({ name }) => name).join()); // a.txt
 * await serving.close('done');
 * ```
 */
export async function serve(options: ServeOptions): Promise<Serving> {
  checkOptions(options, serveChecks);
  const { signal } = options;
  signal?.throwIfAborted();
  const serving = await Serving.open(options);
  const stop = () => void serving.close('the server was stopped');
  signal?.addEventListener('abort', stop, { once: true });
  if (signal?.aborted) {
    await serving.close('the server was stopped');
    throw signal.reason;
  }
  return serving;
}
