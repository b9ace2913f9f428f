/**
 * An HTTP server that cannot starve its process: it limits connections, their lifetime and the request rate.
 * It also rejects requests from web pages that point their own domain to this host (DNS rebinding).
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { isIP, type Socket } from 'node:net';
import { hostname } from 'node:os';

export const httpLimits = {
  /**
   * Maximum number of open connections. A further connection closes the oldest one, so that idle connections
   * lock nobody out.
   */
  connections: 16,
  /** Time limit for receiving a whole request, including its headers. */
  requestTimeoutMs: 5_000,
  /** Time after which an idle connection is closed, both during a response and between requests. */
  idleTimeoutMs: 5_000,
  requestsPerSec: 50,
  headerBytes: 8 * 1024,
};

export type HttpHandler = (path: string, response: ServerResponse) => Promise<void>;

/**
 * Creates a server for GET and HEAD requests.
 * @param names host names to accept besides IP addresses, names without a dot and the name of this host
 */
export function createBoundedServer(names: readonly string[], handle: HttpHandler): Server {
  const { connections, requestTimeoutMs, idleTimeoutMs, headerBytes } = httpLimits;
  const isKnown = knowHosts([hostname(), ...names]);
  const isTooMany = limitRate();
  const server = createServer({
    maxHeaderSize: headerBytes,
    headersTimeout: requestTimeoutMs,
    requestTimeout: requestTimeoutMs,
    keepAliveTimeout: idleTimeoutMs,
    connectionsCheckingInterval: 1_000,
  });
  server.timeout = idleTimeoutMs;
  const open = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    const [oldest] = open;
    if (open.size >= connections) oldest?.destroy();
    open.add(socket);
    socket.once('close', () => open.delete(socket));
  });
  server.on('request', (request, response) => {
    const refusal = refuse(request, isKnown, isTooMany);
    if (refusal !== undefined) {
      // Do not read the rest of the request, such as a body.
      response.shouldKeepAlive = false;
      response.once('finish', () => request.socket.destroySoon());
      response.writeHead(refusal[0], { 'Content-Type': 'text/plain' }).end(`${refusal[1]}\n`);
      return;
    }
    handle(pathOf(request), response).catch((error: unknown) => {
      response.destroy(error instanceof Error ? error : undefined);
    });
  });
  return server;
}

function refuse(
  { method, headers }: IncomingMessage,
  isKnown: (host: string) => boolean,
  isTooMany: () => boolean,
): readonly [code: number, text: string] | undefined {
  if (isTooMany()) return [429, 'too many requests; ask less often'];
  // HTTP/1.0 requires no Host header, but every browser sends one.
  if (headers.host !== undefined && !isKnown(headers.host)) {
    return [421, 'unknown host name; use an IP address, or add this name with --metrics-name'];
  }
  const hasBody = 'content-length' in headers || 'transfer-encoding' in headers;
  if ((method !== 'GET' && method !== 'HEAD') || hasBody)
    return [405, 'only GET and HEAD are supported'];
  return undefined;
}

function pathOf({ url = '/' }: IncomingMessage): string {
  return url.replace(/\?.*/, '');
}

/**
 * Creates a check of host names. A web page can point its own domain to this host, but an IP address or a
 * name without a dot cannot be such a domain.
 */
function knowHosts(names: readonly string[]): (host: string) => boolean {
  const known = new Set(names.map((name) => name.toLowerCase()));
  return (host) => {
    const name = host
      .replace(/:\d*$/, '')
      .replace(/^\[(.*)\]$/, '$1')
      .replace(/\.$/, '')
      .toLowerCase();
    return isIP(name) !== 0 || !name.includes('.') || known.has(name);
  };
}

function limitRate(): () => boolean {
  let second = 0;
  let requests = 0;
  return () => {
    const now = Math.floor(performance.now() / 1000);
    if (now !== second) {
      second = now;
      requests = 0;
    }
    requests++;
    return requests > httpLimits.requestsPerSec;
  };
}
