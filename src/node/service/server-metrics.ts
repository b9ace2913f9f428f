/** Prometheus metrics of a server; their names are a stable interface (docs/COMMANDS.md). */
import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import type { Relaying } from '../relay/relaying.js';
import type { Serving } from '../serve/serving.js';

const statuses = ['complete', 'failed', 'refused', 'aborted'];

export class ServerMetrics {
  private readonly registry = new Registry();

  constructor(serving: Serving) {
    collectDefaultMetrics({ register: this.registry });
    this.addCounters(serving);
    this.addGauges(serving);
  }

  /** Adds what a relay has beside what any server has. */
  addRelay(relaying: Relaying): void {
    const registers = [this.registry];
    const counters = [
      ['p2mp_cache_hits_total', 'Fetches of objects that the cache held', 'hits'],
      ['p2mp_cache_misses_total', 'Fetches of objects that the cache did not hold', 'misses'],
      ['p2mp_upstream_bytes_total', 'Content bytes fetched from upstream hosts', 'fetchedBytes'],
      ['p2mp_cache_evictions_total', 'Objects removed from the cache', 'evictions'],
    ] as const;
    for (const [name, help, key] of counters) {
      new Counter({
        ...{ name, help, registers },
        collect() {
          this.reset();
          this.inc(relaying.totals()[key]);
        },
      });
    }
    new Gauge({
      name: 'p2mp_saved_bytes',
      help: 'Content bytes that clients received, less those fetched from upstream hosts',
      registers,
      collect() {
        const { receivedBytes, fetchedBytes } = relaying.totals();
        this.set(receivedBytes - fetchedBytes);
      },
    });
    new Gauge({
      name: 'p2mp_cache_bytes',
      help: 'What the cache takes on disk at most',
      registers,
      collect() {
        this.set(relaying.cacheSizeBytes);
      },
    });
  }

  get contentType(): string {
    return this.registry.contentType;
  }

  /** All metrics in the Prometheus text format. */
  text(): Promise<string> {
    return this.registry.metrics();
  }

  private addCounters(serving: Serving): void {
    const registers = [this.registry];
    new Counter({
      name: 'p2mp_clients_total',
      help: 'Fetches that ended',
      labelNames: ['status'],
      registers,
      collect() {
        const { clients } = serving.totals();
        this.reset();
        for (const status of statuses) this.inc({ status }, clients[status] ?? 0);
      },
    });
    const sums = [
      ['p2mp_served_bytes_total', 'Content bytes that clients received', 'receivedBytes'],
      ['p2mp_sent_datagrams_total', 'Data datagrams sent to clients', 'datagramsSent'],
      ['p2mp_multicast_datagrams_total', 'Those of them sent by multicast', 'groupDatagramsSent'],
      ['p2mp_repair_datagrams_total', 'Data datagrams sent again', 'repairs'],
      ['p2mp_changes_total', 'Changes of served files', 'changes'],
      ['p2mp_hashed_bytes_total', 'Content bytes read for indexes', 'hashedBytes'],
    ] as const;
    for (const [name, help, key] of sums) {
      new Counter({
        ...{ name, help, registers },
        collect() {
          this.reset();
          this.inc(serving.totals()[key]);
        },
      });
    }
    new Counter({
      name: 'p2mp_rejects_total',
      help: 'Rejected datagrams, by reason',
      labelNames: ['reason'],
      registers,
      collect() {
        this.reset();
        for (const [reason, count] of Object.entries(serving.totals().faults)) {
          this.inc({ reason }, count);
        }
      },
    });
  }

  private addGauges(serving: Serving): void {
    const registers = [this.registry];
    new Gauge({
      name: 'p2mp_active_clients',
      help: 'Clients that fetch',
      registers,
      collect() {
        this.set(serving.activeCount);
      },
    });
    new Gauge({
      name: 'p2mp_open_paths',
      help: 'Paths that carry data to clients with several paths',
      registers,
      collect() {
        const paths = serving.statuses().flatMap((client) => client.paths ?? []);
        this.set(paths.filter(({ isInUse }) => isInUse).length);
      },
    });
    new Gauge({
      name: 'p2mp_offered_bytes',
      help: 'Content of each path that can be fetched',
      labelNames: ['name', 'content_root'],
      registers,
      collect() {
        this.reset();
        for (const { name, contentRoot, contentSizeBytes } of serving.entries()) {
          if (contentRoot === undefined) continue;
          this.set({ name, content_root: contentRoot }, contentSizeBytes ?? 0);
        }
      },
    });
    new Gauge({
      name: 'p2mp_index_ratio',
      help: 'Share of each path whose index is there',
      labelNames: ['name'],
      registers,
      collect() {
        this.reset();
        for (const { name, contentRoot, indexing } of serving.entries()) {
          const share = indexing ? indexing.doneBytes / Math.max(1, indexing.totalBytes) : 0;
          this.set({ name }, contentRoot === undefined ? share : 1);
        }
      },
    });
  }
}
