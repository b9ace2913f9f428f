/** What the HTTP server of a service reports. */

/** What is wrong; empty if nothing is. */
export type Complaints = readonly string[];

/** What the HTTP server reports about a receiver or a server. */
export interface StatusSource {
  /** Number of sessions under way. */
  readonly activeCount: number;
  checkAlive(): Promise<Complaints>;
  checkReady(): Promise<Complaints>;
  /** Called once, because loading the packages for metrics takes as long as loading the rest of a receiver. */
  loadMetrics(): Promise<MetricsSource>;
}

export interface MetricsSource {
  readonly contentType: string;
  /** All metrics in the Prometheus text format. */
  text(): Promise<string>;
}
