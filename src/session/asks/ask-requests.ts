/** Sends what asks have to send: handshakes, and the question itself, repeated until the asked host answers. */
import type { TimeMs, Transmit } from '../../base/machine.js';
import { Queue } from '../../base/queue.js';
import { withoutUndefined } from '../../base/without-undefined.js';
import { askPaths, pairsOfHello } from '../../path/ask-paths.js';
import type { PathEnds } from '../../path/path.js';
import type { SessionCrypto } from '../../security/crypto.js';
import { maxOpenCopies } from '../../security/handshake.js';
import type { SecureChannel } from '../../security/secure-channel.js';
import { retryTiming } from '../../transfer/config.js';
import type { Message } from '../../wire/messages.js';
import { encodeMessage } from '../../wire/messages.js';
import type { OutgoingAsk } from './outgoing-ask.js';

/** Maximum retry interval, as a fraction of the liveness timeout. */
const waitShare = 1 / 6;

export class AskRequests {
  private readonly transmits = new Queue<Transmit>();
  private readonly maxWaitMs: number;
  private localHosts: readonly string[] = [];

  constructor(
    private readonly crypto: SessionCrypto,
    livenessTimeoutMs: number,
  ) {
    this.maxWaitMs = Math.min(retryTiming.maxMs, livenessTimeoutMs * waitShare);
  }

  /** From now on, hellos leave from these addresses of this host. */
  setLocalHosts(hosts: readonly string[]): void {
    this.localHosts = hosts;
  }

  /** The pairs of addresses by which hellos of an ask go. */
  pairsOf({ path }: OutgoingAsk): readonly PathEnds[] {
    return askPaths(this.localHosts, path);
  }

  /** The pairs by which the latest hello of an ask went, the one that was added last first. */
  latestPairsOf(ask: OutgoingAsk): readonly PathEnds[] {
    const { helloCount = 0 } = ask.handshake ?? {};
    return helloCount === 0 ? [] : [...pairsOfHello(this.pairsOf(ask), helloCount)].reverse();
  }

  shift(): Transmit | undefined {
    return this.transmits.shift();
  }

  /** Sends the request that fits the stage of the ask, and schedules its repetition. */
  send(nowMs: TimeMs, ask: OutgoingAsk, which: 'first' | 'again'): void {
    ask.requests.scheduleRepetition(nowMs, which, this.maxWaitMs);
    if (ask.stage === 'connecting') this.sendHandshake(nowMs, ask, which);
    else if (ask.stage === 'asking') this.sendQuestion(nowMs, ask, which);
  }

  private sendHandshake(nowMs: TimeMs, ask: OutgoingAsk, which: 'first' | 'again'): void {
    const { requests } = ask;
    if (ask.handshake?.stage === 'open' && which === 'again') {
      requests.noteAttempt(which);
      if (requests.areExhausted) ask.handshake = undefined;
    }
    requests.noteSent(nowMs, which === 'again' && ask.handshake !== undefined);
    if (ask.handshake === undefined) ask.beginHandshake(this.crypto);
    const { handshake, path } = ask;
    if (handshake === undefined) return;
    const isHello = handshake.stage === 'hello';
    const datagrams = handshake.nextDatagrams();
    const all = isHello ? pairsOfHello(this.pairsOf(ask), handshake.helloCount) : [path.ends];
    for (const ends of all) for (const bytes of datagrams) this.sendBetween(ends, bytes);
  }

  private sendQuestion(nowMs: TimeMs, ask: OutgoingAsk, which: 'first' | 'again'): void {
    const { requests, handshake, isHeard } = ask;
    requests.noteAttempt(which);
    if (requests.areExhausted && !isHeard) {
      // The asked host might have restarted, or the handshake was corrupted.
      ask.beginHandshake(this.crypto);
      this.send(nowMs, ask, 'first');
      return;
    }
    const channel = handshake?.channel;
    if (channel === undefined) return;
    // Sends more copies with each repetition, because a flooded host answers only some of them.
    const copies = isHeard ? 1 : Math.min(2 ** (requests.attemptCount - 1), maxOpenCopies);
    for (let i = 0; i < copies; i++) {
      if (!isHeard && handshake?.datagram !== undefined) this.push(ask, handshake.datagram);
      this.sendMessage(ask, channel, ask.question);
    }
  }

  /** Sends nothing once the channel's message counter is exhausted. */
  sendMessage(ask: OutgoingAsk, channel: SecureChannel, message: Message): void {
    if (!channel.isSpent) this.push(ask, channel.seal(encodeMessage(message)));
  }

  private push({ path }: OutgoingAsk, bytes: Uint8Array): void {
    this.sendBetween(path.ends, bytes);
  }

  private sendBetween({ address, localHost }: PathEnds, bytes: Uint8Array): void {
    this.transmits.push({ to: address, ...withoutUndefined({ from: localHost }), bytes });
  }
}
