/** Asks a server what it offers. */
import { hostname } from 'node:os';
import { formatAddress } from '../../base/address.js';
import { Endpoint, type EndpointEvent } from '../../endpoint/endpoint.js';
import { Asker } from '../../session/asks/asker.js';
import type { AskerEvent } from '../../session/asks/asker-events.js';
import { SessionReceiver } from '../../session/receiver.js';
import type { ListedObject } from '../../wire/asks.js';
import { parseInvitation } from '../keys/invitation-code.js';
import type { KeyPair } from '../keys/key-files.js';
import { createNodeCrypto } from '../keys/node-crypto.js';
import { refusalOf, type TrustAnswer } from '../keys/trust-answer.js';
import { resolveReceivers, type ServerSpec, wildcardsFor } from '../net/resolve-receivers.js';
import { SocketRunner } from '../net/socket-runner.js';

/** Options of `listObjects`. */
export interface ListObjectsOptions {
  readonly server: ServerSpec;
  /** Identifies this host to the server. */
  readonly keyPair: KeyPair;
  /** Decides whether to trust the server, given as `host:port`. It gets the key of this host only if so. */
  readonly trustServer: (
    server: string,
    serverKey: Uint8Array,
  ) => TrustAnswer | Promise<TrustAnswer>;
  /**
   * Codes that the servers' `invite` returned. They make servers trust this host, but not the reverse: `trustServer` decides
   * which servers to trust; `parseInvitation` returns the key to expect.
   */
  readonly invitations?: readonly string[];
  /** The server fails if it is silent for this long; 15 s by default. */
  readonly livenessTimeoutMs?: number;
  readonly signal?: AbortSignal;
}

/** What a server offers, by name, or why that is not known. */
export type ListedObjects =
  | { readonly status: 'listed'; readonly objects: readonly ListedObject[] }
  | { readonly status: 'refused' | 'failed'; readonly reason: string };

const defaultLivenessTimeoutMs = 15_000;

/**
 * @throws P2mpError INVALID_ARGUMENT, UNKNOWN_HOST, PORT_UNAVAILABLE; the signal's reason after it aborts
 */
export async function listObjects(options: ListObjectsOptions): Promise<ListedObjects> {
  const { keyPair, trustServer, signal } = options;
  const { livenessTimeoutMs = defaultLivenessTimeoutMs, invitations = [] } = options;
  signal?.throwIfAborted();
  const [server] = await resolveReceivers([options.server]);
  if (server === undefined) return { status: 'failed', reason: 'has no address' };
  if (server.noRoute !== undefined) return { status: 'failed', reason: server.noRoute };
  const crypto = await createNodeCrypto(keyPair);
  const name = hostname();
  const refuseSender = () => 'receives nothing';
  const receiver = new SessionReceiver({ crypto, name, platform: 'posix', refuseSender });
  const parsed = invitations.map(parseInvitation);
  const asker = new Asker({ crypto, receiver, livenessTimeoutMs, invitations: parsed });
  const objects: ListedObject[] = [];
  let runner: SocketRunner<EndpointEvent<never>> | undefined;
  let id = 0;
  const listed = new Promise<ListedObjects>((resolve, reject) => {
    const decide = async ({ serverKey, ask }: Extract<AskerEvent, { type: 'identify' }>) => {
      const { host, port } = options.server;
      const answer = await trustServer(formatAddress({ host, port }), serverKey);
      asker.trust(runner?.nowMs ?? 0, ask, refusalOf(answer, 'its key is not trusted here'));
      runner?.drain();
    };
    const handle = (event: AskerEvent) => {
      if (event.type === 'identify') decide(event).catch(reject);
      else if (event.type === 'page') {
        objects.push(...event.page.objects);
        if (event.page.isLast) resolve({ status: 'listed', objects });
      } else if (event.type === 'refused' || event.type === 'failed') {
        resolve({ status: event.type, reason: event.reason });
      } else if (event.type === 'port-refused' || event.type === 'unreachable') {
        resolve({ status: 'failed', reason: asker.refusalOf(id) ?? event.reason });
      }
    };
    signal?.addEventListener('abort', () => reject(signal.reason), { once: true });
    SocketRunner.open<EndpointEvent<never>>({
      machine: new Endpoint({ receiver, asker }),
      bind: wildcardsFor([server]),
      port: 0,
      receivesBatches: true,
      handleEvent: (event) => {
        if (event.role === 'asker') handle(event.event);
      },
      handleSendError: () => undefined,
    }).then((opened) => {
      runner = opened;
      id = asker.ask(opened.nowMs, { server });
      opened.watchPorts(
        () => asker.awaited(),
        (...refusal) => asker.handleRefusal(...refusal),
      );
      opened.drain();
    }, reject);
  });
  try {
    return await listed;
  } finally {
    await runner?.close();
  }
}
