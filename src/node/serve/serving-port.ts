/** The port of a server, whether it serves its own paths, relays, or takes part in an exchange. */
import type { Machine, TimeMs } from '../../base/machine.js';
import type { Endpoint, EndpointEvent } from '../../endpoint/endpoint.js';
import type { PeerMachineEvent } from '../../roles/exchange/peer-machine.js';
import type { RelayMachineEvent } from '../../roles/relay/relay-machine.js';
import type { SessionCrypto } from '../../security/crypto.js';
import type { AskListener } from '../../session/asks/ask-listener.js';
import type { DriverHost } from '../../session/drivers/driver-host.js';
import type { SessionSenderOptions } from '../../session/sender-options.js';
import type { LocalPath } from '../net/paths/local-paths.js';
import type { DeadlinePolicy, SocketRunner } from '../net/socket-runner.js';
import type { ServeOptions } from './serve-options.js';

/** What holds for all sessions in which a host sends. */
export type Sending = Pick<SessionSenderOptions, 'rateLimit' | 'senderCount'>;

export type PortEvent = EndpointEvent<never> | RelayMachineEvent | PeerMachineEvent;

/** What a server needs to know, wherever its objects come from. */
export type ServingOptions = Omit<ServeOptions, 'paths' | 'indexFolder' | 'trustClient'>;

/** The machines of a server's port. */
export interface ServingPort {
  readonly crypto: SessionCrypto;
  readonly machine: Machine<PortEvent>;
  readonly listener: AskListener;
  readonly endpoint: Endpoint;
  /** For the drivers of the sessions. */
  readonly host: DriverHost;
  /** Gets the sockets. */
  readonly socketHost: LateHost;
  /** Local addresses from which to send by several paths; none by default. */
  readonly paths?: readonly LocalPath[];
  /** What all sessions together keep to, in place of `rateBytesPerSec`. */
  readonly sending?: Sending;
  /** `adaptive` by default. */
  readonly deadlines?: DeadlinePolicy;
  /** As of `SocketRunner`. */
  readonly answersTogether?: boolean;
  /** As of `SocketRunner`. */
  readonly findPaths?: (() => readonly LocalPath[]) | undefined;
  /** Called when addresses of this host have come or gone. */
  readonly handleMove?: (nowMs: TimeMs) => void;
  /** Handles what is neither of the listener nor of a session. Without it, the port only serves. */
  readonly handleOther?: (event: PortEvent) => void;
}

type RunnerParts =
  | 'nowMs'
  | 'drain'
  | 'drainSoon'
  | 'sockets'
  | 'watchPorts'
  | 'pathAddresses'
  | 'namePaths';

/** The sockets that run a machine, which are opened after the machine is made. */
export class LateHost implements DriverHost {
  runner: Pick<SocketRunner<never>, RunnerParts> | undefined;

  get nowMs(): number {
    return this.runner?.nowMs ?? 0;
  }

  drain(): void {
    this.runner?.drain();
  }

  /** For drivers: what ends in one turn of the event loop is followed by one drain. */
  readonly later: DriverHost = withDrain(this, () => this.runner?.drainSoon());
}

function withDrain(host: DriverHost, drain: () => void): DriverHost {
  return {
    get nowMs() {
      return host.nowMs;
    },
    drain,
  };
}
