/** Commands with `--path`: two loopback addresses are two paths. */
import { join } from 'node:path';
import t from 'tap';
import { isSameContent, noSecondLoopback, writeRandomFile } from '../../support/loopback.js';
import { parseResult } from '../../support/processes.js';
import { eventsOf, SessionPlace } from '../../support/session-commands.js';

t.jobs = 2;

const buffered = true;
const skip = noSecondLoopback;
const paths = ['--path', '127.0.0.1,127.0.0.2'];

/** At this rate, a file takes long enough for both paths to be proven and used. */
const rate = ['--rate', '10MB'];
const sizeBytes = 3_000_000;

interface JsonPath {
  readonly from: string;
  readonly state: string;
  readonly receivedBytes: number;
  readonly share: number;
}

/** The hosts from which content has come, of those that are listed. */
function usedHosts(all: readonly JsonPath[]): string[] {
  return all.filter(({ receivedBytes }) => receivedBytes > 0).map(({ from }) => from);
}

t.test('send and receive', { skip, buffered }, async (t) => {
  const place = new SessionPlace(t);
  const path = writeRandomFile(place.sent, sizeBytes);
  const receiver = await place.receive(['--open', '--once', '--json', ...paths]);
  const common = [path, '--to', receiver.name, '--open', ...rate];
  const exit = await place.send([...common, '--json', ...paths]).exited;
  t.equal(exit.code, 0, exit.stderr);
  t.ok(isSameContent(path, join(receiver.dir, 'sent')));
  const [outcome] = parseResult(exit)['receivers'];
  t.same(usedHosts(outcome.paths), ['127.0.0.1', '127.0.0.2']);
  t.same(
    outcome.paths.map(({ state }: JsonPath) => state),
    ['open', 'open'],
  );
  const shares = outcome.paths.map(({ share }: JsonPath) => share);
  t.ok(Math.abs(shares[0] + shares[1] - 1) < 1e-9, shares.join());
  t.type(outcome.benefit, 'number');
  const [received] = eventsOf(await receiver.program.exited, 'session-result');
  t.match(received, { paths: [{ path: 0 }, { path: 1 }] });
});

t.test(
  'a sender without the option uses the addresses of the receiver',
  { skip, buffered },
  async (t) => {
    const place = new SessionPlace(t);
    const path = writeRandomFile(place.sent, sizeBytes);
    const receiver = await place.receive(['--open', '--once', ...paths]);
    const exit = await place.send([path, '--to', receiver.name, '--open', ...rate]).exited;
    t.equal(exit.code, 0, exit.stderr);
    t.match(
      exit.stdout,
      /^ {2}receiver +path +state +received +share +alone +rtt +loss +benefit$/m,
    );
    t.match(exit.stdout, /^ {2}127\.0\.0\.1:\d+ +127\.0\.0\.1:\d+ +open .* \d+% .*B\/s .* ms +\d/m);
    t.match(exit.stdout, /^ +127\.0\.0\.2:\d+ +open .* \d+% /m);
    t.equal((await receiver.program.exited).code, 0);
  },
);

t.test('serve, relay and fetch', { skip, buffered }, async (t) => {
  const place = new SessionPlace(t);
  const path = writeRandomFile(place.sent, sizeBytes);
  const server = await place.serve([path, '--open', '--json', ...rate, ...paths]);
  const upstream = `127.0.0.1:${server.address.port}`;
  const limit = ['--cache-size', '1GB'];
  const relay = await place.relay([
    ...['--upstream', upstream, '--open', '--json', '--metrics', '0'],
    ...[...limit, ...rate, ...paths],
  ]);
  const { address: metrics } = await relay.program.waitForEvent('metrics');
  const dir = join(place.folder, 'out');
  const from = `127.0.0.1:${relay.address.port}`;
  const options = ['--from', from, '--dir', dir, '--open', '--json', ...paths];
  const fetching = place.start(place.senderHome, ['fetch', 'sent', ...options]);
  const fetched = await fetching.exited;
  t.equal(fetched.code, 0, fetched.stderr);
  t.ok(isSameContent(path, join(dir, 'sent')));
  const { sources } = await fetching.waitForEvent('result');
  t.match(sources[0].paths, [{ path: 0, from: /^127/, datagrams: Number }, { path: 1 }]);
  for (const { program } of [server, relay]) {
    const { paths: own } = await program.waitForEvent('client-result');
    t.same(usedHosts(own), ['127.0.0.1', '127.0.0.2']);
  }
  t.match(await (await fetch(`http://${metrics}/metrics`)).text(), /^p2mp_open_paths 0$/m);
});
