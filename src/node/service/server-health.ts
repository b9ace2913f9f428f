/** Liveness and readiness of a server, for process supervisors. */
import type { Relaying } from '../relay/relaying.js';
import type { Serving } from '../serve/serving.js';
import { checkSockets } from './health.js';
import type { Complaints, StatusSource } from './status-source.js';

/** The state of a server, for HTTP. */
export function serverStatus(serving: Serving): StatusSource {
  return {
    get activeCount() {
      return serving.activeCount;
    },
    checkAlive: async () => checkSockets(serving),
    checkReady: async () => [...checkSockets(serving), ...checkOffers(serving)],
    loadMetrics: async () => {
      const { ServerMetrics } = await import('./server-metrics.js');
      return new ServerMetrics(serving);
    },
  };
}

/** The state of a relay, for HTTP. It is ready if it takes clients. */
export function relayStatus(relaying: Relaying): StatusSource {
  return {
    ...serverStatus(relaying.server),
    get activeCount() {
      return relaying.activeCount;
    },
    loadMetrics: async () => {
      const { ServerMetrics } = await import('./server-metrics.js');
      const metrics = new ServerMetrics(relaying.server);
      metrics.addRelay(relaying);
      return metrics;
    },
  };
}

/** A server is ready if it takes clients, and each of its paths can be fetched. */
function checkOffers(serving: Serving): Complaints {
  const { refusal } = serving;
  const missing = serving.entries().flatMap(({ name, contentRoot, reason }) => {
    if (contentRoot !== undefined) return [];
    return [reason ?? `${name}: is being indexed`];
  });
  return refusal === undefined ? missing : [refusal, ...missing];
}
