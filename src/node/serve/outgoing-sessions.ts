/**
 * The sessions of a host that serves: one for all clients that fetch the same state of an object with segments of the
 * same size.
 */
import type { Address } from '../../base/address.js';
import { formatAddress } from '../../base/address.js';
import { P2mpError } from '../../base/errors.js';
import { withoutUndefined } from '../../base/without-undefined.js';
import type { Endpoint } from '../../endpoint/endpoint.js';
import { sessionMssLimits } from '../../object/geometry.js';
import type { SessionCrypto } from '../../security/crypto.js';
import type { AskListener } from '../../session/asks/ask-listener.js';
import type { AskListenerEvent } from '../../session/asks/listener-events.js';
import type { DriverHost } from '../../session/drivers/driver-host.js';
import { SourceDriver } from '../../session/drivers/source-driver.js';
import { SessionSender } from '../../session/sender.js';
import type {
  SessionReceiverOutcome,
  SessionReceiverStatus,
  SessionSenderEvent,
  SessionSenderResult,
} from '../../session/sender-events.js';
import { PathFit } from '../net/path-fit.js';
import type { CrowdGroups } from './crowd-groups.js';
import type { OfferedObject, ReadFailure } from './object-catalogue.js';
import type { ClientStatus } from './serve-options.js';
import type { Sending } from './serving-port.js';

type Ask = Extract<AskListenerEvent, { type: 'ask' }>;

/** How long a session that has ended still answers clients that did not hear of their outcome. */
const lingerMs = 30_000;

/** The most files that one object has open. */
const filesPerObject = 16;

export interface OutgoingSessionsOptions {
  readonly crypto: SessionCrypto;
  readonly listener: AskListener;
  readonly endpoint: Pick<Endpoint, 'addSender' | 'removeSender'>;
  readonly host: DriverHost;
  /** From where to send to each client; none if the system chooses. */
  readonly localHosts: readonly string[];
  readonly livenessTimeoutMs: number | undefined;
  readonly sending: Sending;
  readonly maxClients: number;
  readonly maxOpenFiles: number;
  readonly groups: CrowdGroups;
  /** A client has its outcome. */
  readonly handleOutcome: (object: OfferedObject, outcome: SessionReceiverOutcome) => void;
  readonly handleReadFailure: (object: OfferedObject, cause: ReadFailure) => void;
  /** A session has ended. */
  readonly handleDone: (result: SessionSenderResult) => void;
  /** An error that is a bug. */
  readonly crash: (error: unknown) => void;
}

/** The most hosts of which a smaller MSS is remembered. */
const maxMssLimits = 1024;

/** A session that has not ended. */
interface Running {
  readonly object: OfferedObject;
  readonly sender: SessionSender;
  readonly driver: SourceDriver;
  /** The multicast group, if there is one. */
  readonly group: Address | undefined;
}

export class OutgoingSessions {
  private readonly running = new Map<SessionSender, Running>();
  private localHosts: readonly string[];
  private readonly timers = new Set<NodeJS.Timeout>();
  /** The largest MSS to use for hosts to which the system could not send larger datagrams; the oldest first. */
  private readonly mssLimits = new Map<string, number>();

  constructor(private readonly options: OutgoingSessionsOptions) {
    this.localHosts = options.localHosts;
  }

  /** From now on, paths begin at these addresses of this host. */
  setLocalHosts(nowMs: number, hosts: readonly string[]): void {
    this.localHosts = hosts;
    for (const sender of this.running.keys()) sender.setLocalHosts(nowMs, hosts);
  }

  /** The number of clients that fetch. */
  get clientCount(): number {
    let count = 0;
    for (const { peers } of this.running.keys()) {
      for (const { isSettled } of peers) if (!isSettled) count++;
    }
    return count;
  }

  /** Why no other client can fetch this object now. */
  refusalOf(object: OfferedObject): string | undefined {
    const { maxClients, maxOpenFiles } = this.options;
    if (this.clientCount >= maxClients) return `busy with ${maxClients} clients; ask again later`;
    const objects = new Set([...this.running.values()].map((each) => each.object)).add(object);
    if (objects.size > Math.max(1, Math.floor(maxOpenFiles / filesPerObject))) {
      return 'busy with other files; ask again later';
    }
    return undefined;
  }

  /**
   * The client takes part in a session.
   * @param groupFrom the local address from which a group can be reached, if there is one
   * @returns false if it is gone
   */
  accept(ask: Ask, object: OfferedObject, groupFrom: string | undefined): boolean {
    const { listener, host } = this.options;
    const { channel, from } = ask;
    const limitBytes = this.mssLimits.get(from.host) ?? Infinity;
    const fitBytes = new PathFit({ receivers: [from] }).mssBytes();
    const mssBytes = Math.min(ask.mssBytes, fitBytes, limitBytes);
    const known = this.find(object, mssBytes);
    const session = known ?? this.begin(object, mssBytes, from, groupFrom);
    const index = listener.accept(host.nowMs, channel, session.sender, formatAddress(from));
    if (index === undefined && known === undefined) {
      // A session without clients would never end.
      this.release(session);
      this.options.endpoint.removeSender(session.sender);
    }
    host.drain();
    return index !== undefined;
  }

  handleEvent(sender: SessionSender, event: SessionSenderEvent): void {
    const session = this.running.get(sender);
    if (session === undefined) return;
    const { driver, object } = session;
    driver.handleEvent(sender, event);
    if (event.type === 'receiver') this.options.handleOutcome(object, event.outcome);
    else if (event.type === 'source-changed')
      this.options.handleReadFailure(object, 'wrong-content');
    else if (event.type === 'done') this.handleDone(session, event.result);
  }

  /**
   * The system could not send to a client, because the datagram is too large for the path. Its fetch ends; when the
   * client asks again, it gets smaller segments.
   * @returns false if this is no client
   */
  handleTooLarge({ host, port }: Address): boolean {
    const { nowMs } = this.options.host;
    let isFound = false;
    for (const { sender } of [...this.running.values()]) {
      const { mssBytes } = sender.geometry;
      for (const { address, index, isSettled } of sender.peers) {
        if (isSettled || address.host !== host || address.port !== port) continue;
        isFound = true;
        this.limitMss(address, mssBytes);
        const reason = `the path does not carry segments of ${mssBytes} bytes; ask again for smaller ones`;
        sender.failReceiver(nowMs, index, reason);
      }
    }
    this.options.host.drain();
    return isFound;
  }

  private limitMss(to: Address, tooLargeBytes: number): void {
    const smaller = new PathFit({ receivers: [to] }).below(tooLargeBytes);
    this.mssLimits.delete(to.host);
    this.mssLimits.set(to.host, smaller ?? sessionMssLimits.minBytes);
    const [oldest] = this.mssLimits.keys();
    if (this.mssLimits.size > maxMssLimits && oldest !== undefined) this.mssLimits.delete(oldest);
  }

  /** Ends the sessions with an object. @param isFinal whether it will never be offered again */
  endObject(object: OfferedObject, reason: string, isFinal: boolean): void {
    for (const { sender, object: own } of [...this.running.values()]) {
      if (own === object) sender.abort(this.options.host.nowMs, reason, isFinal);
    }
    this.options.host.drain();
  }

  /** Ends all sessions. */
  abort(reason: string): void {
    for (const sender of [...this.running.keys()]) sender.abort(this.options.host.nowMs, reason);
    this.options.host.drain();
  }

  close(): void {
    for (const timer of this.timers) clearTimeout(timer);
    for (const { driver, object } of this.running.values()) {
      driver.stop();
      object.release();
    }
    this.running.clear();
  }

  statuses(): ClientStatus[] {
    const { nowMs } = this.options.host;
    return [...this.running.values()].flatMap(({ sender, object: { name } }) =>
      sender.peers
        .filter(({ isSettled }) => !isSettled)
        .map((peer) => {
          const { contentSizeBytes } = sender.geometry;
          return { ...withoutHeld(sender.status(nowMs, peer)), name, contentSizeBytes };
        }),
    );
  }

  private find(object: OfferedObject, mssBytes: number): Running | undefined {
    for (const session of this.running.values()) {
      const { sender } = session;
      const isSame = session.object === object && sender.geometry.mssBytes === mssBytes;
      if (isSame && !sender.isDone) return session;
    }
    return undefined;
  }

  private begin(
    object: OfferedObject,
    mssBytes: number,
    first: Address,
    groupFrom: string | undefined,
  ): Running {
    const { groups } = this.options;
    const group = groupFrom === undefined ? undefined : groups.begin(first, groupFrom);
    const { crypto, endpoint, host, livenessTimeoutMs, sending } = this.options;
    const { localHosts } = this;
    const sender = new SessionSender({
      ...object.terms,
      ...{ crypto, mssBytes, localHosts, existing: 'quick' as const },
      ...sending,
      ...withoutUndefined({ group, livenessTimeoutMs }),
    });
    const content = object.open((error) => this.handleReadError(object, error));
    const session = { object, sender, driver: new SourceDriver(content, host), group };
    this.running.set(sender, session);
    endpoint.addSender(sender);
    return session;
  }

  private handleReadError(object: OfferedObject, error: unknown): void {
    if (error instanceof P2mpError) this.options.handleReadFailure(object, error);
    else this.options.crash(error);
  }

  private handleDone(session: Running, result: SessionSenderResult): void {
    const { sender } = session;
    this.options.handleDone(result);
    this.release(session);
    const timer = setTimeout(() => {
      this.timers.delete(timer);
      this.options.endpoint.removeSender(sender);
    }, lingerMs);
    timer.unref();
    this.timers.add(timer);
  }

  private release({ sender, driver, object, group }: Running): void {
    driver.stop();
    if (group !== undefined) this.options.groups.end(group);
    this.running.delete(sender);
    object.release();
  }
}

/** Leaves out what the client holds: its reports only say what it wants of this server. */
export function withoutHeld<Status extends SessionReceiverStatus>({
  heldBytes: _held,
  heldBeforeBytes: _heldBefore,
  ...status
}: Status): Omit<Status, 'heldBytes' | 'heldBeforeBytes'> {
  return status;
}
