/** Deliberate faults that the fuzzer must detect within a given number of inputs. */
import t from 'tap';
import { assert } from '../../src/base/assert.js';
import type { TimeMs } from '../../src/base/machine.js';
import { Announcer } from '../../src/discovery/announcer.js';
import { Receiver } from '../../src/receiver.js';
import { Cookies } from '../../src/security/cookies.js';
import { IncomingHandshakes } from '../../src/security/incoming-handshakes.js';
import { SecureChannel } from '../../src/security/secure-channel.js';
import { Sender } from '../../src/sender.js';
import { AskListener } from '../../src/session/asks/ask-listener.js';
import { Asker } from '../../src/session/asks/asker.js';
import { OutgoingAsk } from '../../src/session/asks/outgoing-ask.js';
import { IncomingSession } from '../../src/session/incoming/incoming-session.js';
import { Searching } from '../../src/session/incoming/stages/receiving.js';
import { Connections } from '../../src/session/outgoing/connections.js';
import { ReceiverMessages } from '../../src/session/outgoing/receiver-messages.js';
import { SessionReceiver } from '../../src/session/receiver.js';
import { FeedbackScheduler } from '../../src/transfer/feedback-scheduler.js';
import { MemoryBudget } from '../../src/transfer/partial-block.js';
import { Reassembler } from '../../src/transfer/reassembler.js';
import { ByteReader } from '../../src/wire/byte-codec.js';
import type { ChannelPacket } from '../../src/wire/header.js';
import type { Message } from '../../src/wire/messages.js';
import { replace } from '../support/planted-fault.js';
import { kindOf } from './fuzzing.js';
import { tapeOf } from './tape.js';
import { runInput, targetOf } from './targets.js';

interface Canary {
  readonly target: string;
  readonly expected: RegExp;
  /** The number of tapes within which the fault must show. */
  readonly within?: number;
  /** The seed of the tapes: another one where a fault that is rarely met shows soon. */
  readonly seed?: number;
  readonly plant: () => () => void;
}

notices('a reader that reads past the end', {
  target: 'message',
  expected: /not assignable|undefined|reads as another|bound|RangeError|length/i,
  plant: () =>
    replace(ByteReader.prototype, 'raw', function (this: ByteReader, sizeBytes: number) {
      const start = this['offset'];
      this['offset'] += sizeBytes;
      return new Uint8Array(this['bytes'].buffer, this['bytes'].byteOffset + start, sizeBytes);
    }),
});

notices('a receiver that accepts any cookie', {
  target: 'session-receiver',
  expected: /where nobody can have read a cookie|bytes more to/,
  plant: () => replace(Cookies.prototype, 'isGood', () => true),
});

notices('a receiver that sends more than it received', {
  target: 'session-receiver',
  expected: /bytes more to .* than came from there/,
  plant: () => {
    const { handleHello } = IncomingHandshakes.prototype as unknown as Greeter;
    return replace(
      IncomingHandshakes.prototype,
      'handleHello',
      function (this: Greeter, ...[nowMs, packet, from, bytes]: Parameters<typeof handleHello>) {
        handleHello.call(this, nowMs, packet, from, bytes);
        handleHello.call(this, nowMs, packet, from, bytes);
      },
    );
  },
});

notices('a server that makes room for a channel without forgetting one', {
  target: 'ask-listener',
  expected: /7 channels/,
  plant: () =>
    replace(
      AskListener.prototype as unknown as { forgetIdle(): boolean },
      'forgetIdle',
      () => true,
    ),
});

notices('an asker that lets the server decide about deletion', {
  target: 'asker',
  expected: /a server asks for deletion/,
  plant: () => replace(OutgoingAsk.prototype, 'adapt', (message: Message) => message),
});

notices('an asker that does not look whether its sessions are over', {
  target: 'asker',
  expected: /an ask that is never over|a timeout behind the end/,
  plant: () =>
    replace(
      Asker.prototype as unknown as { lookAtSession(): void },
      'lookAtSession',
      () => undefined,
    ),
});

notices('a receiver that answers every copy of a query without limit', {
  target: 'discovery',
  expected: /bytes more to .* than came from there/,
  plant: () => {
    const { pollTransmit } = Announcer.prototype;
    let isCopied = false;
    let copy: ReturnType<typeof pollTransmit>;
    return replace(Announcer.prototype, 'pollTransmit', function (this: Announcer) {
      isCopied = !isCopied;
      if (isCopied) copy = pollTransmit.call(this);
      return copy;
    });
  },
});

notices('a receiver that never runs out of room for a session', {
  target: 'session-receiver',
  expected: /\d+ sessions/,
  within: 1300,
  plant: () => replace(SessionReceiver.prototype, 'refusal', () => undefined),
});

notices('a receiver that never times out a session', {
  target: 'session-receiver',
  expected: /never ends|are kept|without end/,
  plant: () => replace(IncomingSession.prototype, 'handleTimeout', () => undefined),
});

notices('a digest request that is answered after the end of its session', {
  target: 'session-receiver',
  expected: /an answer after the end/,
  within: 2000,
  plant: () => {
    const { handleMessage } = IncomingSession.prototype;
    const searches = new WeakMap<IncomingSession, Searching>();
    return replace(
      IncomingSession.prototype,
      'handleMessage',
      function (this: IncomingSession, ...args: Parameters<IncomingSession['handleMessage']>) {
        const [, , message] = args;
        const isAnswer =
          this.isSettled &&
          message.kind === 'nodes' &&
          searches.get(this)?.content.verification.handle(message) !== undefined;
        assert(!isAnswer, 'an answer after the end');
        const isForReceivers = handleMessage.apply(this, args);
        const stage = this['stage'];
        if (stage instanceof Searching) searches.set(this, stage);
        return isForReceivers;
      },
    );
  },
});

notices('a receiver that keeps partial blocks after a session', {
  target: 'session-receiver',
  expected: /bytes are kept|bytes buffered/,
  within: 2000,
  plant: () => replace(Reassembler.prototype, 'close', () => undefined),
});

notices('a receiver that ignores its memory limit', {
  target: 'session-receiver',
  expected: /bytes buffered/,
  within: 1000,
  seed: 13,
  plant: () => replace(MemoryBudget.prototype, 'isExhausted', () => false),
});

notices('a report that stays due after it was sent', {
  target: 'session-receiver',
  expected: /transmits for|without end/,
  plant: () => replace(FeedbackScheduler.prototype, 'handleReport', () => undefined),
});

notices('a channel that accepts packets from anybody', {
  target: 'session-transfer',
  expected: /./,
  plant: () =>
    replace(SecureChannel.prototype, 'open', ({ body }: ChannelPacket) => body.subarray(0, -16)),
});

notices('a sender that accepts out-of-range blocks', {
  target: 'session-sender',
  seed: 13,
  expected: /internal error|blocks of \d+ needed/,
  within: 1500,
  plant: () => {
    const { handleMessage } = ReceiverMessages.prototype as unknown as MessageHandler;
    return replace(
      ReceiverMessages.prototype,
      'handleMessage',
      function (this: ReceiverMessages, ...given: MessageArguments) {
        const [nowMs, peer, packet, , message] = given;
        if (message.kind !== 'report') return handleMessage.apply(this, given);
        this['handleReport'](nowMs, peer, packet, message.report);
        return true;
      },
    );
  },
});

notices('a sender that never times out a receiver', {
  target: 'session-sender',
  expected: /never done/,
  within: 60,
  plant: () =>
    replace(
      Connections.prototype,
      'handleDue',
      function (this: Connections, nowMs: TimeMs, peer: MessageArguments[1]) {
        this.sendRequest(nowMs, peer, 'again');
      },
    ),
});

notices('a classic receiver that exceeds its write buffer', {
  target: 'classic-receiver',
  expected: /bytes unwritten/,
  plant: () => {
    const { takeSegment } = Receiver.prototype as unknown as { takeSegment: () => void };
    return replace(
      Receiver.prototype,
      'takeSegment',
      function (this: Receiver, ...given: Parameters<typeof takeSegment>) {
        Object.assign(this['options'], { maxUnwrittenBytes: Infinity });
        takeSegment.apply(this, given);
      },
    );
  },
});

notices('a classic sender that accepts any acknowledgement', {
  target: 'classic-sender',
  expected: /more acknowledged than sent|complete with|internal error|never done/,
  plant: () =>
    replace(
      Sender.prototype,
      'handleAck',
      function (this: Sender, ...[nowMs, peer, packet]: Parameters<Sender['handleAck']>) {
        if (peer.status === 'active') this['handleProgress'](nowMs, peer, packet.sequence + 1);
        this['advance'](nowMs);
      },
    ),
});

type MessageArguments = Parameters<ReceiverMessages['handleMessage']>;

interface MessageHandler {
  handleMessage(...given: MessageArguments): boolean;
}

interface Greeter {
  handleHello(
    nowMs: TimeMs,
    packet: ChannelPacket,
    from: { host: string; port: number },
    bytes: Uint8Array,
  ): void;
}

function notices(what: string, canary: Canary): void {
  const { target: name, expected, within = 300, seed = 1, plant } = canary;
  t.test(`the fuzzer detects ${what}`, async (t) => {
    const target = targetOf(name);
    assert(target !== undefined, `there is no target ${name}`);
    const restore = plant();
    const seen = new Set<string>();
    let isNoticed = false;
    try {
      for (let number = 0; number < within && !isNoticed; number++) {
        const error = await runInput(target, tapeOf(seed, name, number)).then(
          () => undefined,
          (thrown: unknown) => thrown as Error,
        );
        if (error === undefined) continue;
        seen.add(kindOf(error));
        isNoticed = expected.test(`${error.name} ${error.message}`);
      }
    } finally {
      restore();
    }
    t.ok(isNoticed, [...seen].join('; ') || `nothing on ${within} tapes`);
  });
}
