/** A peer of an exchange as a machine on one port: it talks to the coordinator, asks and is asked there. */
import type { Address } from '../../base/address.js';
import type { Machine, TimeMs, Transmit } from '../../base/machine.js';
import { Queue } from '../../base/queue.js';
import type { Refusal } from '../../base/refusal.js';
import { withoutUndefined } from '../../base/without-undefined.js';
import { Endpoint, type EndpointEvent } from '../../endpoint/endpoint.js';
import { AskListener } from '../../session/asks/ask-listener.js';
import type { AwaitedAnswer } from '../../session/asks/asker-options.js';
import type { DriverHost } from '../../session/drivers/driver-host.js';
import type { FetchPortOptions } from '../fetch/fetch-port.js';
import { FetchPort } from '../fetch/fetch-port.js';
import type { PeerOptions } from './peer.js';
import { Peer } from './peer.js';
import type { PeerEvent } from './peer-events.js';

export interface PeerMachineOptions extends Omit<PeerOptions, 'port'>, FetchPortOptions {
  readonly name: string;
}

/** An event for the shell: what other peers ask for, what their sessions need, or what the peer reports. */
export type PeerMachineEvent =
  | Extract<EndpointEvent<never>, { readonly role: 'listener' | 'sender' }>
  | { readonly role: 'peer'; readonly event: PeerEvent };

export class PeerMachine implements Machine<PeerMachineEvent> {
  readonly peer: Peer;
  readonly listener: AskListener;
  readonly endpoint: Endpoint;
  /** For the drivers of the sessions with other peers. */
  readonly host: DriverHost;
  private readonly port: FetchPort;
  private readonly events = new Queue<PeerMachineEvent>();
  private hasStarted = false;
  /** How deep the machine is in its own calls, which the shell follows by a drain anyway. */
  private depth = 0;

  constructor(options: PeerMachineOptions) {
    const { crypto, name, blockSizeBytes, platform, host } = options;
    const { mssBytes, bufferBytes, invitations } = options;
    this.port = new FetchPort({
      ...{ crypto, name, blockSizeBytes, platform },
      ...withoutUndefined({ mssBytes, bufferBytes, invitations }),
    });
    const { receiver, asker } = this.port;
    const refuseAsker = (key: Uint8Array) => this.peer.refuseAsker(key);
    // The coordinator may already have made this peer known to others, but not yet others to this peer.
    this.listener = new AskListener({ crypto, refuseAsker, refusesForNow: true, receiver });
    this.endpoint = new Endpoint({ receiver, asker, listener: this.listener });
    const isBusy = () => this.depth > 0;
    this.host = {
      get nowMs() {
        return host.nowMs;
      },
      drain: () => {
        if (!isBusy()) host.drain();
      },
    };
    this.peer = new Peer({ ...options, port: this.port, host: this.host });
  }

  /** Whether the exchange is over for this host, and nobody waits for it. */
  get isIdle(): boolean {
    return this.peer.isOver && this.port.isIdle;
  }

  /** The coordinator, while its answer is awaited, and the addresses from which it can come. */
  awaited(): Iterable<AwaitedAnswer> {
    return [...this.port.asker.awaited()].filter(({ index }) => index === this.peer.coordinatorAsk);
  }

  /** Handles an ICMP error: datagrams to the coordinator go no further. It is asked again. */
  handleRefusal(nowMs: TimeMs, ask: number, at: Address, refusal: Refusal): void {
    this.port.asker.handleRefusal(ask, at, refusal);
    this.pump(nowMs);
  }

  /** Answers an `identify` event: trusts the coordinator, or does not take part for this reason. */
  trust(nowMs: TimeMs, ask: number, refusal?: string): void {
    this.peer.trust(nowMs, ask, refusal);
    this.pump(nowMs);
  }

  /** Call this when addresses of this host have changed. */
  handleMove(nowMs: TimeMs): void {
    this.port.receiver.handleMove(nowMs);
  }

  handleDatagram(nowMs: TimeMs, from: Address, bytes: Uint8Array): void {
    this.during(() => {
      this.endpoint.handleDatagram(nowMs, from, bytes);
      this.pump(nowMs);
    });
  }

  handleTimeout(nowMs: TimeMs): void {
    this.during(() => {
      this.endpoint.handleTimeout(nowMs);
      this.pump(nowMs);
      if ((this.peer.pollTimeout() ?? Infinity) <= nowMs) this.peer.handleTimeout(nowMs);
    });
  }

  pollTransmit(nowMs: TimeMs): Transmit | undefined {
    if (!this.hasStarted) {
      this.hasStarted = true;
      this.peer.start(nowMs);
    }
    return this.endpoint.pollTransmit(nowMs);
  }

  pollTimeout(): TimeMs | undefined {
    const peerAtMs = this.peer.pollTimeout() ?? Infinity;
    const atMs = Math.min(this.endpoint.pollTimeout() ?? Infinity, peerAtMs);
    return atMs === Infinity ? undefined : atMs;
  }

  pollEvent(): PeerMachineEvent | undefined {
    return this.during(() => {
      this.pump(this.host.nowMs);
      const event = this.events.shift();
      if (event !== undefined) return event;
      const reported = this.peer.pollEvent();
      return reported === undefined ? undefined : { role: 'peer', event: reported };
    });
  }

  /** Passes on to the peer what is for it. */
  private pump(nowMs: TimeMs): void {
    const { endpoint, peer, events } = this;
    let isAny = false;
    for (let event = endpoint.pollEvent(); event !== undefined; event = endpoint.pollEvent()) {
      if (event.role === 'listener' || event.role === 'sender') {
        events.push(event);
      } else {
        isAny = true;
        peer.takeEvent(nowMs, event);
      }
    }
    if (isAny) this.during(() => peer.advance(nowMs));
  }

  private during<T>(work: () => T): T {
    this.depth++;
    try {
      return work();
    } finally {
      this.depth--;
    }
  }
}
