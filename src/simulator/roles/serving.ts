/** Serves objects from a simulated host: one session for all receivers that ask for an object at about the same time. */
import type { Endpoint } from '../../endpoint/endpoint.js';
import type { DigestTree } from '../../object/digest-tree.js';
import type { AskListener } from '../../session/asks/ask-listener.js';
import type { AskListenerEvent } from '../../session/asks/listener-events.js';
import type { SessionSender } from '../../session/sender.js';
import { compareNames, fillPage, type ListedObject } from '../../wire/asks.js';

/** An object that a simulated host serves under a name. */
export interface ServedObject {
  readonly name: string;
  readonly content: Uint8Array;
  /** The digests of the content, if they are known before it is sent. */
  readonly digestTree?: DigestTree;
}

/** What serving needs from the host. */
export interface ServingHost {
  readonly nowMs: number;
  readonly listener: AskListener;
  readonly endpoint: Pick<Endpoint<unknown>, 'addSender'>;
  /** Creates a sender without receivers, whose events the host handles. */
  createSender(object: ServedObject): SessionSender;
  list(object: ServedObject): ListedObject;
}

export class Serving {
  /** What receivers asked for, in order. */
  readonly asked: Extract<AskListenerEvent, { type: 'ask' }>[] = [];
  private readonly running = new Map<ServedObject, SessionSender>();

  constructor(
    private readonly objects: readonly ServedObject[],
    private readonly host: ServingHost,
  ) {}

  handleEvent(event: AskListenerEvent): void {
    const { listener, nowMs } = this.host;
    if (event.type === 'ask') {
      this.asked.push(event);
      const object = this.objects.find(({ name }) => name === event.what.name);
      if (object === undefined) listener.refuse(nowMs, event.channel, 'no such object');
      else listener.accept(nowMs, event.channel, this.senderOf(object));
    } else if (event.type === 'list-request') {
      const listed = this.objects
        .map((object) => this.host.list(object))
        .filter(({ name }) => name > event.after)
        .sort((a, b) => compareNames(a.name, b.name));
      listener.answerList(event.channel, fillPage(event.after, listed));
    }
  }

  /** The session that sends this object. Hosts that ask while it runs join it. */
  private senderOf(object: ServedObject): SessionSender {
    const running = this.running.get(object);
    if (running !== undefined && !running.isDone) return running;
    const sender = this.host.createSender(object);
    this.running.set(object, sender);
    this.host.endpoint.addSender(sender);
    return sender;
  }
}
