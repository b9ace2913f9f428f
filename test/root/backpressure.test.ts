import t from 'tap';
import { Program } from '../support/processes.js';
import { NetworkLab } from './network-lab.js';

const endpoint = new URL('../../dist/node/net/endpoint.js', import.meta.url);

t.test('an endpoint on a slow link reports when to pause and when to resume sending', async (t) => {
  const lab = new NetworkLab(2, 0);
  t.teardown(() => lab.close());
  lab.limitRate(0, '2mbit');
  const script = `
    import { Endpoint } from '${endpoint.href}';
    const endpoint = await Endpoint.open({
      bind: ['${lab.address(0)}'],
      port: 0,
      handleDatagram() {},
      handleWritable() {
        console.log('writable', endpoint.canSend());
        process.exit(0);
      },
      handleSendError(error) { throw error; },
    });
    const to = { host: '${lab.address(1)}', port: 9 };
    let count = 0;
    while (endpoint.canSend() && count < 100_000) {
      endpoint.send({ to, bytes: Buffer.alloc(1400) });
      count++;
    }
    console.log('stopped', count < 100_000);
  `;
  const args = ['--input-type=module', '--eval', script];
  const [command, commandArgs] = lab.on(0, process.execPath, ...args);
  const { stdout, stderr } = await new Program(t, command, commandArgs).exited;
  t.equal(stderr, '');
  t.equal(stdout, 'stopped true\nwritable true\n');
});
