/** A malicious trusted sender offers objects that take far more disk space than their bytes. */
import { mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { finishSteps } from '../../src/base/steps.js';
import type { ReceiveOptions } from '../../src/index.js';
import type { Entry } from '../../src/object/manifest.js';
import { createManifest } from '../../src/object/manifest.js';
import { findSizeExcess } from '../../src/session/object-limits.js';
import { SessionHost, sendTo } from '../support/session-host.js';
import { SessionWire } from '../support/session-wire.js';

const count = 50;

type Make = (path: string) => void;

/** Offers a folder of many entries to a receiver with limits. */
async function offer(t: Test, make: Make, limits: Partial<ReceiveOptions>) {
  const folder = t.testdir({ sent: {}, received: {} });
  for (let i = 0; i < count; i++) make(join(folder, 'sent', `${i}`));
  const host = await SessionHost.open(t, join(folder, 'received'), limits);
  const { receivers } = await sendTo([host], [join(folder, 'sent')]);
  const [{ heldBytes } = { heldBytes: -1 }] = await host.ends(1);
  return { outcome: receivers[0], heldBytes, names: readdirSync(host.dir) };
}

const kinds: Record<string, Make> = {
  'files of one byte': (path) => writeFileSync(path, 'x'),
  'empty files': (path) => writeFileSync(path, ''),
  folders: (path) => mkdirSync(path),
  links: (path) => symlinkSync('0', path),
};

for (const [kind, make] of Object.entries(kinds)) {
  const skip = kind === 'links' && process.platform === 'win32';
  t.test(
    `${kind} count as disk blocks, and are refused before any data is sent`,
    { skip },
    async (t) => {
      const { outcome, heldBytes, names } = await offer(t, make, { maxObjectBytes: 20_000 });
      const reason =
        /^51 files, folders and links take \d+ bytes in disk blocks of \d+ bytes; the limit is/;
      t.match(outcome, { status: 'refused', reason });
      t.equal(heldBytes, 0);
      t.same(names, [], 'nothing was created');
    },
  );

  t.test(`${kind} count as entries`, { skip }, async (t) => {
    const { outcome, names } = await offer(t, make, { maxEntries: count });
    const reason = '51 files, folders and links are more than the limit of 50';
    t.match(outcome, { status: 'refused', reason });
    t.same(names, [], 'nothing was created');
    t.match((await offer(t, make, { maxEntries: count + 1 })).outcome, { status: 'complete' });
  });
}

t.test('no content is received if the manifest does not match the offer', (t) => {
  const receiver = { maxEntries: 99 };
  const wire = new SessionWire({ fileCount: 100, sizeBytes: 8000, receiver }).run();
  t.match(wire.outcomeOf(0), { status: 'refused', reason: /^100 files, .* limit of 99$/ });
  t.notOk(wire.receivers[0]?.events.some(({ type }) => type === 'prepare' || type === 'write'));
  t.end();
});

t.test('sizes count in whole blocks, exactly at the limit and one byte above it', (t) => {
  const file = (name: string, sizeBytes: number): Entry => {
    return { kind: 'file', name, mode: 0o644, modifiedMs: 0, sizeBytes };
  };
  const excess = (maxBytes: number, allocationBytes: number, ...sizes: number[]) => {
    const manifest = createManifest(sizes.map((size, i) => file(`${i}`, size)));
    const limits = { maxBytes, maxEntries: 10, allocationBytes };
    return finishSteps(findSizeExcess(manifest, limits)) !== undefined;
  };
  t.notOk(excess(10_000_000_000, 4096, 10_000_000_000), 'a file of exactly the limit');
  t.notOk(excess(8192, 4096, 4096, 4096));
  t.ok(excess(8192, 4096, 4097, 4096));
  t.ok(excess(8192, 4096, 4096, 4096, 0));
  t.ok(excess(8192, 65_536, 1, 1), 'on a disk with larger blocks');
  t.notOk(excess(Infinity, 4096, 2 ** 50), 'without a limit');
  t.end();
});
