/** A file that changes at its server while it is fetched. */
import { closeSync, openSync, readFileSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { fetch } from '../../../src/node/fetch.js';
import { generateKeyPair } from '../../../src/node/keys/key-files.js';
import { serve } from '../../../src/node/serve.js';
import { createContent } from '../../../src/simulator/transfer.js';
import { standardBlockSizeBytes } from '../../../src/wire/sizes.js';

t.test('the next fetch uses the blocks that have arrived of the old version', async (t) => {
  const folder = t.testdir({ served: {} });
  const file = join(folder, 'served', 'file');
  const sizeBytes = 300 * standardBlockSizeBytes;
  writeFileSync(file, createContent('changing', sizeBytes));
  const server = await serve({
    ...{ paths: [file], port: 0, bind: ['127.0.0.1'], keyPair: await generateKeyPair() },
    // So that most of the file is missing when it changes.
    ...{ trustClient: () => true, rateBytesPerSec: 20_000_000 },
  });
  t.teardown(() => server.close('the test is over'));
  const dir = join(folder, 'fetched');
  const options = { name: 'file', sources: server.addresses, dir, trustSource: () => true };
  let arrivedBytes = 0;
  const first = await fetch({
    ...options,
    progressIntervalMs: 5,
    onEvent: (event) => {
      const deliveredBytes = 'report' in event ? (event.report?.deliveredBytes ?? 0) : 0;
      if (arrivedBytes > 0 || deliveredBytes < 20 * standardBlockSizeBytes) return;
      arrivedBytes = deliveredBytes;
      const handle = openSync(file, 'r+');
      writeSync(handle, 'other', sizeBytes - 5);
      closeSync(handle);
    },
  });
  t.match(first, { status: 'failed', reason: /changed|other content/ });
  const second = await fetch(options);
  t.match(second, { status: 'complete' });
  t.ok(readFileSync(join(dir, 'file')).equals(readFileSync(file)));
  const { deliveredBytes = Infinity } = second.report ?? {};
  t.ok(deliveredBytes <= sizeBytes - arrivedBytes, `${deliveredBytes} after ${arrivedBytes}`);
});
