/** With --open, a stranger cannot remove another sender's part by reusing its label. */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { generateKeyPair } from '../../src/index.js';
import { writeOrigin } from '../../src/node/disk/parts/part-origin.js';
import { toHex } from '../../src/wire/byte-codec.js';
import { SessionHost, sendTo } from '../support/session-host.js';

t.test(
  "completing an object removes only the sender's own parts with the same label",
  async (t) => {
    const folder = t.testdir({ photos: 'content', in: { '.p2mp-part': {} } });
    const [own, other] = [await generateKeyPair(), await generateKeyPair()];
    const parts = new Map<string, string>();
    for (const [id, { publicKey }] of [
      ['aa', own],
      ['bb', other],
    ] as const) {
      const part = join(folder, 'in/.p2mp-part', id.repeat(32));
      mkdirSync(part, { recursive: true });
      writeFileSync(join(part, 'journal'), '');
      await writeOrigin(part, { senderKey: '', lastKey: toHex(publicKey), label: 'photos' });
      parts.set(id, part);
    }
    const host = await SessionHost.open(t, join(folder, 'in'), { sharesParts: true });
    const { receivers } = await sendTo([host], [join(folder, 'photos')], { keyPair: own });
    t.match(receivers, [{ status: 'complete' }]);
    await host.receiving.close('all is sent');
    t.notOk(existsSync(parts.get('aa') ?? ''), 'its own earlier part');
    t.ok(existsSync(parts.get('bb') ?? ''), "another sender's part");
  },
);
