/** `--metrics`: the state of a command that runs as a service, over HTTP. */
import { formatAddress } from '../../base/address.js';
import { P2mpError } from '../../base/errors.js';
import { StatusServer } from '../../node/service/status-server.js';
import type { StatusSource } from '../../node/service/status-source.js';
import { parseServer } from '../arguments.js';
import { single } from '../command.js';
import type { Output } from '../output/output.js';

/** Default port of metrics and health checks. */
const metricsPort = 9735;

/** The parsed options of the state over HTTP. */
export interface StatusArguments {
  readonly metrics: string | undefined;
  readonly 'metrics-name': string[] | undefined;
}

/**
 * @returns undefined without `--metrics`
 * @throws P2mpError INVALID_ARGUMENT, PORT_UNAVAILABLE
 */
export async function serveStatus(
  argv: StatusArguments,
  source: StatusSource,
  output: Output,
): Promise<StatusServer | undefined> {
  const names = argv['metrics-name'] ?? [];
  if (argv.metrics === undefined) {
    if (names.length === 0) return undefined;
    throw new P2mpError(
      'INVALID_ARGUMENT',
      '--metrics-name has no effect without --metrics; give both',
    );
  }
  const text = single('metrics', argv.metrics);
  // Without a host, bind the port to loopback only, because metrics reveal names of senders and objects.
  const { host, port } = parseServer(
    /^:?\d+$/.test(text) ? `127.0.0.1:${text.replace(':', '')}` : text,
    metricsPort,
    0,
  );
  const server = new StatusServer({
    ...{ source, names },
    onError: ({ message }) => output.warn(`metrics: ${message}; transfers continue`),
  });
  const { address, port: bound } = await server.listen(host, port);
  const shown = formatAddress({ host: address, port: bound });
  output.line(`Serving metrics at http://${shown}/metrics`);
  output.json({ event: 'metrics', address: shown });
  return server;
}
