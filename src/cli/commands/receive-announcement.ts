/** Makes `p2mp receive` answer the queries of `p2mp peers` and of `p2mp send --to @lan`. */
import { withoutUndefined } from '../../base/without-undefined.js';
import type { Announcement } from '../../node/announce-receiver.js';
import { announceReceiver } from '../../node/announce-receiver.js';
import type { Receiving } from '../../node/receive.js';
import type { ReceiveOptions } from '../../node/receive-options.js';
import type { Output } from '../output/output.js';

/** Reports once if no other host can find this receiver; it receives nevertheless. */
export async function announce(
  { addresses }: Receiving,
  { keyPair, name }: ReceiveOptions,
  output: Output,
): Promise<Announcement> {
  const { publicKey } = keyPair;
  const announcement = await announceReceiver({
    addresses,
    publicKey,
    ...withoutUndefined({ name }),
  });
  const { problem } = announcement;
  if (problem !== undefined) {
    output.json({ event: 'not-announced', reason: problem });
    if (!output.isJson) {
      output.warn(
        `p2mp peers does not find this receiver: ${problem}; senders can reach it by its name or address`,
      );
    }
  }
  return announcement;
}
