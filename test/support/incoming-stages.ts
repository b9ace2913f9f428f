/** Insight into the stage of an incoming session. */
import type { IncomingObject } from '../../src/session/incoming/incoming-object.js';
import type { IncomingSession } from '../../src/session/incoming/incoming-session.js';
import { ObjectStage } from '../../src/session/incoming/stages/object-stage.js';

/** @returns what the session is receiving; undefined before the offer and after the outcome */
export function objectOf(session: IncomingSession | undefined): IncomingObject | undefined {
  const stage = session?.['stage'];
  return stage instanceof ObjectStage ? stage.object : undefined;
}
