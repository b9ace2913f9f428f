/** Which refused asks are reported: a client that asks again and again is reported once, and again if the reason changes. */
import { formatAddress } from '../../base/address.js';
import type { TimeMs } from '../../base/machine.js';
import type { AskListenerEvent } from '../../session/asks/listener-events.js';
import { TurnedAwayLog, turnedAwayLimits } from '../../session/turned-away-log.js';
import { toHex } from '../../wire/byte-codec.js';
import type { ServeEvent } from './serve-options.js';

type Ask = Extract<AskListenerEvent, { type: 'ask' }>;
type Refused = Extract<ServeEvent, { type: 'refused' }>;

/** These clients may fetch, and a relay asks for many others. So more is reported of a host, and more often. */
const limits = { ...turnedAwayLimits, repeatMs: 600_000, perHost: 32 };

export class RefusalLog {
  private readonly log = new TurnedAwayLog(limits);

  /** @returns the report of this refusal, if it is due */
  take(
    nowMs: TimeMs,
    { from, askerKey: clientKey, what }: Ask,
    reason: string,
  ): Refused | undefined {
    const { name } = what;
    const report = this.log.take(
      nowMs,
      from.host,
      JSON.stringify([toHex(clientKey), name, reason]),
    );
    if (report === undefined) return undefined;
    return { type: 'refused', client: formatAddress(from), clientKey, name, reason, ...report };
  }
}
