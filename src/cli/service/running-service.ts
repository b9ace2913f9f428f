/** Commands that run as services: how they begin to listen, and how signals end them. */
import type { Address } from '../../base/address.js';
import { formatAddress } from '../../base/address.js';
import type { Offload } from '../../node/net/offload/offload-socket.js';
import type { StatusServer } from '../../node/service/status-server.js';
import type { StatusSource } from '../../node/service/status-source.js';
import { onInterrupt } from '../command.js';
import type { ExitCode } from '../exit-code.js';
import { exitCode } from '../exit-code.js';
import type { Interrupt } from '../interrupts.js';
import type { Output } from '../output/output.js';
import type { StatusArguments } from './status-service.js';
import { serveStatus } from './status-service.js';

/** What runs until it is stopped. */
interface RunningService {
  readonly addresses: Address[];
  readonly offload: Offload;
  /** Number of sessions or clients that have not ended. */
  readonly activeCount: number;
  readonly closed: Promise<void>;
  drain(timeoutMs: number): Promise<boolean>;
  close(reason: string): Promise<void>;
}

/**
 * Serves the state of a service, and reports that it listens.
 * @param role what the service is, such as `server`
 * @throws P2mpError INVALID_ARGUMENT, PORT_UNAVAILABLE; the service is closed then
 */
export async function reportListening(
  service: RunningService,
  role: string,
  status: StatusSource,
  argv: StatusArguments,
  output: Output,
): Promise<StatusServer | undefined> {
  let server: StatusServer | undefined;
  try {
    server = await serveStatus(argv, status, output);
  } catch (error) {
    await service.close(`this ${role} failed to start`);
    throw error;
  }
  const { addresses, offload } = service;
  output.json({ event: 'listening', addresses: addresses.map(formatAddress), offload });
  return server;
}

export interface ServiceStopOptions {
  readonly output: Output;
  /** How long what is active may take after SIGTERM. */
  readonly drainTimeoutMs: number;
  /** What is printed when SIGTERM lets something finish. */
  readonly draining: string;
  /** The same number under the name of what is counted. */
  readonly countJson: (activeCount: number) => { clients: number } | { sessions: number };
  /** Why the service ended, for the hosts that it interrupts. */
  readonly reason: string;
  /** Called at the signal, before anything else. */
  readonly handleSignal?: () => void;
  /** Called at SIGHUP, unless it means that the terminal was closed. */
  readonly reload?: () => void;
}

/** Ends a service at SIGINT, and at SIGTERM after what is active has finished. */
export class ServiceStop {
  private isInterrupted = false;
  /** Resolves when draining ends: true if everything has finished. */
  private drained: Promise<boolean> | undefined;

  private constructor(
    private readonly service: RunningService,
    private readonly options: ServiceStopOptions,
  ) {}

  /** From now on, signals end the service. */
  static begin(service: RunningService, options: ServiceStopOptions): ServiceStop {
    const stop = new ServiceStop(service, options);
    onInterrupt((signal) => stop.handle(signal), options.reload);
    return stop;
  }

  /** Waits for the end of the service. @returns how the command ends */
  async ended(): Promise<ExitCode> {
    await this.service.closed;
    const isWhole = (await this.drained) !== false;
    return isWhole && !this.isInterrupted ? exitCode.ok : exitCode.interrupted;
  }

  /** @returns whether something may finish */
  private handle(signal: Interrupt): boolean {
    const { service, options } = this;
    const { activeCount } = service;
    options.handleSignal?.();
    if (signal === 'SIGTERM' && activeCount > 0) {
      options.output.warn(options.draining);
      options.output.json({ event: 'draining', ...options.countJson(activeCount) });
      this.drained = service.drain(options.drainTimeoutMs);
      return true;
    }
    if (activeCount > 0) this.isInterrupted = true;
    void service.close(options.reason);
    return false;
  }
}
