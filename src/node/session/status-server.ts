/**
 * What a receiver tells of itself over HTTP: /metrics for Prometheus, /healthz and /readyz for whoever keeps
 * it running. The names and codes are a stable interface (docs/COMMANDS.md).
 */
import type { Server, ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { P2mpError } from '../../errors.js';
import { type Complaints, checkAlive, checkReady } from './health.js';
import { type CommandSource, ReceiverMetrics } from './metrics.js';
import type { Receiving } from './receive.js';

export class StatusServer {
  private readonly metrics: ReceiverMetrics;
  private server: Server | undefined;

  constructor(
    private readonly receiving: Receiving,
    commands?: CommandSource,
  ) {
    this.metrics = new ReceiverMetrics(receiving, commands);
  }

  /** @throws P2mpError PORT_UNAVAILABLE */
  async listen(host: string | undefined, port: number): Promise<AddressInfo> {
    const server = createServer((request, response) => {
      this.answer(request.url?.replace(/\?.*/, ''), response).catch((error: unknown) => {
        response.destroy(error instanceof Error ? error : undefined);
      });
    });
    this.server = server;
    return new Promise((resolve, reject) => {
      server.once('error', (error) => {
        const message = `TCP ${host ?? ''}:${port} for metrics: ${error.message}; choose another address or port`;
        reject(new P2mpError('PORT_UNAVAILABLE', message, { cause: error }));
      });
      server.listen(port, host, () => resolve(server.address() as AddressInfo));
    });
  }

  async close(): Promise<void> {
    const { server } = this;
    if (server === undefined) return;
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }

  private async answer(path: string | undefined, response: ServerResponse): Promise<void> {
    const { receiving, metrics } = this;
    switch (path) {
      case '/metrics':
        response.setHeader('Content-Type', metrics.contentType);
        response.end(await metrics.text());
        break;
      case '/healthz':
        this.tell(response, await checkAlive(receiving));
        break;
      case '/readyz':
        this.tell(response, await checkReady(receiving));
        break;
      default:
        response.writeHead(404).end('see /metrics, /healthz, /readyz\n');
    }
  }

  private tell(response: ServerResponse, complaints: Complaints): void {
    const isGood = complaints.length === 0;
    const status = isGood ? { status: 'ok' } : { status: 'unavailable', reasons: complaints };
    const answer = { ...status, sessions: this.receiving.activeCount };
    response.writeHead(isGood ? 200 : 503, {
      'Content-Type': 'application/json',
      'Cache-Control': 'no-store',
    });
    response.end(`${JSON.stringify(answer)}\n`);
  }
}
