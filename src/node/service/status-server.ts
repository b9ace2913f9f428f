/**
 * Serves the state of a receiver or a server over HTTP: /metrics for Prometheus, /healthz and /readyz for process
 * supervisors. Names and status codes are a stable interface (docs/COMMANDS.md).
 */
import type { Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { P2mpError } from '../../base/errors.js';
import type { Complaints, StatusSource } from './status-source.js';

export interface StatusServerOptions {
  readonly source: StatusSource;
  /** Host names to accept in requests, besides IP addresses, names without a dot and the name of this host. */
  readonly names?: readonly string[];
  /** Called if the server fails after its TCP port was opened; transfers continue. */
  readonly onError: (error: Error) => void;
}

export class StatusServer {
  private readonly alive: () => Promise<Complaints>;
  private readonly ready: () => Promise<Complaints>;
  private server: Server | undefined;

  constructor(private readonly options: StatusServerOptions) {
    const { source } = options;
    this.alive = oneAtATime(() => source.checkAlive());
    this.ready = oneAtATime(() => source.checkReady());
  }

  /**
   * @param host the address or name to listen on; if it is a name, requests may use this name too
   * @throws P2mpError PORT_UNAVAILABLE
   */
  async listen(host: string, port: number): Promise<AddressInfo> {
    const { names = [], source } = this.options;
    // Loaded on demand, because Node's HTTP server takes a command longer to load than most of its own code.
    const { createBoundedServer } = await import('./bounded-http.js');
    const metrics = await source.loadMetrics();
    const metricsText = oneAtATime(() => metrics.text());
    const server = createBoundedServer([host, ...names], async (path, response) => {
      if (path !== '/metrics') return this.answer(path, response);
      const text = await metricsText();
      response.setHeader('Content-Type', metrics.contentType);
      response.end(text);
    });
    this.server = server;
    return new Promise((resolve, reject) => {
      const fail = (error: Error) => {
        const message = `TCP ${host}:${port} for metrics: ${error.message}; choose another address or port`;
        reject(new P2mpError('PORT_UNAVAILABLE', message, { cause: error }));
      };
      server.once('error', fail);
      server.listen(port, host, () => {
        server.off('error', fail);
        server.on('error', this.options.onError);
        resolve(server.address() as AddressInfo);
      });
    });
  }

  async close(): Promise<void> {
    const { server } = this;
    if (server === undefined) return;
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }

  private async answer(path: string, response: ServerResponse): Promise<void> {
    switch (path) {
      case '/healthz':
        this.report(response, await this.alive());
        break;
      case '/readyz':
        this.report(response, await this.ready());
        break;
      default:
        response.writeHead(404).end('see /metrics, /healthz, /readyz\n');
    }
  }

  private report(response: ServerResponse, complaints: Complaints): void {
    const isGood = complaints.length === 0;
    const status = isGood ? { status: 'ok' } : { status: 'unavailable', reasons: complaints };
    const answer = { ...status, sessions: this.options.source.activeCount };
    response.writeHead(isGood ? 200 : 503, {
      'Content-Type': 'application/json',
      'Cache-Control': 'no-store',
    });
    response.end(`${JSON.stringify(answer)}\n`);
  }
}

/** Concurrent requests share one answer, so that they do not query the disk in parallel. */
function oneAtATime<T>(make: () => Promise<T>): () => Promise<T> {
  let running: Promise<T> | undefined;
  return () => {
    running ??= make().finally(() => {
      running = undefined;
    });
    return running;
  };
}
