/** Sends a session from a simulated host: provides the source's content and measures the sender's traffic. */
import { at } from '../../base/assert.js';
import type { Machine, TimeMs } from '../../base/machine.js';
import type { Range } from '../../base/range-set.js';
import { withoutUndefined } from '../../base/without-undefined.js';
import type { Manifest } from '../../object/manifest.js';
import { createManifest, encodeManifest } from '../../object/manifest.js';
import { MemorySource } from '../../object/memory-source.js';
import { SourceDriver } from '../../session/drivers/source-driver.js';
import { SessionSender } from '../../session/sender.js';
import type { SessionSenderEvent, SessionSenderResult } from '../../session/sender-events.js';
import type { ReceiverSpec } from '../../transfer/receiver-spec.js';
import type { Role, SimulatedHost } from '../host.js';
import { furtherAddresses } from '../link-pairs.js';
import type { NonceLog } from '../session-crypto.js';
import { createSimulatedCrypto } from '../session-crypto.js';
import type { SettledReceiver, SimulatedSessionOptions } from '../session-transfer-options.js';
import { furtherCountOf } from '../session-transfer-options.js';
import { Simulation } from '../simulation.js';

/** Why a sender stops if its source can no longer provide the object. */
export const sourceHasChanged = 'the source has changed';

/** Multicast address used by sessions with a group. */
export const simulatedGroup = '239.77.35.1';

/** Where each file of such a manifest is in the content. */
export function placesOfFiles(contentSizeBytes: number, fileCount: number): readonly Range[] {
  let end = 0;
  return createManifestOfFiles(contentSizeBytes, fileCount).entries.map((entry) => {
    const start = end;
    if (entry.kind === 'file') end += entry.sizeBytes;
    return { start, end };
  });
}

/** Creates a manifest that divides the content into files of about equal size. */
export function createManifestOfFiles(contentSizeBytes: number, fileCount: number): Manifest {
  const sizeBytes = Math.floor(contentSizeBytes / fileCount);
  const names = Array.from({ length: fileCount }, (_, i) => `file ${i}`).sort();
  return createManifest(
    names.map((name, i) => ({
      kind: 'file' as const,
      name,
      mode: 0o644,
      modifiedMs: 0,
      sizeBytes: i === 0 ? contentSizeBytes - (fileCount - 1) * sizeBytes : sizeBytes,
    })),
  );
}

/** A session sender as a role of a simulated host. A host that is started again begins a new session. */
export class SessionSenderRole implements Role<SessionSenderEvent> {
  readonly results: SessionSenderResult[] = [];
  settled: SettledReceiver[] = [];
  datagramsAfterEnd = 0;
  maxReportsPerSec = 0;
  readonly reportsBySecond: number[] = [];
  private endedAtMs: TimeMs = Infinity;
  private lives = 0;
  private host: SimulatedHost | undefined;
  private driver: SourceDriver | undefined;
  private machine: SessionSender | undefined;
  private reportsTaken = 0;
  /** Datagrams that arrived after the session's end and have not been answered yet. */
  private asked = 0;
  /** Arrival times of all reports. The reports of the last second begin at index `firstOfSecond`. */
  private readonly reportTimes: TimeMs[] = [];
  private firstOfSecond = 0;

  constructor(
    private readonly simulation: Simulation,
    private readonly content: Uint8Array,
    private readonly options: SimulatedSessionOptions,
    private readonly nonces: NonceLog | undefined,
  ) {}

  boot(host: SimulatedHost): Machine<SessionSenderEvent> {
    const { options, content } = this;
    this.host = host;
    const { seed, fileCount = 1 } = options;
    const furtherCount = furtherCountOf(options);
    const isLate = (receiver: number) => this.joinAtMs(receiver) > this.simulation.nowMs;
    const present = this.receivers.filter((receiver) => !isLate(receiver));
    this.lives++;
    this.reportsTaken = 0;
    this.asked = 0;
    this.settled = [];
    this.machine = new SessionSender({
      ...options,
      receivers: present.map((receiver) => this.specOf(receiver)),
      label: 'simulated',
      manifest: encodeManifest(createManifestOfFiles(content.length, fileCount)),
      contentSizeBytes: content.length,
      // The key stays the same across restarts; the random numbers do not.
      crypto: {
        ...createSimulatedCrypto(seed, 'sender', this.nonces),
        random: createSimulatedCrypto(seed, `sender ${this.lives}`).random,
      },
      ...(furtherCount > 0 && {
        localHosts: ['sender', ...furtherAddresses('sender', furtherCount)],
      }),
      ...(options.hasGroup === true ? { group: Simulation.address(simulatedGroup) } : {}),
    });
    const { simulation } = this;
    const { sourceTimeMs: readTimeMs } = options;
    const timing = { clock: simulation, ...withoutUndefined({ readTimeMs }) };
    // Zeros take the place of what can no longer be read.
    const readable = content.slice();
    this.driver = new SourceDriver(MemorySource.of(readable, timing), host);
    this.scheduleLosses(this.machine, readable);
    const numbers = new Map(present.map((receiver, number) => [receiver, number]));
    for (const receiver of this.receivers) this.scheduleChanges(this.machine, receiver, numbers);
    return options.wrapSender?.(this.machine) ?? this.machine;
  }

  /** Receivers by their index in the options. The sender numbers them in the order in which they join. */
  private get receivers(): number[] {
    return Array.from({ length: this.options.receiverCount }, (_, i) => i);
  }

  private specOf(receiver: number): ReceiverSpec {
    const { namesAllAddresses = false, receivers = [], furtherPaths = [] } = this.options;
    const name = `r${receiver + 1}`;
    const spec = { name, address: Simulation.address(name) };
    if (!namesAllAddresses) return spec;
    const count = (receivers[receiver]?.furtherPaths ?? furtherPaths).length;
    const otherAddresses = furtherAddresses(receiver, count).map((host) =>
      Simulation.address(host),
    );
    return { ...spec, otherAddresses };
  }

  private joinAtMs(receiver: number): TimeMs {
    return this.options.receivers?.[receiver]?.joinAtMs ?? 0;
  }

  /** @param numbers the sender's numbers of the receivers that have joined */
  private scheduleChanges(
    machine: SessionSender,
    receiver: number,
    numbers: Map<number, number>,
  ): void {
    const { host, simulation } = this;
    const leaveAtMs = this.options.receivers?.[receiver]?.leaveAtMs;
    if (!numbers.has(receiver)) {
      host?.at(this.joinAtMs(receiver), () => {
        if (!machine.isDone)
          numbers.set(receiver, machine.join(simulation.nowMs, this.specOf(receiver)));
      });
    }
    if (leaveAtMs === undefined || leaveAtMs < simulation.nowMs) return;
    host?.at(leaveAtMs, () => {
      const number = numbers.get(receiver);
      if (number !== undefined) machine.leave(simulation.nowMs, number, 'is no longer needed');
    });
  }

  private scheduleLosses(machine: SessionSender, readable: Uint8Array): void {
    const { host, simulation, options } = this;
    const places = placesOfFiles(readable.length, options.fileCount ?? 1);
    for (const { atMs, file, reason = 'removed' } of options.lostFiles ?? []) {
      host?.at(Math.max(atMs, simulation.nowMs), () => {
        const { start, end } = at(places, file);
        const entry = { index: file, reason };
        const entries = [{ ...entry, offsetBytes: start, sizeBytes: end - start }];
        if (machine.isDone) return;
        readable.fill(0, start, end);
        if (!machine.withdraw(simulation.nowMs, entries))
          machine.abort(simulation.nowMs, sourceHasChanged, true);
        host?.drain();
      });
    }
  }

  handleEvent(event: SessionSenderEvent): void {
    const { simulation, machine } = this;
    if (machine === undefined) return;
    this.driver?.handleEvent(machine, event);
    switch (event.type) {
      case 'receiver':
        this.settled.push({ atMs: simulation.nowMs, outcome: event.outcome });
        break;
      case 'source-changed':
        machine.abort(simulation.nowMs, sourceHasChanged, true);
        break;
      case 'identify':
        machine.trust(simulation.nowMs, event.index);
        break;
      case 'done':
        this.results.push(event.result);
        this.endedAtMs = simulation.nowMs;
        break;
    }
  }

  handleKill(): void {
    this.driver?.stop();
    this.machine = undefined;
    this.endedAtMs = Infinity;
  }

  handleTransmit(): void {
    const { machine, simulation } = this;
    // Datagrams sent at the instant when the session ends are the final notifications to receivers.
    if (machine?.isDone !== true || simulation.nowMs === this.endedAtMs) return;
    // Each datagram that arrives after the end is allowed one answer: the receiver might have missed its
    // notification.
    if (this.asked > 0) this.asked--;
    else this.datagramsAfterEnd++;
  }

  handleTaken(): void {
    const { machine, simulation, reportTimes } = this;
    const { nowMs } = simulation;
    if (machine?.isDone === true) this.asked++;
    const taken = machine?.reportCount ?? this.reportsTaken;
    if (taken === this.reportsTaken) return;
    this.reportsTaken = taken;
    const second = Math.floor(nowMs / 1000);
    while (this.reportsBySecond.length <= second) this.reportsBySecond.push(0);
    this.reportsBySecond[second] = (this.reportsBySecond[second] as number) + 1;
    reportTimes.push(nowMs);
    while ((reportTimes[this.firstOfSecond] as number) <= nowMs - 1000) this.firstOfSecond++;
    const count = reportTimes.length - this.firstOfSecond;
    this.maxReportsPerSec = Math.max(this.maxReportsPerSec, count);
  }
}
