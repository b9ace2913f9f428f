/** A relay that sends objects on, as a machine on one port. */
import type { Address } from '../../base/address.js';
import type { Machine, TimeMs, Transmit } from '../../base/machine.js';
import type { Refusal } from '../../base/refusal.js';
import { Endpoint } from '../../endpoint/endpoint.js';
import { BusyHost } from '../../session/drivers/busy-host.js';
import { SessionReceiver } from '../../session/receiver.js';
import type { SessionReceiverOptions } from '../../session/receiver-options.js';
import type { SessionSender } from '../../session/sender.js';
import { hopSizeBytes } from '../../wire/asks.js';
import type { ForwardEvent, ForwarderOptions } from './forwarder.js';
import { Forwarder } from './forwarder.js';

export interface ForwardMachineOptions
  extends Omit<SessionReceiverOptions, 'ownHop'>,
    Pick<ForwarderOptions, 'receivers' | 'stores' | 'createTerms' | 'host'> {}

export class ForwardMachine implements Machine<ForwardEvent> {
  readonly receiver: SessionReceiver;
  readonly forwarder: Forwarder;
  private readonly endpoint: Endpoint;
  private readonly host: BusyHost;

  constructor(options: ForwardMachineOptions) {
    const { host, crypto } = options;
    const ownHop = crypto.random(hopSizeBytes);
    const receiver = new SessionReceiver({ ...options, ownHop });
    this.receiver = receiver;
    this.endpoint = new Endpoint({ receiver });
    this.host = new BusyHost(host);
    const { endpoint } = this;
    this.forwarder = new Forwarder({ ...options, receiver, endpoint, ownHop, host: this.host });
  }

  /** Answers an `identify` event: the relay trusts the receiver, or does without it for this reason. */
  trust(
    nowMs: TimeMs,
    sender: SessionSender,
    index: number,
    receiverKey: Uint8Array,
    refusal?: string,
  ): void {
    this.host.during(() => {
      this.forwarder.trust(nowMs, sender, index, receiverKey, refusal);
      this.pump();
    });
  }

  /** Handles an ICMP error: datagrams do not reach a receiver that `awaited` of the forwarder named. */
  handleRefusal(index: number, at: Address, refusal: Refusal): void {
    this.host.during(() => {
      this.forwarder.handleRefusal(index, at, refusal);
      this.pump();
    });
  }

  handleDatagram(nowMs: TimeMs, from: Address, bytes: Uint8Array): void {
    this.host.during(() => {
      this.endpoint.handleDatagram(nowMs, from, bytes);
      this.pump();
    });
  }

  handleTimeout(nowMs: TimeMs): void {
    this.host.during(() => {
      if ((this.endpoint.pollTimeout() ?? Infinity) <= nowMs) this.endpoint.handleTimeout(nowMs);
      this.forwarder.handleTimeout(nowMs);
      this.pump();
    });
  }

  pollTransmit(nowMs: TimeMs): Transmit | undefined {
    return this.endpoint.pollTransmit(nowMs);
  }

  pollTimeout(): TimeMs | undefined {
    const forwarderAtMs = this.forwarder.pollTimeout();
    const atMs = Math.min(this.endpoint.pollTimeout() ?? Infinity, forwarderAtMs);
    return atMs === Infinity ? undefined : atMs;
  }

  pollEvent(): ForwardEvent | undefined {
    return this.host.during(() => {
      this.pump();
      return this.forwarder.pollEvent();
    });
  }

  private pump(): void {
    const { endpoint, forwarder } = this;
    for (let event = endpoint.pollEvent(); event !== undefined; event = endpoint.pollEvent())
      forwarder.handleEvent(event);
  }
}
