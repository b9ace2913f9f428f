/** Exit codes, messages and files of both commands when a transfer fails. */
import { appendFileSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { isSameContent, openSilentPort, writeRandomFile } from '../../support/loopback.js';
import {
  type Listening,
  type Program,
  parseResult,
  runClient,
  startClient,
  startServer,
} from '../../support/processes.js';

t.jobs = 4;

/** Long enough for a live server on a busy machine. */
const patience = ['--give-up-after', '2'];

interface Waiting {
  readonly folder: string;
  readonly sent: string;
  readonly copy: string;
  readonly serving: Listening;
  readonly silent: string;
  readonly client: Program;
}

/**
 * Sets up a transfer that cannot finish: one server has the first segment and waits for more, the
 * other never answers.
 */
async function startWaiting(
  t: Test,
  clientOptions: readonly string[],
  serverOptions: readonly string[] = ['--once', '--json'],
  copies: Readonly<Record<string, string>> = {},
): Promise<Waiting> {
  const folder = t.testdir({ copies });
  const [sent, copy] = [writeRandomFile(folder, 5000), join(folder, 'copies', 'copy')];
  const serving = await startServer(t, copy, 0, serverOptions);
  const silent = `127.0.0.1:${await openSilentPort(t)}`;
  const client = startClient(t, [serving.server, silent], sent, 500, clientOptions);
  await serving.program.waitFor(/"event":"connect"/);
  return { folder: join(folder, 'copies'), sent, copy, serving, silent, client };
}

t.test(
  'a server that never answers is named; the others complete',
  { buffered: true },
  async (t) => {
    const { sent, copy, serving, silent, client } = await startWaiting(t, patience);
    const { code, stdout, stderr } = await client.exited;
    t.equal(code, 3, 'some servers are complete');
    t.ok(stderr.startsWith(`${silent}: failed: no answer for 2 s; `));
    t.equal(stderr.trimEnd().split('\n').length, 1, 'one line');
    t.match(stdout, 'complete at 1 of 2 receivers');
    t.match(stdout, new RegExp(`^ {2}${serving.server} +complete +5,000 `, 'm'));
    t.match(stdout, new RegExp(`^ {2}${silent} +failed +0 `, 'm'));
    t.notMatch(stdout, 'no answer', 'the reason is printed once');
    t.equal((await serving.program.exited).code, 0);
    t.ok(isSameContent(sent, copy));
  },
);

t.test('with --json the result has the reason', { buffered: true }, async (t) => {
  const options = [...patience, '--json'];
  const { serving, silent, client } = await startWaiting(t, options);
  const exit = await client.exited;
  t.equal(exit.code, 3);
  t.equal(exit.stderr, '');
  t.match(parseResult(exit), {
    status: 'incomplete',
    receivers: [
      { receiver: serving.server, status: 'complete' },
      { receiver: silent, status: 'failed', heldBytes: 0, reason: /^no answer for 2 s; / },
    ],
  });
});

for (const size of [0, 5000]) {
  t.test(
    `no server answers: no server gets a file of ${size} bytes`,
    { buffered: true },
    async (t) => {
      const sent = writeRandomFile(t.testdir(), size);
      const silent = `127.0.0.1:${await openSilentPort(t)}`;
      const exit = await runClient(t, [silent], sent, 500, ['--give-up-after', '0.5', '--json']);
      t.equal(exit.code, 1);
      t.match(parseResult(exit), { receivers: [{ receiver: silent, status: 'failed' }] });
    },
  );
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  t.test(
    `${signal} to the client midway leaves no files anywhere`,
    { buffered: true },
    async (t) => {
      const { folder, serving, silent, client } = await startWaiting(t, ['--give-up-after', '100']);
      client.kill(signal);
      const { code, stdout, stderr } = await client.exited;
      t.equal(code, 130);
      t.match(stdout, 'complete at 0 of 2 receivers', 'the client prints a summary');
      t.match(stdout, new RegExp(`^ {2}${silent} +aborted `, 'm'));
      t.match(stderr, /^p2mpclient: interrupted; [^\n]*\n$/);
      const served = await serving.program.exited;
      t.equal(served.code, 1);
      t.match(parseResult(served), {
        status: 'aborted',
        reason: 'the sender stopped before the end',
      });
      t.same(readdirSync(folder), []);
    },
  );

  t.test(`${signal} to the server midway leaves no files there`, { buffered: true }, async (t) => {
    const options = ['--give-up-after', '1', '--json'];
    const { folder, serving, client } = await startWaiting(t, options, ['--json']);
    serving.program.kill(signal);
    const served = await serving.program.exited;
    t.equal(served.code, 130);
    t.match(parseResult(served), { status: 'aborted', reason: /^stopped before the end/ });
    t.same(readdirSync(folder), []);
    const exit = await client.exited;
    t.equal(exit.code, 1, 'the client fails both servers');
    t.match(parseResult(exit)['receivers'], [{ status: 'failed' }, { status: 'failed' }]);
  });
}

t.test('stopping an idle server is not a failure', { buffered: true }, async (t) => {
  const folder = t.testdir();
  const { program } = await startServer(t, join(folder, 'copy'), 0, ['--json']);
  program.kill('SIGINT');
  const exit = await program.exited;
  t.match(exit, { code: 0, stderr: '' });
  t.match(parseResult(exit), { status: 'idle' });
  t.same(readdirSync(folder), []);
});

t.test(
  'stopping a server that waits for its only transfer is an interruption',
  { buffered: true },
  async (t) => {
    const { program } = await startServer(t, join(t.testdir(), 'copy'), 0, ['--once']);
    program.kill('SIGINT');
    t.equal((await program.exited).code, 130);
  },
);

t.test(
  'a client that is suspended for a while continues normally',
  { buffered: true },
  async (t) => {
    const folder = t.testdir();
    const [sent, copy] = [writeRandomFile(folder, 50_000), join(folder, 'copy')];
    const { server } = await startServer(t, copy, 0.3, ['--seed', '1']);
    const options = ['--give-up-after', '10'];
    const client = startClient(t, [server], sent, 100, options);
    await client.waitFor(/^Timeout/m);
    client.kill('SIGSTOP');
    // The liveness timeout of a second receiver shows that the first one's would have expired.
    const silent = `127.0.0.1:${await openSilentPort(t)}`;
    t.equal((await runClient(t, [silent], sent, 100, options)).code, 1);
    client.kill('SIGCONT');
    const { code, stderr } = await client.exited;
    t.equal(code, 0, stderr);
    t.ok(isSameContent(sent, copy));
  },
);

for (const [what, copies] of [
  ['nowhere', {}],
  ['nowhere, and the old one stays', { copy: 'old' }],
] as const) {
  t.test(`a file that grows during the transfer arrives ${what}`, { buffered: true }, async (t) => {
    const options = ['--once', '--json'];
    const waiting = await startWaiting(t, patience, options, copies);
    const { folder, sent, copy, serving, client } = waiting;
    // The client still waits for the silent server; once that one fails, the client sends the rest.
    appendFileSync(sent, 'more');
    const { code, stderr } = await client.exited;
    t.equal(code, 4);
    t.match(stderr, `p2mpclient: ${sent}: went from 5000 to 5004 bytes while it was being sent; `);
    const served = await serving.program.exited;
    t.equal(served.code, 1);
    t.match(parseResult(served), { status: 'aborted' });
    t.same(readdirSync(folder), Object.keys(copies));
    if ('copy' in copies) t.equal(readFileSync(copy).toString(), 'old');
  });
}
