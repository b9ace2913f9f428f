/** Clients that fetch the same at about the same time are served by multicast, with real sockets and files. */
import { randomBytes } from 'node:crypto';
import { EventEmitter, once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { Address } from '../../../src/base/address.js';
import { fetch } from '../../../src/node/fetch.js';
import { generateKeyPair } from '../../../src/node/keys/key-files.js';
import type { ServeEvent, ServeOptions } from '../../../src/node/serve/serve-options.js';
import { serve } from '../../../src/node/serve.js';
import { standardBlockSizeBytes as block } from '../../../src/wire/sizes.js';
import { noOffload } from '../../support/loopback.js';

const blockCount = 100;
const clientCount = 4;

/** Whether multicast on loopback can be relied on. */
const skip = noOffload;

async function runCrowd(t: Test, options: Partial<ServeOptions>) {
  const home = t.testdir({});
  const file = join(home, 'file');
  const content = randomBytes(blockCount * block);
  writeFileSync(file, content);
  const ends: Extract<ServeEvent, { type: 'end' }>[] = [];
  const ended = new EventEmitter();
  const serving = await serve({
    ...{ paths: [file], port: 0, bind: ['127.0.0.1'], keyPair: await generateKeyPair() },
    trustClient: () => true,
    ...options,
    onEvent: (event) => {
      if (event.type !== 'end') return;
      ends.push(event);
      ended.emit('end');
    },
  });
  t.teardown(() => serving.close('the test is over'));
  const results = await Promise.all(
    Array.from({ length: clientCount }, (_, i) =>
      fetch({
        ...{ name: 'file', sources: [serving.addresses[0] as Address], bind: ['127.0.0.1'] },
        ...{ dir: join(home, `client ${i}`), trustSource: () => true },
      }),
    ),
  );
  while (ends.length < clientCount) await once(ended, 'end');
  for (const [i, result] of results.entries()) {
    t.match(result, { status: 'complete' });
    t.ok(readFileSync(join(home, `client ${i}`, 'file')).equals(content));
  }
  return { ends, totals: serving.totals() };
}

t.test('each block leaves the server about once', { skip }, async (t) => {
  const { ends, totals } = await runCrowd(t, {});
  // A host that is too busy to empty a client's socket serves that client alone: it is slower than the others.
  const aloneCount = ends.filter(({ outcome }) => !outcome.usesGroup).length;
  t.ok(aloneCount < clientCount);
  const { datagramsSent, groupDatagramsSent, repairs } = totals;
  const onceSent = blockCount * Math.ceil((block + 16) / 1400);
  const limit = (2 + aloneCount) * onceSent;
  t.ok(datagramsSent - repairs < limit, `${datagramsSent} datagrams, ${repairs} repairs`);
  t.ok(groupDatagramsSent > onceSent / 2, `${groupDatagramsSent} to the group`);
});

t.test('without multicast, each client has its own copy', async (t) => {
  const { ends, totals } = await runCrowd(t, { multicast: 'never' });
  t.notOk(ends.some(({ outcome }) => outcome.usesGroup));
  t.equal(totals.groupDatagramsSent, 0);
});

t.test('a group that cannot be one is refused', async (t) => {
  const opening = serve({
    ...{ paths: [t.testdirName], port: 0, keyPair: await generateKeyPair() },
    ...{ trustClient: () => true, multicast: '10.0.0.1' },
  });
  await t.rejects(opening, { code: 'INVALID_ARGUMENT', message: /--multicast 10\.0\.0\.1/ });
});
