/** The `progress` events of `receive`. */
import { join } from 'node:path';
import t from 'tap';
import type { ReceiveEvent } from '../../src/index.js';
import { writeRandomFile } from '../support/loopback.js';
import { SessionHost, sendTo } from '../support/session-host.js';

type ProgressEvent = Extract<ReceiveEvent, { type: 'progress' }>;

/** At the rate below, the transfer takes half a second. */
const sizeBytes = 100_000;
const rateBytesPerSec = 200_000;

t.test('progress is reported while sessions are active, then once without any', async (t) => {
  const folder = t.testdir();
  const sent = writeRandomFile(folder, sizeBytes);
  const reports: ProgressEvent[] = [];
  let resolveIdle: () => void = () => undefined;
  const idle = new Promise<void>((resolve) => {
    resolveIdle = resolve;
  });
  const host = await SessionHost.open(t, join(folder, 'in'), {
    progressIntervalMs: 1,
    onEvent: (event) => {
      if (event.type !== 'progress') return;
      reports.push(event);
      if (event.sessions.length === 0) resolveIdle();
    },
  });
  await sendTo([host], [sent], { rateBytesPerSec });
  await idle;
  const active = reports.slice(0, -1);
  t.ok(active.length > 0);
  for (const { sessions } of active) {
    t.match(sessions, [
      { label: 'sent', contentSizeBytes: sizeBytes, manifestDigest: /^[0-9a-f]{64}$/ },
    ]);
  }
  const heldSizes = active.map(({ sessions }) => sessions[0]?.heldBytes ?? 0);
  t.same(
    heldSizes,
    [...heldSizes].sort((a, b) => a - b),
    'what is held grows',
  );
  t.ok((heldSizes.at(-1) ?? 0) > 0);
  t.same(reports.at(-1), { type: 'progress', sessions: [] });
});
