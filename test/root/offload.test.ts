import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import t from 'tap';
import { type Cleaner, distFolder, type Exit, Program } from '../support/processes.js';
import { NetworkLab } from './network-lab.js';

const moduleUrl = (name: string) => pathToFileURL(join(distFolder, 'node/net', name)).href;

/** The common start of all scripts. */
const prelude = `
  import { readFileSync } from 'node:fs';
  import { Endpoint } from '${moduleUrl('endpoint.js')}';
  import { pathMtuBytes } from '${moduleUrl('path-mtu.js')}';
  const codes = [];
  let onWritable = () => {};
  const open = (options) => Endpoint.open({
    port: 0,
    handleDatagram() {},
    handleWritable: () => onWritable(),
    handleSendError: ({ code }) => codes.push(code),
    ...options,
  });
  const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
  /** Number of fragmented datagrams of this host. */
  const fragmented = () => {
    const [names, values] = readFileSync('/proc/net/snmp', 'utf8').split('\\n')
      .filter((line) => line.startsWith('Ip:')).map((line) => line.split(' '));
    return Number(values[names.indexOf('FragOKs')]);
  };
`;

function run(t: Cleaner, lab: NetworkLab, host: number, script: string): Program {
  const args = ['--input-type=module', '--eval', prelude + script];
  const [command, commandArgs] = lab.on(host, process.execPath, ...args);
  return new Program(t, command, commandArgs);
}

function resultOf({ stdout, stderr }: Exit): unknown {
  if (stderr !== '') throw new Error(stderr);
  return JSON.parse(stdout);
}

t.test('datagrams larger than the interface MTU are reported and never fragmented', async (t) => {
  const lab = new NetworkLab(2, 0);
  t.teardown(() => lab.close());
  const to = `{ host: '${lab.address(1)}', port: 9 }`;
  const script = `
    const to = ${to};
    const endpoint = await open({ bind: ['${lab.address(0)}'] });
    const mtu = pathMtuBytes(to);
    endpoint.send({ to, bytes: Buffer.alloc(1473) });
    await wait(20);
    const single = codes.splice(0);
    endpoint.send({ to, bytes: Buffer.alloc(6000), datagramSizeBytes: 1473 });
    await wait(20);
    const batch = codes.splice(0);
    endpoint.send({ to, bytes: Buffer.alloc(60_000), datagramSizeBytes: 1472 });
    endpoint.send({ to, bytes: Buffer.alloc(1472) });
    await wait(20);
    const fitting = codes.splice(0);
    const fragments = fragmented();
    const { offload } = endpoint;
    const plain = await open({ bind: ['${lab.address(0)}'], offload: 'off' });
    plain.send({ to, bytes: Buffer.alloc(1473) });
    await wait(20);
    console.log(JSON.stringify(
      { mtu, single, batch, fitting, fragments, offload, plainFragments: fragmented() },
    ));
    process.exit(0);
  `;
  t.match(resultOf(await run(t, lab, 0, script).exited), {
    mtu: 1500,
    single: ['EMSGSIZE'],
    batch: ['EMSGSIZE', 'EMSGSIZE', 'EMSGSIZE', 'EMSGSIZE'],
    fitting: [],
    fragments: 0,
    offload: { send: true, receive: false },
    plainFragments: 1,
  });
});

t.test('a path MTU reported by a router is remembered', async (t) => {
  const lab = new NetworkLab(3, 0);
  t.teardown(() => lab.close());
  const on = (host: number, ...command: string[]) => {
    const [program, args] = lab.on(host, ...command);
    execFileSync(program, args, { stdio: ['ignore', 'ignore', 'inherit'] });
  };
  // Host 1 is a router; host 2 is behind it at its other address.
  on(0, 'ip', 'route', 'add', '10.97.0.1', 'via', lab.address(1));
  on(1, 'sysctl', '-q', '-w', 'net.ipv4.ip_forward=1', 'net.ipv4.conf.all.send_redirects=0');
  on(1, 'sysctl', '-q', '-w', 'net.ipv4.conf.eth0.send_redirects=0');
  on(1, 'ip', 'route', 'add', '10.97.0.1', 'via', lab.address(2), 'mtu', 'lock', '1300');
  on(2, 'ip', 'addr', 'add', '10.97.0.1/32', 'dev', 'lo');
  const script = `
    const to = { host: '10.97.0.1', port: 9 };
    const endpoint = await open({ bind: ['${lab.address(0)}'] });
    const mtuBefore = pathMtuBytes(to);
    endpoint.send({ to, bytes: Buffer.alloc(14_000), datagramSizeBytes: 1400 });
    await wait(100);
    const first = codes.splice(0);
    const mtuAfter = pathMtuBytes(to);
    endpoint.send({ to, bytes: Buffer.alloc(14_000), datagramSizeBytes: 1400 });
    await wait(20);
    const second = [...new Set(codes.splice(0))];
    endpoint.send({ to, bytes: Buffer.alloc(14_000), datagramSizeBytes: 1272 });
    endpoint.send({ to, bytes: Buffer.alloc(1000) });
    await wait(20);
    const { offload } = endpoint;
    console.log(JSON.stringify(
      { mtuBefore, first, mtuAfter, second, fitting: codes, offload, fragments: fragmented() },
    ));
    process.exit(0);
  `;
  t.same(resultOf(await run(t, lab, 0, script).exited), {
    mtuBefore: 1500,
    first: [],
    mtuAfter: 1300,
    second: ['EMSGSIZE'],
    fitting: [],
    offload: { send: true, receive: false },
    fragments: 0,
  });
});

for (const offload of ['auto', 'off']) {
  t.test(`no local loss on a slow link, with offload ${offload}`, async (t) => {
    const lab = new NetworkLab(2, 0);
    t.teardown(() => lab.close());
    lab.limitRate(0, '30mbit');
    const receiver = run(
      t,
      lab,
      1,
      `
      let received = 0;
      const endpoint = await open({
        bind: ['${lab.address(1)}'],
        receivesBatches: true,
        handleDatagram(from, bytes) {
          received += bytes.length;
          if (bytes.length === 1) {
            console.log(JSON.stringify({ received }));
            process.exit(0);
          }
        },
      });
      console.log('port', endpoint.addresses[0].port);
    `,
    );
    const [, port] = await receiver.waitFor(/^port (\d+)$/m);
    const sender = run(
      t,
      lab,
      0,
      `
      const to = { host: '${lab.address(1)}', port: ${port} };
      const endpoint = await open({ bind: ['${lab.address(0)}'], offload: '${offload}' });
      let sent = 0;
      let blockedCount = 0;
      const send = (sizeBytes, datagramSizeBytes) => {
        endpoint.send({ to, bytes: Buffer.alloc(sizeBytes), datagramSizeBytes });
        sent += sizeBytes;
      };
      const sendOn = () => {
        while (endpoint.canSend() && sent < 4_000_000) {
          send(45 * 1416, 1416);
          send(1200);
          send(20_000, 1000);
          send(1450);
        }
        if (sent < 4_000_000) blockedCount++;
        else setTimeout(finish, 2500);
      };
      onWritable = sendOn;
      sendOn();
      async function finish() {
        const used = process.cpuUsage();
        endpoint.send({ to, bytes: Buffer.alloc(1) });
        await endpoint.flush();
        const cpuMs = (used.user + used.system) / 1000;
        const hasBlocked = blockedCount > 3;
        console.log(JSON.stringify({ sent, codes, hasBlocked, cpuMs, offload: endpoint.offload.send }));
        process.exit(0);
      }
    `,
    );
    const sent = resultOf(await sender.exited) as { sent: number; cpuMs: number };
    t.match(sent, { codes: [], hasBlocked: true, offload: offload === 'auto' });
    t.comment(`${sent.cpuMs} ms of processor time`);
    const { stdout } = await receiver.exited;
    t.match(stdout, `{"received":${sent.sent + 1}}`);
  });
}
