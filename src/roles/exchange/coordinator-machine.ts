/** The coordinator of an exchange as a machine on a port of its own. */
import type { Address } from '../../base/address.js';
import type { Machine, TimeMs, Transmit } from '../../base/machine.js';
import { Queue } from '../../base/queue.js';
import { Endpoint } from '../../endpoint/endpoint.js';
import type { InvitationTerms } from '../../security/invitations.js';
import type { AskListenerOptions } from '../../session/asks/ask-listener.js';
import { AskListener } from '../../session/asks/ask-listener.js';
import type { AskListenerEvent } from '../../session/asks/listener-events.js';
import type { CoordinatorOptions } from './coordinator.js';
import { Coordinator } from './coordinator.js';
import type { CoordinatorEvent } from './coordinator-events.js';

export interface CoordinatorMachineOptions
  extends CoordinatorOptions,
    Pick<AskListenerOptions, 'crypto' | 'refuseAsker'> {}

/** What the coordinator reports, and what strangers do. */
export type CoordinatorMachineEvent =
  | CoordinatorEvent
  | Extract<AskListenerEvent, { readonly type: 'asker-invited' | 'asker-turned-away' | 'fault' }>;

export class CoordinatorMachine implements Machine<CoordinatorMachineEvent> {
  readonly coordinator: Coordinator;
  private readonly listener: AskListener;
  private readonly endpoint: Endpoint;
  private readonly events = new Queue<CoordinatorMachineEvent>();
  private hasStarted = false;

  constructor(options: CoordinatorMachineOptions) {
    const { crypto, refuseAsker } = options;
    this.listener = new AskListener({ crypto, refuseAsker, isCoordinator: true });
    this.endpoint = new Endpoint({ listener: this.listener });
    this.coordinator = new Coordinator(options);
  }

  handleDatagram(nowMs: TimeMs, from: Address, bytes: Uint8Array): void {
    this.endpoint.handleDatagram(nowMs, from, bytes);
    this.pump(nowMs);
  }

  handleTimeout(nowMs: TimeMs): void {
    if ((this.endpoint.pollTimeout() ?? Infinity) <= nowMs) this.endpoint.handleTimeout(nowMs);
    this.coordinator.handleTimeout(nowMs);
    this.pump(nowMs);
  }

  pollTransmit(nowMs: TimeMs): Transmit | undefined {
    if (!this.hasStarted) {
      this.hasStarted = true;
      this.coordinator.start(nowMs);
    }
    this.say();
    return this.endpoint.pollTransmit(nowMs);
  }

  pollTimeout(): TimeMs | undefined {
    const coordinatorAtMs = this.coordinator.pollTimeout() ?? Infinity;
    const atMs = Math.min(this.endpoint.pollTimeout() ?? Infinity, coordinatorAtMs);
    return atMs === Infinity ? undefined : atMs;
  }

  pollEvent(): CoordinatorMachineEvent | undefined {
    return this.events.shift() ?? this.coordinator.pollEvent();
  }

  /**
   * Invites hosts that `refuseAsker` refuses.
   * @returns the secret of the invitation, which is kept only in memory
   */
  invite(nowMs: TimeMs, terms: InvitationTerms): Uint8Array {
    return this.listener.invite(nowMs, terms);
  }

  /** Ends the exchange. */
  end(nowMs: TimeMs, reason: string): void {
    this.coordinator.end(nowMs, reason);
    this.say();
  }

  private pump(nowMs: TimeMs): void {
    const { endpoint, listener, coordinator, events } = this;
    for (let event = endpoint.pollEvent(); event !== undefined; event = endpoint.pollEvent()) {
      if (event.role !== 'listener') continue;
      const asked = event.event;
      if (asked.type === 'exchange') {
        const { channel, from, askerKey, message } = asked;
        const refusal = coordinator.takeMessage(nowMs, channel, from, askerKey, message);
        if (refusal !== undefined) listener.refuse(nowMs, channel, refusal);
      } else if ('channel' in asked) {
        listener.refuse(nowMs, asked.channel, 'serves nothing; it coordinates an exchange');
      } else {
        events.push(asked);
      }
    }
    this.say();
  }

  private say(): void {
    const { coordinator, listener } = this;
    for (let next = coordinator.pollMessage(); next; next = coordinator.pollMessage())
      listener.say(next.channel, next.message);
  }
}
