/** Prometheus metrics of a receiver; their names are a stable interface (docs/COMMANDS.md). */
import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import type { ReceivingState } from '../receive/receiving-totals.js';
import type { CommandCounts, CommandStatus } from './command-queue.js';

/** The queue of --on-complete commands. */
export interface CommandSource {
  readonly counts: CommandCounts;
}

export class ReceiverMetrics {
  private readonly registry = new Registry();
  private readonly sessions: Counter<'status'>;
  private readonly received: Counter;
  private readonly datagrams: Counter;
  private readonly duplicates: Counter;
  private readonly repairs: Counter;
  private readonly rejects: Counter<'reason'>;
  private readonly internalErrors: Counter;
  private counted: Readonly<Record<string, number>> = {};

  constructor(
    private readonly receiving: ReceivingState,
    commands?: CommandSource,
  ) {
    const registers = [this.registry];
    collectDefaultMetrics({ register: this.registry });
    this.sessions = new Counter({
      name: 'p2mp_sessions_total',
      help: 'Sessions that ended',
      labelNames: ['status'],
      registers,
    });
    for (const status of ['complete', 'failed', 'refused']) this.sessions.inc({ status }, 0);
    this.received = new Counter({
      name: 'p2mp_received_bytes_total',
      help: 'Content bytes received, without duplicates',
      registers,
    });
    this.datagrams = new Counter({
      name: 'p2mp_data_datagrams_total',
      help: 'Data datagrams received',
      registers,
    });
    this.duplicates = new Counter({
      name: 'p2mp_duplicate_datagrams_total',
      help: 'Data datagrams whose content had already been received',
      registers,
    });
    this.repairs = new Counter({
      name: 'p2mp_bad_blocks_total',
      help: 'Corrupt blocks that were requested again',
      registers,
    });
    this.rejects = new Counter({
      name: 'p2mp_rejects_total',
      help: 'Rejected datagrams and sessions, by reason',
      labelNames: ['reason'],
      registers,
    });
    this.internalErrors = new Counter({
      name: 'p2mp_internal_errors_total',
      help: 'Internal errors (bugs in p2mp); each ended at most one session',
      registers,
    });
    this.addGauges();
    addPaths(this.registry, receiving);
    addLastComplete(this.registry, receiving);
    if (commands !== undefined) addCommands(this.registry, commands);
  }

  get contentType(): string {
    return this.registry.contentType;
  }

  /** All metrics in the Prometheus text format. */
  async text(): Promise<string> {
    this.collect();
    return this.registry.metrics();
  }

  private addGauges(): void {
    const registers = [this.registry];
    const { receiving } = this;
    new Gauge({
      name: 'p2mp_active_sessions',
      help: 'Sessions under way',
      registers,
      collect() {
        this.set(receiving.statuses().length);
      },
    });
    new Gauge({
      name: 'p2mp_buffered_bytes',
      help: 'Bytes of blocks that are incomplete or not yet written',
      registers,
      collect() {
        this.set(receiving.bufferedBytes);
      },
    });
    new Gauge({
      name: 'p2mp_session_loss_ratio',
      help: 'Share of lost segments, per active session',
      labelNames: ['sender', 'label'],
      registers,
      collect() {
        this.reset();
        for (const { from, label, lossRatio } of receiving.statuses()) {
          this.set({ sender: from, label }, lossRatio);
        }
      },
    });
    new Gauge({
      name: 'p2mp_session_rtt_seconds',
      help: 'Round-trip time of the handshake, per active session',
      labelNames: ['sender', 'label'],
      registers,
      collect() {
        this.reset();
        for (const { from, label, rttMs } of receiving.statuses()) {
          if (rttMs !== undefined) this.set({ sender: from, label }, rttMs / 1000);
        }
      },
    });
    new Gauge({
      name: 'p2mp_session_held_ratio',
      help: 'Share of the content that this receiver holds, per active session',
      labelNames: ['sender', 'label'],
      registers,
      collect() {
        this.reset();
        for (const { from, label, heldBytes, contentSizeBytes } of receiving.statuses()) {
          this.set(
            { sender: from, label },
            contentSizeBytes === 0 ? 1 : heldBytes / contentSizeBytes,
          );
        }
      },
    });
  }

  /** Adds what the receiver has counted since the last call. */
  private collect(): void {
    const totals = this.receiving.totals();
    const { faults, ...sums } = totals;
    const now: Record<string, number> = { ...sums };
    for (const [kind, count] of Object.entries(faults)) now[`fault ${kind}`] = count;
    const grown = (key: string) => Math.max(0, (now[key] ?? 0) - (this.counted[key] ?? 0));
    for (const status of ['complete', 'failed', 'refused']) {
      this.sessions.inc({ status }, grown(status));
    }
    this.received.inc(grown('receivedBytes'));
    this.datagrams.inc(grown('datagramsReceived'));
    this.duplicates.inc(grown('duplicates'));
    this.repairs.inc(grown('badBlocks'));
    this.internalErrors.inc(grown('internalErrors'));
    for (const kind of Object.keys(faults)) {
      this.rejects.inc({ reason: kind }, grown(`fault ${kind}`));
    }
    this.counted = now;
  }
}

/** What has arrived by each of several paths. */
function addPaths(registry: Registry, receiving: ReceivingState): void {
  new Gauge({
    name: 'p2mp_session_path_datagrams',
    help: 'Data datagrams received, per path of active sessions with several paths',
    labelNames: ['sender', 'label', 'path'],
    registers: [registry],
    collect() {
      this.reset();
      for (const { from, label, paths = [] } of receiving.statuses()) {
        for (const { number: path, datagramsReceived } of paths)
          this.set({ sender: from, label, path: String(path) }, datagramsReceived);
      }
    },
  });
}

/** What arrived last, so that others can compare it. */
function addLastComplete(registry: Registry, receiving: ReceivingState): void {
  new Gauge({
    name: 'p2mp_last_complete_timestamp_seconds',
    help: 'When the latest complete session ended, and what it brought',
    labelNames: ['sender', 'label', 'manifest_digest', 'content_root'],
    registers: [registry],
    collect() {
      this.reset();
      const { lastComplete } = receiving;
      if (lastComplete === undefined) return;
      const { from, label, manifestDigest, contentRoot = '' } = lastComplete.result;
      const labels = { manifest_digest: manifestDigest, content_root: contentRoot };
      this.set({ sender: from, label, ...labels }, lastComplete.endedAtMs / 1000);
    },
  });
}

/** Metrics of --on-complete. */
function addCommands(registry: Registry, commands: CommandSource): void {
  const registers = [registry];
  let counted: Partial<Record<CommandStatus, number>> = {};
  new Counter({
    name: 'p2mp_on_complete_total',
    help: '--on-complete commands, by outcome',
    labelNames: ['status'],
    registers,
    collect() {
      const { ended } = commands.counts;
      for (const status of Object.keys(ended) as CommandStatus[]) {
        this.inc({ status }, ended[status] - (counted[status] ?? 0));
      }
      counted = ended;
    },
  });
  new Gauge({
    name: 'p2mp_on_complete_running',
    help: '--on-complete commands that are running',
    registers,
    collect() {
      this.set(commands.counts.running);
    },
  });
  new Gauge({
    name: 'p2mp_on_complete_waiting',
    help: '--on-complete commands that are waiting',
    registers,
    collect() {
      this.set(commands.counts.waiting);
    },
  });
}
