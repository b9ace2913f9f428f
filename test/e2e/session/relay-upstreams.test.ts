/** `p2mp relay` as a process: what it says of its upstream hosts before any client comes. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { formatAddress } from '../../../src/base/address.js';
import { writeRandomFile } from '../../support/loopback.js';
import { SessionPlace } from '../../support/session-commands.js';

t.jobs = 2;

const buffered = true;

const common = ['--json', '--cache-size', '50MB'];

t.test(
  'dead upstream hosts are named at the start, and when they answer',
  {
    buffered,
  },
  async (t) => {
    const place = new SessionPlace(t);
    const path = writeRandomFile(place.sent, 1000);
    const server = await place.serve([path, '--open']);
    server.program.kill('SIGKILL');
    await server.program.exited;
    const name = formatAddress(server.address);
    const upstream = ['--upstream', `nothing.invalid:7735,${name}`];
    const { program } = await place.relay([...upstream, '--open', ...common]);
    t.match(await program.waitForEvent('upstream-away'), {
      upstream: 'nothing.invalid:7735',
      reason: 'unknown host name; check the spelling or use an address',
    });
    const { port } = server.address;
    const cause = `port ${port} at 127.0.0.1 refused: no p2mp serve runs there (connection refused); start it`;
    const [, reason] = await program.waitFor(
      new RegExp(`"event":"upstream-away","upstream":"${name}","reason":"(.*?)"`),
    );
    t.match(reason, cause);
    await place.serve([path, '--open', '--port', String(port)]);
    t.match(await program.waitForEvent('upstream-answers'), { upstream: name });
  },
);

t.test('an unknown key is said whole, and its line can be added', { buffered }, async (t) => {
  const place = new SessionPlace(t);
  const key = (await place.keygen(place.receiverHome)).trim();
  const server = await place.serve([writeRandomFile(place.sent, 1000), '--open']);
  const name = formatAddress(server.address);
  const known = join(place.folder, 'known');
  writeFileSync(known, '', { mode: 0o600 });
  const trust = ['--known-receivers', known, '--invite'];
  const { program } = await place.relay(['--upstream', name, ...trust, ...common]);
  const { reason } = await program.waitForEvent('upstream-away');
  const [, line = ''] =
    /use --accept-new or add this line to .*known: (.*)$/.exec(`${reason}`) ?? [];
  t.equal(line, `${name} ${key.split(' ').slice(0, 2).join(' ')}`);
  t.notMatch(reason, '--invite', 'a relay takes no invitation of an upstream host');
  writeFileSync(known, `${line}\n`);
  t.match(await program.waitForEvent('upstream-answers'), { upstream: name });
  t.equal(readFileSync(known, 'utf8'), `${line}\n`);
});

t.test('a relay that names itself as its upstream host is refused', { buffered }, async (t) => {
  const place = new SessionPlace(t);
  const { program, address } = await place.serve([writeRandomFile(place.sent, 1000), '--open']);
  program.kill('SIGKILL');
  await program.exited;
  const name = formatAddress(address);
  const cache = ['--cache', join(place.folder, 'cache'), '--cache-size', '50MB'];
  const own = ['--upstream', name, '--port', String(address.port), '--open'];
  const { code, stderr } = await place.start(place.receiverHome, ['relay', ...cache, ...own])
    .exited;
  t.equal(code, 2);
  t.match(stderr, `${name} is this relay itself; name the hosts that have the objects`);
});
