/** The objects of others that a peer of an exchange fetches: which of them an event is for, and which of them is due. */

import type { TimeMs } from '../../../base/machine.js';
import { Deadlines } from '../../../base/time/deadlines.js';
import type { EndpointEvent } from '../../../endpoint/endpoint.js';
import { sessionOf } from '../../fetch/sources.js';
import type { RemoteObject } from './remote-object.js';

export class RemoteObjects {
  private readonly byId = new Map<string, RemoteObject>();
  private readonly deadlines = new Deadlines<RemoteObject>();
  /** Those to which something has happened since they last did what was due. */
  private readonly changed = new Set<RemoteObject>();
  /** The objects that are fetched in these sessions. */
  private readonly bySession = new Map<number, RemoteObject>();

  [Symbol.iterator](): IterableIterator<RemoteObject> {
    return this.byId.values();
  }

  get(id: string): RemoteObject | undefined {
    return this.byId.get(id);
  }

  add(id: string, object: RemoteObject): void {
    this.byId.set(id, object);
    this.deadlines.add(object);
  }

  /** Something happens to an object. */
  touch(object: RemoteObject): void {
    this.changed.add(object);
    this.deadlines.touch(object);
  }

  /** Something happens to all of them. */
  touchAll(): void {
    for (const object of this) this.touch(object);
  }

  /** @returns the objects for which something may be due, in the order in which they became known */
  takeChanged(): readonly RemoteObject[] {
    const { changed } = this;
    if (changed.size === 0) return [];
    const taken = changed.size === 1 ? [...changed] : [...this].filter((each) => changed.has(each));
    changed.clear();
    for (const object of taken) {
      this.deadlines.touch(object);
      // No event says that a silent source is heard of again.
      if (object.isAnySilent) changed.add(object);
    }
    return taken;
  }

  /** Gives an event of the port to the object that it is for. @returns false if it is for none */
  takeEvent(nowMs: TimeMs, event: EndpointEvent<never>): boolean {
    const session = event.role === 'receiver' ? sessionOf(event.event) : undefined;
    const known = session === undefined ? undefined : this.bySession.get(session);
    const taker = this.takenBy(nowMs, known === undefined ? this : [known], event);
    if (session === undefined) return taker !== undefined;
    const hasEnded = event.role === 'receiver' && event.event.type === 'end';
    if (taker === undefined || hasEnded) this.bySession.delete(session);
    else this.bySession.set(session, taker);
    return taker !== undefined;
  }

  private takenBy(
    nowMs: TimeMs,
    objects: Iterable<RemoteObject>,
    event: EndpointEvent<never>,
  ): RemoteObject | undefined {
    for (const object of objects) {
      this.touch(object);
      if (object.takeEvent(nowMs, event)) return object;
    }
    return undefined;
  }

  handleTimeout(nowMs: TimeMs): void {
    for (const object of this.deadlines.due(nowMs)) {
      this.changed.add(object);
      object.handleTimeout(nowMs);
    }
  }

  /** When the first object is due; Infinity if none is. */
  get dueAtMs(): TimeMs {
    return this.deadlines.earliestMs;
  }
}
