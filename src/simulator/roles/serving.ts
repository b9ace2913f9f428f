/** Serves objects from a simulated host: one session for all receivers that ask for an object at about the same time. */
import type { Endpoint } from '../../endpoint/endpoint.js';
import type { DigestTree } from '../../object/digest-tree.js';
import type { AskListener } from '../../session/asks/ask-listener.js';
import type { AskListenerEvent } from '../../session/asks/listener-events.js';
import type { SessionSender } from '../../session/sender.js';
import { type AskedObject, compareNames, fillPage, type ListedObject } from '../../wire/asks.js';
import { isEqualBytes } from '../../wire/byte-codec.js';
import type { EnvelopeQuestion } from '../../wire/envelope-request.js';
import { EndedSenders } from './ended-senders.js';

/** An object that a simulated host serves under a name. */
export interface ServedObject {
  readonly name: string;
  readonly content: Uint8Array;
  /** The digests of the content, if they are known before it is sent. */
  readonly digestTree?: DigestTree;
  /** The manifest; that of one file by default. */
  readonly manifest?: Uint8Array;
  /** The digest that is offered; that of the manifest by default. */
  readonly manifestDigest?: Uint8Array;
}

/** What serving needs from the host. */
export interface ServingHost {
  readonly nowMs: number;
  readonly listener: AskListener;
  readonly endpoint: Pick<Endpoint<unknown>, 'addSender' | 'removeSender'>;
  /** Creates a sender without receivers, whose events the host handles. */
  createSender(object: ServedObject): SessionSender;
  /** What the host says as the origin of an object; undefined if it is not the one that is meant. */
  sealAnswer(object: ServedObject, question: EnvelopeQuestion): Uint8Array | undefined;
  list(object: ServedObject): ListedObject;
}

export class Serving {
  /** What receivers asked for, in order. */
  readonly asked: Extract<AskListenerEvent, { type: 'ask' }>[] = [];
  private readonly running = new Map<ServedObject, SessionSender>();
  private readonly ended = new EndedSenders();

  constructor(
    private objects: readonly ServedObject[],
    private readonly host: ServingHost,
  ) {}

  /** Serves these objects from now on. The sessions with others end. */
  change(objects: readonly ServedObject[]): void {
    this.objects = objects;
    for (const [object, sender] of [...this.running]) {
      if (objects.includes(object)) continue;
      this.running.delete(object);
      const reason = `${object.name} has changed at the server; fetch it again`;
      if (!sender.isDone) sender.abort(this.host.nowMs, reason);
    }
  }

  /** A session has ended. */
  handleDone(sender: SessionSender): void {
    this.ended.add(this.host.nowMs, sender);
  }

  handleEvent(event: AskListenerEvent): void {
    const { listener, nowMs } = this.host;
    if (event.type === 'ask') {
      this.asked.push(event);
      const object = this.objects.find((each) => isAsked(event.what, each));
      if (object === undefined) listener.refuse(nowMs, event.channel, 'no such object');
      else listener.accept(nowMs, event.channel, this.senderOf(object));
    } else if (event.type === 'envelope-request') {
      const { channel, question } = event;
      const object = this.objects.find(({ name }) => name === question.name);
      const envelope = object && this.host.sealAnswer(object, question);
      if (envelope === undefined) listener.refuse(nowMs, channel, 'is not this origin');
      else listener.answerEnvelope(nowMs, channel, envelope);
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
    this.ended.forget(this.host.nowMs, this.host.endpoint);
    const sender = this.host.createSender(object);
    this.running.set(object, sender);
    this.host.endpoint.addSender(sender);
    return sender;
  }
}

function isAsked(
  { name, root }: AskedObject,
  { name: ownName, digestTree }: ServedObject,
): boolean {
  const isNamed = name === ownName || (name === '' && root !== undefined);
  return isNamed && (root === undefined || isEqualBytes(root, digestTree?.root() ?? nothing));
}

const nothing = new Uint8Array(0);
