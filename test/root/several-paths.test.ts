/** A session by two links between two hosts, of which one is cut midway. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import t from 'tap';
import { isSameContent, writeRandomFile } from '../support/loopback.js';
import { distFolder, Program, parseResult } from '../support/processes.js';
import { NetworkLab } from './network-lab.js';
import { noLab } from './session-lab.js';

const sizeBytes = 8_000_000;

for (const [cut, what] of [
  ['eth0', 'the path of the handshake'],
  ['side', 'the other path'],
] as const) {
  t.test(`${what} is cut midway`, { skip: noLab }, async (t) => {
    const lab = new NetworkLab(2, 0);
    t.teardown(() => lab.close());
    const run = (host: number, ...command: string[]) => {
      const [program, args] = lab.on(host, ...command);
      execFileSync(program, args, { stdio: ['ignore', 'ignore', 'inherit'] });
    };
    lab.linkHosts(0, 1, 'side', 1500);
    for (const host of [0, 1])
      run(host, 'ip', 'addr', 'add', `10.98.0.${10 + host}/24`, 'dev', 'side');
    const folder = t.testdir();
    const sent = writeRandomFile(folder, sizeBytes);
    const start = (host: number, ...args: string[]) => {
      const path = join(distFolder, 'cli', 'p2mp.js');
      const [program, words] = lab.on(host, process.execPath, path, ...args, '--path', 'eth0,side');
      return new Program(t, program, words, { env: { P2MP_HOME: join(folder, `keys ${host}`) } });
    };
    const dir = join(folder, 'in');
    const receiver = start(1, 'receive', '--open', '--json', '--once', '--dir', dir);
    await receiver.waitForEvent('listening');
    const common = ['--to', lab.address(1), '--open', '--json', '--rate', '3MB'];
    const sender = start(0, 'send', sent, ...common);
    await sender.waitForEvent('progress');
    // Neither host sees its own link go down.
    run(1, 'nft', 'add table inet test');
    run(1, 'nft', 'add chain inet test in { type filter hook input priority 0 ; }');
    run(1, 'nft', `add rule inet test in iifname ${cut} drop`);
    const exit = await sender.exited;
    t.equal(exit.code, 0, exit.stderr);
    t.ok(isSameContent(sent, join(dir, 'sent')));
    t.equal((await receiver.exited).code, 0);
    const [{ paths }] = parseResult(exit)['receivers'];
    t.match(paths, [
      { from: '10.99.0.10', address: /^10\.99\.0\.11:/, state: cut === 'eth0' ? 'silent' : 'open' },
      { from: '10.98.0.10', address: /^10\.98\.0\.11:/, state: cut === 'eth0' ? 'open' : 'silent' },
    ]);
    for (const { receivedBytes } of paths) t.ok(receivedBytes > 0, 'it was used before');
  });
}
