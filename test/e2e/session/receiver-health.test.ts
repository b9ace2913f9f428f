/** The health endpoints of `p2mp receive`: /healthz and /readyz. */
import { renameSync, writeFileSync } from 'node:fs';
import t, { type Test } from 'tap';
import { writeRandomFile } from '../../support/loopback.js';
import { type ReceiverProgram, SessionPlace } from '../../support/session-commands.js';

t.jobs = 2;

const buffered = true;

/** At this rate the transfer would take ten minutes. */
const endless = { sizeBytes: 6_000_000, rate: ['--rate', '10k'] } as const;

interface Watched extends ReceiverProgram {
  /** Requests a path. @returns the status code and the JSON body */
  readonly ask: (path: string) => Promise<readonly [number, unknown]>;
}

async function watch(place: SessionPlace, options: readonly string[] = []): Promise<Watched> {
  const all = ['--open', '--json', '--metrics', '0', ...options];
  const receiver = await place.receive(all);
  const { address } = await receiver.program.waitForEvent('metrics');
  const ask = async (path: string) => {
    const response = await fetch(`http://${address}${path}`);
    return [response.status, await response.json()] as const;
  };
  return { ...receiver, ask };
}

const healthy = [200, { status: 'ok', sessions: 0 }];

t.test('an idle receiver is healthy and ready', { buffered }, async (t) => {
  const { ask, program } = await watch(new SessionPlace(t));
  t.strictSame(await ask('/healthz'), healthy);
  t.strictSame(await ask('/readyz'), healthy);
  t.strictSame(await ask('/readyz?verbose'), healthy, 'the query is ignored');
  program.kill('SIGTERM');
  t.equal((await program.exited).code, 0);
});

async function refuses(t: Test, ask: Watched['ask'], reason: string) {
  for (const path of ['/healthz', '/readyz']) {
    const expected = [503, { status: 'unavailable', reasons: [reason], sessions: 0 }];
    t.strictSame(await ask(path), expected, path);
  }
}

t.test('the folder is removed, becomes a file, and is restored', { buffered }, async (t) => {
  const { ask, dir } = await watch(new SessionPlace(t));
  renameSync(dir, `${dir} away`);
  await refuses(t, ask, `${dir}: does not exist; check the name`);
  writeFileSync(dir, '');
  await refuses(t, ask, `${dir}: is no longer a folder`);
  renameSync(dir, `${dir} file`);
  renameSync(`${dir} away`, dir);
  t.strictSame(await ask('/healthz'), healthy);
  t.strictSame(await ask('/readyz'), healthy);
});

t.test('at its limit of sessions, a receiver is healthy but not ready', { buffered }, async (t) => {
  const place = new SessionPlace(t);
  const { ask, name } = await watch(place, ['--max-sessions', '1']);
  const sent = writeRandomFile(place.sent, endless.sizeBytes);
  const sender = place.send([sent, '--to', name, '--open', '--json', ...endless.rate]);
  await sender.waitForEvent('progress');
  t.strictSame(await ask('/healthz'), [200, { status: 'ok', sessions: 1 }]);
  const reasons = ['busy with 1 sessions; try again later'];
  t.strictSame(await ask('/readyz'), [503, { status: 'unavailable', reasons, sessions: 1 }]);
});

t.test('while draining, a receiver is healthy but not ready', { buffered }, async (t) => {
  const place = new SessionPlace(t);
  const { ask, name, program } = await watch(place);
  const sent = writeRandomFile(place.sent, endless.sizeBytes);
  const sender = place.send([sent, '--to', name, '--open', '--json', ...endless.rate]);
  await sender.waitForEvent('progress');
  program.kill('SIGTERM');
  t.match(await program.waitForEvent('draining'), { sessions: 1 });
  t.strictSame(await ask('/healthz'), [200, { status: 'ok', sessions: 1 }]);
  const reasons = ['this receiver is shutting down and accepts no new sessions'];
  t.strictSame(await ask('/readyz'), [503, { status: 'unavailable', reasons, sessions: 1 }]);
});
