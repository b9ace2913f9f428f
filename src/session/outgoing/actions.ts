/** Executes what the delivery and the connections of a session ask for, before the session's next input. */
import { at } from '../../base/assert.js';
import type { TimeMs } from '../../base/machine.js';
import type { Queue } from '../../base/queue.js';
import { otherAddressEvent } from '../../path/candidate-addresses.js';
import type { ReceivedInvitation } from '../../security/invitations.js';
import { secretFor } from '../../security/invitations.js';
import type { Delivery, DeliveryAction } from '../../transfer/delivery.js';
import type { SessionSenderEvent } from '../sender-events.js';
import type { ConnectionAction } from './connection-action.js';
import type { Connections } from './connections.js';
import type { SessionMember } from './member.js';
import type { PathKeeper } from './path-keeper.js';
import type { ReceiverOutcomes } from './receiver-outcomes.js';

export interface SessionActionsOptions {
  readonly members: readonly SessionMember[];
  readonly delivery: Delivery;
  readonly connections: Connections;
  readonly paths: PathKeeper;
  readonly outcomes: ReceiverOutcomes;
  readonly events: Queue<SessionSenderEvent>;
  /** The invitations that the sender has. */
  readonly invitations: readonly ReceivedInvitation[];
}

export class SessionActions {
  constructor(private readonly options: SessionActionsOptions) {}

  /** Executes everything that is queued. */
  execute(nowMs: TimeMs): void {
    const { delivery, connections, paths } = this.options;
    for (;;) {
      const wanted = delivery.pollAction();
      if (wanted !== undefined) {
        this.serveDelivery(nowMs, wanted);
        continue;
      }
      const due = connections.pollAction();
      if (due !== undefined) {
        this.serveConnections(nowMs, due);
        continue;
      }
      const rerouted = paths.pollRerouted();
      if (rerouted === undefined) return;
      if (rerouted.status === 'active') connections.sendRequest(nowMs, rerouted);
    }
  }

  /** Proves the sender's key to a receiver whose key is trusted, and offers the object. */
  prove(nowMs: TimeMs, member: SessionMember): void {
    const { connections, invitations } = this.options;
    member.prove(secretFor(invitations, member.shownKey));
    connections.sendRequest(nowMs, member);
  }

  private serveDelivery(nowMs: TimeMs, action: DeliveryAction): void {
    const { connections, members, events } = this.options;
    switch (action.type) {
      case 'poll':
        connections.poll(nowMs, at(members, action.demand.index));
        break;
      case 'overdue':
        this.handleOverdue(nowMs, at(members, action.demand.index), action.path, action.sentAtMs);
        break;
      default:
        events.push(action);
    }
  }

  private handleOverdue(
    nowMs: TimeMs,
    member: SessionMember,
    path: number,
    sentAtMs: TimeMs,
  ): void {
    const { connections, paths } = this.options;
    paths.handleOverdue(nowMs, member, path);
    // A receiver that has restarted answers no challenge on any path. Unanswered polls show that.
    if (path === member.route.number) connections.pollOverdue(nowMs, member, sentAtMs);
  }

  private serveConnections(nowMs: TimeMs, action: ConnectionAction): void {
    const { events, delivery, outcomes } = this.options;
    const { member } = action;
    const { name, index } = member;
    switch (action.type) {
      case 'identify':
        this.identify(nowMs, member);
        break;
      case 'other-address':
        events.push(otherAddressEvent(name, member.addresses));
        break;
      case 'narrow-path':
        events.push({ type: 'narrow-path', receiver: name, index });
        break;
      case 'late':
        delivery.pause(member.demand);
        break;
      case 'silent':
        events.push({ type: 'silent', receiver: name });
        delivery.suspend(member.demand);
        break;
      case 'fail':
        if (action.isReachable) outcomes.dismiss(nowMs, member, 'failed', action.reason);
        else outcomes.settle(nowMs, member, 'failed', action.reason);
        break;
    }
  }

  private identify(nowMs: TimeMs, member: SessionMember): void {
    // If the key is known, an attacker on the path might corrupt every confirmation, so the liveness timeout
    // keeps running.
    if (member.identify()) {
      this.prove(nowMs, member);
    } else {
      const { index, name, shownKey: receiverKey } = member;
      this.options.events.push({ type: 'identify', index, receiver: name, receiverKey });
    }
  }
}
