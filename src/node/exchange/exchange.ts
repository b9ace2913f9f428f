/** Exchanges: everybody's files to everybody. */
import { checkOptions } from '../../base/options/check-options.js';
import type { CoordinateExchangeOptions } from './coordinate-options.js';
import { coordinateChecks } from './coordinate-options.js';
import { Coordinating } from './coordinating.js';
import type { JoinExchangeOptions, JoinExchangeResult } from './join-options.js';
import { joinChecks } from './join-options.js';
import { Joining } from './joining.js';

/**
 * Coordinates an exchange: waits for the peers, starts them together, knows who has what, and ends the exchange when each
 * of them has everything. It carries no content.
 * @throws P2mpError INVALID_ARGUMENT, TARGET_UNWRITABLE, PORT_UNAVAILABLE; the reason of the signal if it aborts before
 *   the coordinator listens
 * @example
 * ```ts
 * import { readFileSync, writeFileSync } from 'node:fs';
 * import { coordinateExchange, generateKeyPair, joinExchange } from 'p2mp';
 *
 * const coordinating = await coordinateExchange({
 *   peers: 2,
 *   port: 0,
 *   bind: ['127.0.0.1'],
 *   keyPair: await generateKeyPair(),
 *   trustPeer: () => true,
 * });
 * const common = { coordinator: coordinating.addresses[0]!, bind: ['127.0.0.1'], trustCoordinator: () => true };
 * writeFileSync('a.txt', 'abc');
 * writeFileSync('b.txt', 'def');
 * await Promise.all([
 *   joinExchange({ ...common, name: 'anna', paths: ['a.txt'], dir: 'of-anna' }),
 *   joinExchange({ ...common, name: 'bert', paths: ['b.txt'], dir: 'of-bert' }),
 * ]);
 * console.log(readFileSync('of-bert/anna/a.txt', 'utf8')); // abc
 * console.log((await coordinating.result).status); // complete
 * ```
 */
export async function coordinateExchange(
  options: CoordinateExchangeOptions,
): Promise<Coordinating> {
  checkOptions(options, coordinateChecks);
  const { signal } = options;
  signal?.throwIfAborted();
  const coordinating = await Coordinating.open(options);
  const stop = () => coordinating.end('the coordinator was stopped');
  signal?.addEventListener('abort', stop, { once: true });
  if (signal?.aborted) {
    coordinating.end('the coordinator was stopped');
    await coordinating.result;
    throw signal.reason;
  }
  return coordinating;
}

/**
 * Takes part in an exchange: brings files and folders, and gets those of all other peers.
 * @returns the result, also if the exchange is not complete or was left
 * @throws P2mpError INVALID_ARGUMENT, UNKNOWN_HOST, SOURCE_UNREADABLE, SOURCE_CHANGED, TARGET_UNWRITABLE,
 *   PORT_UNAVAILABLE; the reason of the signal if it aborts before the peer joins
 * @example
 * ```ts
 * import { joinExchange } from 'p2mp';
 *
 * const controller = new AbortController();
 * const joined = joinExchange({
 *   coordinator: { host: '127.0.0.1', port: 9 },
 *   paths: [],
 *   dir: 'exchanged',
 *   trustCoordinator: () => true,
 *   signal: controller.signal,
 *   onEvent: () => controller.abort(),
 *   progressIntervalMs: 10,
 * });
 * console.log((await joined).status); // incomplete
 * ```
 */
export async function joinExchange(options: JoinExchangeOptions): Promise<JoinExchangeResult> {
  checkOptions(options, joinChecks);
  options.signal?.throwIfAborted();
  return (await Joining.open(options)).result;
}
