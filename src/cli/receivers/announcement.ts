/** Makes `p2mp receive` and `p2mp serve` answer the queries of `p2mp peers`, `--to @lan` and `--from @lan`. */
import { withoutUndefined } from '../../base/without-undefined.js';
import type { Announcement, AnnounceOptions } from '../../node/announce-receiver.js';
import { announceReceiver } from '../../node/announce-receiver.js';
import type { Output } from '../output/output.js';

/** Reports once if no other host can find this one; it works nevertheless. */
export async function announce(
  { addresses, publicKey, role = 'receiver', name }: AnnounceOptions,
  output: Output,
): Promise<Announcement> {
  const announcement = await announceReceiver({
    ...{ addresses, publicKey, role },
    ...withoutUndefined({ name }),
  });
  const { problem } = announcement;
  if (problem !== undefined) {
    output.json({ event: 'not-announced', reason: problem });
    if (!output.isJson) {
      const others = role === 'receiver' ? 'senders' : 'clients';
      output.warn(
        `p2mp peers does not find this ${role}: ${problem}; ${others} can reach it by its name or address`,
      );
    }
  }
  return announcement;
}
