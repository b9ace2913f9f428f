/** The asking side of one UDP port, which fetches share: the asker and the receiver of what is asked for. */
import type { Address } from '../../base/address.js';
import type { TimeMs } from '../../base/machine.js';
import { withoutUndefined } from '../../base/without-undefined.js';
import type { EndpointEvent } from '../../endpoint/endpoint.js';
import type { SessionCrypto } from '../../security/crypto.js';
import { Asker } from '../../session/asks/asker.js';
import type { AskerOptions } from '../../session/asks/asker-options.js';
import { SessionReceiver } from '../../session/receiver.js';
import type { SessionReceiverOptions } from '../../session/receiver-options.js';

export interface FetchPortOptions
  extends Pick<SessionReceiverOptions, 'name' | 'platform' | 'bufferBytes'>,
    Pick<AskerOptions, 'mssBytes' | 'invitations'> {
  readonly crypto: SessionCrypto;
  readonly blockSizeBytes: number;
}

export class FetchPort {
  readonly receiver: SessionReceiver;
  readonly asker: Asker;

  constructor(options: FetchPortOptions) {
    const { crypto, name, platform, blockSizeBytes, mssBytes, bufferBytes, invitations } = options;
    this.receiver = new SessionReceiver({
      ...{ crypto, name, platform, blockSizeBytes },
      refuseSender: () => 'only fetches',
      ...withoutUndefined({ bufferBytes }),
    });
    const { receiver } = this;
    this.asker = new Asker({ crypto, receiver, ...withoutUndefined({ mssBytes, invitations }) });
  }

  /** Whether all asks and their sessions are over. */
  get isIdle(): boolean {
    return this.asker.askCount === 0 && this.receiver.isIdle;
  }

  /** From these addresses, asks leave, and senders can reach this host at them, by several paths at once. */
  setAddresses(nowMs: TimeMs, addresses: readonly Address[]): void {
    this.receiver.setAddresses(nowMs, addresses);
    this.asker.setLocalHosts(addresses.map(({ host }) => host));
  }

  /** Handles an event that is of no fetch any more. */
  discard(nowMs: TimeMs, event: EndpointEvent<never>): void {
    if (event.role !== 'receiver' || event.event.type !== 'supplied') return;
    const { session, bytes } = event.event;
    this.receiver.handleWritten(nowMs, session, bytes.length);
  }
}
