/** A host that serves files and folders: answers clients that ask for them, over real sockets. */
import { setImmediate, setTimeout } from 'node:timers/promises';
import { type Address, formatAddress } from '../../base/address.js';
import { withoutUndefined } from '../../base/without-undefined.js';
import { Endpoint } from '../../endpoint/endpoint.js';
import { RateLimit } from '../../path/pacer.js';
import type { InvitationTerms } from '../../security/invitations.js';
import { AskListener } from '../../session/asks/ask-listener.js';
import type { AskListenerEvent, AskRefusal } from '../../session/asks/listener-events.js';
import { compareNames, fillPage } from '../../wire/asks.js';
import { toHex } from '../../wire/byte-codec.js';
import type { FaultCounts } from '../../wire/faults.js';
import { affordableFileCount } from '../disk/descriptor-limit.js';
import { IndexFolder } from '../disk/index/index-folder.js';
import { checkInvitationTerms, formatInvitation } from '../keys/invitation-code.js';
import { createWarmCrypto } from '../keys/node-crypto.js';
import { refusalOf } from '../keys/trust-answer.js';
import { noOffload, type Offload } from '../net/offload/offload-socket.js';
import { chooseLocalPaths, hostsOf, pathFinder } from '../net/paths/local-paths.js';
import { SendErrorLog } from '../net/send-error-log.js';
import { SocketRunner } from '../net/socket-runner.js';
import { Catalogue } from './catalogue.js';
import { CrowdGroups } from './crowd-groups.js';
import type { CatalogueEntry, ObjectCatalogue, OfferedObject } from './object-catalogue.js';
import { answerForOrigin } from './origin-answers.js';
import { OutgoingSessions, withoutHeld } from './outgoing-sessions.js';
import { RefusalLog } from './refusal-log.js';
import type { ClientStatus, OfferedPathStatus, ServeEvent, ServeOptions } from './serve-options.js';
import type { ServedPathEvent } from './served-path.js';
import { LateHost, type PortEvent, type ServingOptions, type ServingPort } from './serving-port.js';

type Ask = Extract<AskListenerEvent, { type: 'ask' }>;
type Question = Extract<AskListenerEvent, { type: 'envelope-request' }>;

/** Interval at which a draining server checks whether all sessions have ended. */
const idleCheckMs = 20;

const defaultMaxOpenFiles = 256;
const defaultMaxClients = 256;

const untrusted = 'the other side does not let its key fetch';

/** What a server has done since it was opened. */
export interface ServingTotals {
  /** Clients by outcome. */
  readonly clients: Readonly<Record<string, number>>;
  /** Content bytes that clients received. */
  readonly receivedBytes: number;
  /** Of sessions that have ended. A multicast datagram counts once. */
  readonly datagramsSent: number;
  readonly groupDatagramsSent: number;
  readonly repairs: number;
  readonly changes: number;
  /** Content bytes that were read for indexes. */
  readonly hashedBytes: number;
  /** Unexpected datagrams by kind. */
  readonly faults: FaultCounts;
}

/**
 * A running server.
 * @example
 * ```ts
 * import { mkdirSync } from 'node:fs';
 * import { generateKeyPair, serve } from 'p2mp';
 *
 * mkdirSync('photos');
 * const serving = await serve({
 *   paths: ['photos'],
 *   port: 0,
 *   bind: ['127.0.0.1'],
 *   keyPair: await generateKeyPair(),
 *   trustClient: () => true,
 * });
 * console.log(serving.activeCount, serving.refusal); // 0 undefined
 * await serving.drain();
 * ```
 */
export class Serving {
  /** Resolves when the server is closed. */
  readonly closed: Promise<void>;
  private readonly listener: AskListener;
  private readonly sessions: OutgoingSessions;
  private readonly groups: CrowdGroups;
  private readonly refusals = new RefusalLog();
  private readonly handleOther: ServingPort['handleOther'];
  private runner: SocketRunner<PortEvent> | undefined;
  private catalogue: ObjectCatalogue | undefined;
  private readonly sendErrors = new SendErrorLog((message) =>
    this.emit({ type: 'send-error', message }),
  );
  private readonly ended = {
    ...{ receivedBytes: 0, datagramsSent: 0, groupDatagramsSent: 0, repairs: 0 },
    ...{ changes: 0, hashedBytes: 0 },
  };
  private readonly endedClients: Record<string, number> = {};
  private progressTimer: NodeJS.Timeout | undefined;
  private isDraining = false;
  private isClosing = false;
  private resolveClosed: () => void = () => undefined;
  private rejectClosed: (error: unknown) => void = () => undefined;

  private constructor(
    private readonly options: ServingOptions,
    private readonly prepared: ServingPort,
    maxOpenFiles: number,
  ) {
    const { crypto, listener, endpoint, host, handleOther } = prepared;
    this.closed = new Promise((resolve, reject) => {
      this.resolveClosed = resolve;
      this.rejectClosed = reject;
    });
    const { livenessTimeoutMs, maxClients = defaultMaxClients, rateBytesPerSec } = options;
    this.groups = new CrowdGroups({
      choice: options.multicast ?? 'auto',
      ttl: options.multicastTtl ?? 1,
      sockets: () => this.runner?.sockets,
    });
    this.listener = listener;
    this.handleOther = handleOther;
    this.sessions = new OutgoingSessions({
      ...{ crypto, listener, endpoint, host, localHosts: hostsOf(prepared.paths ?? []) },
      ...{ livenessTimeoutMs, maxClients, maxOpenFiles, groups: this.groups },
      sending:
        prepared.sending ??
        (rateBytesPerSec === undefined ? {} : { rateLimit: new RateLimit(rateBytesPerSec) }),
      handleOutcome: ({ name, terms: { contentSizeBytes } }, outcome) => {
        const { status } = outcome;
        this.endedClients[status] = (this.endedClients[status] ?? 0) + 1;
        this.ended.receivedBytes += outcome.receivedBytes;
        this.emit({ type: 'end', name, contentSizeBytes, outcome: withoutHeld(outcome) });
      },
      handleDone: (result) => {
        this.ended.datagramsSent += result.datagramsSent;
        this.ended.groupDatagramsSent += result.groupDatagramsSent;
        this.ended.repairs += result.repairs;
      },
      // Later, because a machine may be in the call that led to the read.
      handleReadFailure: (...failure) =>
        setImmediate().then(() => this.catalogue?.handleReadFailure(...failure)),
      crash: (error) => this.rejectClosed(error),
    });
  }

  /** @throws P2mpError INVALID_ARGUMENT, SOURCE_UNREADABLE, TARGET_UNWRITABLE, PORT_UNAVAILABLE */
  static async open(options: ServeOptions): Promise<Serving> {
    const { paths, keyPair, indexFolder, trustClient, networkPaths } = options;
    const crypto = await createWarmCrypto(keyPair);
    const host = new LateHost();
    const localPaths = chooseLocalPaths(networkPaths);
    const listener = new AskListener({ crypto, refuseAsker: refuserOf(trustClient) });
    const endpoint = new Endpoint({ listener });
    const folder = indexFolder === undefined ? undefined : await IndexFolder.open(indexFolder);
    const port = {
      ...{ crypto, listener, endpoint, machine: endpoint, host, socketHost: host },
      ...{ paths: localPaths, findPaths: pathFinder(networkPaths, localPaths) },
    };
    return Serving.openPort(options, port, (serving) =>
      Catalogue.open({
        paths,
        ...withoutUndefined({ folder }),
        onEvent: (event) => serving.handlePathEvent(event),
      }),
    );
  }

  /**
   * Opens a server over a port that somebody else has prepared.
   * @throws P2mpError PORT_UNAVAILABLE, or what opening the catalogue throws
   */
  static async openPort(
    options: ServingOptions,
    prepared: ServingPort,
    openCatalogue: (serving: Serving) => Promise<ObjectCatalogue>,
  ): Promise<Serving> {
    const { port, bind, maxOpenFiles = defaultMaxOpenFiles } = options;
    const { machine, socketHost, paths = [], deadlines, answersTogether, findPaths } = prepared;
    const serving = new Serving(options, prepared, await affordableFileCount(maxOpenFiles));
    const catalogue = await openCatalogue(serving);
    serving.catalogue = catalogue;
    try {
      const runner = await SocketRunner.open<PortEvent>({
        ...{ machine, port, paths, findPaths },
        ...withoutUndefined({ bind, deadlines, answersTogether }),
        handleMove: (nowMs) => {
          serving.sessions.setLocalHosts(nowMs, hostsOf(serving.runner?.pathAddresses ?? []));
          prepared.handleMove?.(nowMs);
        },
        receivesBatches: prepared.handleOther !== undefined,
        handleEvent: (event) => serving.handleEvent(event),
        handleSendError: (error) => void serving.handleSendError(error),
      });
      serving.runner = runner;
      socketHost.runner = runner;
    } catch (error) {
      catalogue.close();
      throw error;
    }
    serving.startProgress();
    return serving;
  }

  /** The addresses that the server listens on. */
  get addresses(): Address[] {
    return this.runner?.addresses ?? [];
  }

  /** Whether the system sends and receives batches of datagrams. */
  get offload(): Offload {
    return this.runner?.offload ?? noOffload;
  }

  /**
   * Invites clients that `trustClient` refuses. An `invited` event reports each client that comes.
   * @returns a code for the client's `invitations`. It is a secret: anyone who has it can fetch.
   * @throws P2mpError INVALID_ARGUMENT
   */
  invite(terms: InvitationTerms): string {
    checkInvitationTerms(terms);
    const secret = this.listener.invite(this.nowMs, terms);
    return formatInvitation({ inviterKey: this.options.keyPair.publicKey, secret });
  }

  /** What is offered, by name. */
  entries(): OfferedPathStatus[] {
    return this.catalogued().map(({ name, object, indexing, error }) => {
      const reason = error?.message;
      const facts = object === undefined ? {} : withoutUndefined(factsOf(object));
      return { name, ...facts, ...withoutUndefined({ indexing, reason }) };
    });
  }

  /** The status of each client that fetches. */
  statuses(): ClientStatus[] {
    return this.sessions.statuses();
  }

  /** Number of clients that fetch. */
  get activeCount(): number {
    return this.sessions.clientCount;
  }

  /** What the server has done since it was opened. */
  totals(): ServingTotals {
    return { ...this.ended, clients: this.endedClients, faults: this.listener.faultCounts };
  }

  /** Why the server takes no new clients; undefined if it does. */
  get refusal(): string | undefined {
    return this.isDraining || this.isClosing ? 'this server is shutting down' : undefined;
  }

  /**
   * Takes no new clients, and resolves when all have their outcomes. After the timeout, ends the others.
   * @returns whether all ended by themselves
   */
  async drain(timeoutMs = Infinity): Promise<boolean> {
    this.isDraining = true;
    this.listener.drain();
    const endsAtMs = performance.now() + timeoutMs;
    while (!this.isClosing && this.activeCount > 0 && performance.now() < endsAtMs) {
      await setTimeout(idleCheckMs);
    }
    const isWhole = this.activeCount === 0;
    await this.close('the server shut down; the fetch resumes once it is back');
    return isWhole;
  }

  /** Ends every session with this reason. Clients keep what they have. */
  async close(reason: string): Promise<void> {
    const { runner } = this;
    if (this.isClosing || runner === undefined) return this.closed;
    this.isClosing = true;
    clearInterval(this.progressTimer);
    // Wait for the next turn of the event loop, because this call can come from an event handler.
    await setImmediate();
    this.sessions.abort(reason);
    this.sessions.close();
    this.catalogue?.close();
    await runner.close();
    this.resolveClosed();
    return this.closed;
  }

  /**
   * Ends the sessions with an object for this reason.
   * @param isFinal whether it will never be offered again
   * @internal
   */
  endObject(object: OfferedObject, reason: string, isFinal = false): void {
    this.sessions.endObject(object, reason, isFinal);
  }

  private async handleSendError(
    error: NodeJS.ErrnoException & { address?: string; port?: number },
  ): Promise<void> {
    const { code, address: host, port } = error;
    if (code === 'EMSGSIZE' && host !== undefined && port !== undefined) {
      // Later, because the machine is in the call that sent the datagram.
      await setImmediate();
      if (this.isClosing || this.sessions.handleTooLarge({ host, port })) return;
    }
    this.sendErrors.add(error);
  }

  private get nowMs(): number {
    return this.runner?.nowMs ?? 0;
  }

  private catalogued(): CatalogueEntry[] {
    return this.catalogue?.entries() ?? [];
  }

  private emit(event: ServeEvent): void {
    this.options.onEvent?.(event);
  }

  private startProgress(): void {
    const { onEvent, progressIntervalMs = 1000 } = this.options;
    if (onEvent === undefined) return;
    let wasBusy = false;
    this.progressTimer = setInterval(() => {
      const clients = this.statuses();
      const indexing = this.entries().filter((entry) => entry.indexing !== undefined);
      const isBusy = clients.length + indexing.length > 0;
      if (isBusy || wasBusy) onEvent({ type: 'progress', clients, indexing });
      wasBusy = isBusy;
    }, progressIntervalMs);
  }

  private handleEvent(event: PortEvent): void {
    if (event.role === 'sender') this.sessions.handleEvent(event.sender, event.event);
    else if (event.role === 'listener') this.handleListenerEvent(event.event);
    else this.handleOther?.(event);
  }

  private handleListenerEvent(event: AskListenerEvent): void {
    switch (event.type) {
      case 'ask':
        this.answer(event).catch((error: unknown) => this.rejectClosed(error));
        break;
      case 'list-request':
        this.list(event.channel, event.after);
        break;
      case 'envelope-request':
        this.answerQuestion(event).catch((error: unknown) => this.rejectClosed(error));
        break;
      case 'asker-invited': {
        const { from, askerKey: clientKey, usesLeft } = event;
        this.emit({ type: 'invited', from, clientKey, usesLeft });
        break;
      }
      case 'asker-turned-away': {
        const { cause, from, askerKey: clientKey, reason, unreported } = event;
        this.emit({ type: 'turned-away', cause, from, clientKey, reason, unreported });
        break;
      }
      case 'fault':
        this.emit(event);
        break;
      default:
        // Only a coordinator of an exchange gets its messages.
        break;
    }
  }

  private async answer(ask: Ask): Promise<void> {
    const { channel, from, askerKey: clientKey, what, hops } = ask;
    const groupFrom = await this.groups.open(from);
    const found = (await this.catalogue?.find(what, hops)) ?? 'is shutting down';
    if (this.isClosing) return;
    const refusal = this.refusalFor(found);
    if (refusal === undefined) {
      const object = found as OfferedObject;
      const isThere = this.sessions.accept(ask, object, groupFrom);
      this.catalogue?.handleAnswered(object);
      if (isThere)
        this.emit({ type: 'connect', client: formatAddress(from), clientKey, name: object.name });
      return;
    }
    const { reason, isTemporary } = refusal;
    this.listener.refuse(this.nowMs, channel, reason, isTemporary);
    this.runner?.drain();
    const refused = this.refusals.take(this.nowMs, ask, reason);
    if (refused !== undefined) this.emit(refused);
  }

  private async answerQuestion({ channel, question, hops }: Question): Promise<void> {
    // The machine is in a call until then.
    await setImmediate();
    const { catalogue, runner, prepared, options } = this;
    if (this.isClosing || catalogue === undefined) return;
    const { publicKey } = options.keyPair;
    const answer = await (catalogue.pass?.(question, hops) ??
      answerForOrigin({ crypto: prepared.crypto, publicKey }, catalogue, question, hops));
    if (this.isClosing) return;
    if (answer instanceof Uint8Array) this.listener.answerEnvelope(this.nowMs, channel, answer);
    else this.listener.refuse(this.nowMs, channel, answer.reason, answer.isTemporary);
    runner?.drain();
  }

  /** Why a client does not get what was found for it; undefined if it gets it. */
  private refusalFor(found: OfferedObject | AskRefusal | string): AskRefusal | undefined {
    if (typeof found === 'string') return { reason: found, isTemporary: false };
    if ('reason' in found) return found;
    const reason = this.sessions.refusalOf(found);
    if (reason === undefined) return undefined;
    this.catalogue?.handleAnswered(found);
    return { reason, isTemporary: true };
  }

  private list(channel: number, after: string): void {
    const listed = this.catalogue?.listed() ?? [];
    const objects = listed.filter(({ name }) => compareNames(name, after) > 0);
    this.listener.answerList(channel, fillPage(after, objects));
  }

  private handlePathEvent(event: ServedPathEvent): void {
    switch (event.type) {
      case 'indexed': {
        const { object, hashedBytes, elapsedMs, skipped } = event;
        for (const each of skipped) this.emit({ type: 'skipped', ...each });
        const { name } = object;
        this.ended.hashedBytes += hashedBytes;
        this.emit({ type: 'indexed', name, ...factsOf(object), hashedBytes, elapsedMs });
        break;
      }
      case 'changed':
        this.ended.changes++;
        this.emit({ type: 'changed', name: event.name });
        this.endObject(event.object, `${event.name} has changed at the server; fetch it again`);
        break;
      case 'unreadable':
        this.endObject(event.object, `the server cannot read ${event.name} any more`);
        break;
      default:
        this.emit({ type: event.type, name: event.name, reason: event.error.message });
    }
  }
}

/** @returns a function that decides by its key why a client may not fetch; undefined if it may */
export function refuserOf(trustClient: ServeOptions['trustClient']) {
  return (key: Uint8Array) => refusalOf(trustClient(key), untrusted);
}

function factsOf<Count>({ terms, fileCount }: OfferedObject & { readonly fileCount: Count }) {
  const { digestTree, contentSizeBytes } = terms;
  return { contentRoot: toHex(digestTree.root()), contentSizeBytes, fileCount };
}
