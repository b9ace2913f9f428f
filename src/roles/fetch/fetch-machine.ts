/** One fetch as a machine on a port of its own. */
import type { Address } from '../../base/address.js';
import type { Machine, TimeMs, Transmit } from '../../base/machine.js';
import type { Refusal } from '../../base/refusal.js';
import { Endpoint } from '../../endpoint/endpoint.js';
import type { AwaitedAnswer } from '../../session/asks/asker-options.js';
import type { ReceiverSpec } from '../../transfer/receiver-spec.js';
import { standardBlockSizeBytes } from '../../wire/sizes.js';
import type { FetchOptions } from './fetch.js';
import { Fetch } from './fetch.js';
import type { FetchReport } from './fetch-events.js';
import type { FetchPortOptions } from './fetch-port.js';
import { FetchPort } from './fetch-port.js';
import type { FetchActivity, FetchRoleEvent } from './fetch-result.js';

export type FetchMachineOptions = Omit<FetchOptions, 'port'> &
  Omit<FetchPortOptions, 'blockSizeBytes'>;

export class FetchMachine implements Machine<FetchRoleEvent> {
  private readonly port: FetchPort;
  private readonly endpoint: Endpoint;
  private readonly fetch: Fetch;
  private hasStarted = false;

  constructor(options: FetchMachineOptions) {
    const { blockSizeBytes = standardBlockSizeBytes } = options;
    this.port = new FetchPort({ ...options, blockSizeBytes });
    const { receiver, asker } = this.port;
    this.endpoint = new Endpoint({ receiver, asker });
    this.fetch = new Fetch({ ...options, port: this.port });
  }

  get activity(): FetchActivity {
    return this.fetch.activity;
  }

  /** Undefined until the content is chosen. */
  get contentSizeBytes(): number | undefined {
    return this.fetch.object?.contentSizeBytes;
  }

  /** Whether the fetch has ended, and no source waits for anything. */
  get isIdle(): boolean {
    return this.activity === 'ended' && this.port.isIdle;
  }

  /** Whether it has ended, and the sources know that, except those from which no prompt answer can be expected. */
  get isConfirmed(): boolean {
    return this.fetch.isConfirmed;
  }

  /** What each source contributes; undefined before blocks are asked for. */
  report(nowMs: TimeMs): FetchReport | undefined {
    return this.fetch.report(nowMs);
  }

  /** Adds a source to the running fetch. @returns false if it takes part already, or has lied */
  join(nowMs: TimeMs, spec: ReceiverSpec): boolean {
    return this.fetch.join(nowMs, spec);
  }

  /** Answers an `identify` event: trusts the source, or excludes it for this reason. */
  trust(nowMs: TimeMs, ask: number, refusal?: string): void {
    this.fetch.trust(nowMs, ask, refusal);
    this.pump(nowMs);
  }

  /** Uses a source no more. It is identified by the object with which it came. */
  leave(nowMs: TimeMs, spec: ReceiverSpec, reason: string): void {
    this.fetch.leave(nowMs, spec, reason);
  }

  /** The asks that wait for answers, and the addresses from which these can come. */
  awaited(): Iterable<AwaitedAnswer> {
    return this.port.asker.awaited();
  }

  /** Handles an ICMP error: datagrams to a source go no further. */
  handleRefusal(nowMs: TimeMs, ask: number, at: Address, refusal: Refusal): void {
    this.port.asker.handleRefusal(ask, at, refusal);
    this.fetch.handleRefusal(nowMs);
    this.pump(nowMs);
  }

  /** Stops the fetch. What has arrived is kept for the next one. */
  abort(nowMs: TimeMs, reason: string): void {
    this.fetch.abort(nowMs, reason);
  }

  handleDatagram(nowMs: TimeMs, from: Address, bytes: Uint8Array): void {
    this.endpoint.handleDatagram(nowMs, from, bytes);
    this.pump(nowMs);
  }

  handleTimeout(nowMs: TimeMs): void {
    if ((this.endpoint.pollTimeout() ?? Infinity) <= nowMs) this.endpoint.handleTimeout(nowMs);
    this.pump(nowMs);
    this.fetch.handleTimeout(nowMs);
  }

  /** Asks all sources, unless that is done. The first `pollTransmit` does it, too. */
  start(nowMs: TimeMs): void {
    if (this.hasStarted) return;
    this.hasStarted = true;
    this.fetch.start(nowMs);
  }

  pollTransmit(nowMs: TimeMs): Transmit | undefined {
    this.start(nowMs);
    return this.endpoint.pollTransmit(nowMs);
  }

  pollTimeout(): TimeMs | undefined {
    const ownAtMs = this.fetch.pollTimeout() ?? Infinity;
    const atMs = Math.min(this.endpoint.pollTimeout() ?? Infinity, ownAtMs);
    return atMs === Infinity ? undefined : atMs;
  }

  pollEvent(): FetchRoleEvent | undefined {
    return this.fetch.pollEvent();
  }

  /** Passes on what the port reports. */
  private pump(nowMs: TimeMs): void {
    const { endpoint, fetch, port } = this;
    for (let event = endpoint.pollEvent(); event !== undefined; event = endpoint.pollEvent())
      if (!fetch.takeEvent(nowMs, event)) port.discard(nowMs, event);
    fetch.advance(nowMs);
  }
}
