import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { type Cleaner, Program, parseEvents } from '../support/processes.js';
import { NetworkLab } from './network-lab.js';

const client = fileURLToPath(new URL('../../dist/cli/p2mpclient.js', import.meta.url));
const server = fileURLToPath(new URL('../../dist/cli/p2mpserver.js', import.meta.url));

function start(t: Cleaner, lab: NetworkLab, host: number, script: string, args: string[]): Program {
  return new Program(t, ...lab.on(host, process.execPath, script, ...args));
}

t.test('three hosts on a network with real 5 % loss get identical copies', async (t) => {
  const lab = new NetworkLab(4, 5);
  t.teardown(() => lab.close());
  const folder = t.testdir();
  const content = randomBytes(300_000);
  const file = join(folder, 'file.bin');
  writeFileSync(file, content);
  const hosts = [1, 2, 3];
  const copies = hosts.map((host) => join(folder, `copy ${host}`));
  const servers = hosts.map((host, i) =>
    start(t, lab, host, server, ['7735', copies[i] ?? '', '0', '--once', '--json']),
  );
  await Promise.all(servers.map((program) => program.waitForEvent('listening')));
  const args = [...hosts.map((host) => lab.address(host)), '7735', file, '1000', '--json'];
  const { code, stdout } = await start(t, lab, 0, client, args).exited;
  t.equal(code, 0);
  t.ok(parseEvents(stdout).at(-1)?.['retransmissions'] > 0, 'packets were lost');
  await Promise.all(servers.map((program) => program.exited));
  for (const copy of copies) t.ok(readFileSync(copy).equals(content));
});

t.test('a host that answers from another of its addresses is matched by its port', async (t) => {
  const lab = new NetworkLab(2, 0);
  t.teardown(() => lab.close());
  lab.addPreferredSource(1, '10.99.0.200');
  const folder = t.testdir({ 'file.txt': 'x'.repeat(5000) });
  const copy = join(folder, 'copy.txt');
  const receiver = start(t, lab, 1, server, ['7735', copy, '0', '--once', '--json']);
  await receiver.waitForEvent('listening');
  const args = [lab.address(1), '7735', join(folder, 'file.txt'), '1000', '--json'];
  const { code, stdout } = await start(t, lab, 0, client, args).exited;
  t.equal(code, 0);
  const fault = parseEvents(stdout).find(({ kind }) => kind === 'other-address');
  t.match(fault?.['from'], '10.99.0.200:7735');
  t.equal((await receiver.exited).code, 0);
  t.equal(readFileSync(copy, 'utf8').length, 5000);
});

t.test('a server bound to its target address answers from it', async (t) => {
  const lab = new NetworkLab(2, 0);
  t.teardown(() => lab.close());
  lab.addPreferredSource(1, '10.99.0.200');
  const folder = t.testdir({ 'file.txt': 'x'.repeat(5000) });
  const bind = ['--bind', lab.address(1), '--bind', '10.99.0.200'];
  const args = ['7735', join(folder, 'copy.txt'), '0', '--once', '--json', ...bind];
  const receiver = start(t, lab, 1, server, args);
  await receiver.waitForEvent('listening');
  const clientArgs = [lab.address(1), '7735', join(folder, 'file.txt'), '1000', '--json'];
  const { code, stdout } = await start(t, lab, 0, client, clientArgs).exited;
  t.equal(code, 0);
  // A late ACK on a busy machine is a different fault.
  t.notOk(parseEvents(stdout).some(({ kind }) => kind === 'other-address'));
});
