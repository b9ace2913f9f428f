/** Fetches an object from one or many servers into a folder. */
import { P2mpError } from '../base/errors.js';
import { checkOptions } from '../base/options/check-options.js';
import type { FetchResult } from '../roles/fetch/fetch-result.js';
import type { FetchFilesOptions } from './fetch/fetch-options.js';
import { fetchChecks } from './fetch/fetch-options.js';
import { Fetching } from './fetch/fetching.js';

/**
 * Fetches an object into a folder.
 * @returns the result, also if the fetch failed or was stopped by the signal
 * @throws P2mpError INVALID_ARGUMENT, UNKNOWN_HOST, TARGET_UNWRITABLE, PORT_UNAVAILABLE, before anything is sent
 * @example
 * ```ts
 * import { readFileSync, writeFileSync } from 'node:fs';
 * import { fetch, generateKeyPair, serve } from 'p2mp';
 *
 * writeFileSync('a.txt', 'abc');
 * const serving = await serve({
 *   paths: ['a.txt'],
 *   port: 0,
 *   bind: ['127.0.0.1'],
 *   keyPair: await generateKeyPair(),
 *   trustClient: () => true,
 * });
 * const result = await fetch({
 *   name: 'a.txt',
 *   sources: serving.addresses,
 *   dir: 'fetched',
 *   trustSource: () => true,
 * });
 * console.log(result.status, readFileSync('fetched/a.txt', 'utf8')); // complete abc
 * await serving.close('done');
 * ```
 */
export async function fetch(options: FetchFilesOptions): Promise<FetchResult> {
  return (await startFetch(options)).result;
}

/**
 * Starts to fetch an object into a folder. While it runs, sources can join and leave.
 * @throws P2mpError INVALID_ARGUMENT, UNKNOWN_HOST, TARGET_UNWRITABLE, PORT_UNAVAILABLE, before anything is sent
 * @example
 * ```ts
 * import { writeFileSync } from 'node:fs';
 * import { generateKeyPair, serve, startFetch } from 'p2mp';
 *
 * writeFileSync('b.txt', 'abc');
 * const options = { port: 0, bind: ['127.0.0.1'], trustClient: () => true };
 * const server = await serve({ ...options, paths: ['b.txt'], keyPair: await generateKeyPair() });
 * const other = await serve({ ...options, paths: ['b.txt'], keyPair: await generateKeyPair() });
 * const fetching = await startFetch({
 *   name: 'b.txt',
 *   sources: server.addresses,
 *   dir: 'fetched',
 *   trustSource: () => true,
 * });
 * await fetching.setSources([...server.addresses, ...other.addresses]);
 * console.log((await fetching.result).status); // complete
 * await server.close('done');
 * await other.close('done');
 * ```
 */
export async function startFetch(options: FetchFilesOptions): Promise<Fetching> {
  checkOptions(options, fetchChecks);
  const { name = '', root, originKey, signal } = options;
  if (name === '' && root === undefined)
    throw new P2mpError('INVALID_ARGUMENT', 'nothing to fetch: give a name or a root');
  if (originKey !== undefined && (name === '' || root !== undefined)) {
    const message = 'originKey: the origin says which root a name has; give a name and no root';
    throw new P2mpError('INVALID_ARGUMENT', message);
  }
  signal?.throwIfAborted();
  return Fetching.open(options);
}
