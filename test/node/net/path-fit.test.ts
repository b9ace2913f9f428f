/** Which segments fit the paths to all receivers, according to the system. */
import t from 'tap';
import { type AskPathMtu, PathFit, type PathFitOptions } from '../../../src/node/net/path-fit.js';
import { sessionMssLimits } from '../../../src/object/geometry.js';
import { maxBatchSegments } from '../../../src/wire/segment-size.js';

const port = 7735;
const one = { host: '192.0.2.1', port };
const other = { host: '192.0.2.2', port };
const ipv6 = { host: '2001:db8::1', port };
const group = { host: '239.1.2.3', port };

const fitOf = (askPathMtu: AskPathMtu, options: Partial<PathFitOptions> = {}) =>
  new PathFit({ receivers: [one], ...options, askPathMtu });

t.test('the MSS for each MTU', async (t) => {
  const cases: [mtuBytes: number | undefined, ipv4: number, ipv6: number][] = [
    [undefined, 1400, 1400],
    [1500, 1400, 1400],
    // What remains of Ethernet under tunnels and PPPoE still takes the same segments.
    [1492, 1400, 1400],
    [1460, 1400, 1380],
    [1280, 1220, 1200],
    [576, 516, 496],
    [9000, 8940, 8920],
    [9001, 8940, 8920],
    // Loopback.
    [65_536, 8940, 8920],
    [70, sessionMssLimits.minBytes, sessionMssLimits.minBytes],
  ];
  for (const [mtuBytes, byIpv4, byIpv6] of cases) {
    t.equal(fitOf(() => mtuBytes).mssBytes(), byIpv4, `IPv4, ${mtuBytes}`);
    t.equal(fitOf(() => mtuBytes, { receivers: [ipv6] }).mssBytes(), byIpv6, `IPv6, ${mtuBytes}`);
  }
});

t.test('the path with the smallest MTU counts, including that of the group', async (t) => {
  const mtus: Record<string, number> = { [one.host]: 9000, [other.host]: 4000, [group.host]: 2000 };
  const asked: unknown[] = [];
  const ask: AskPathMtu = ({ host }, from) => {
    asked.push([host, from]);
    return mtus[host];
  };
  const receivers = [one, other];
  t.equal(fitOf(ask, { receivers }).mssBytes(), 3940);
  asked.length = 0;
  t.equal(fitOf(ask, { receivers, group, groupFrom: '192.0.2.9' }).mssBytes(), 1940);
  t.same(asked, [
    [one.host, undefined],
    [other.host, undefined],
    [group.host, '192.0.2.9'],
  ]);
});

t.test('the next smaller size: what the system reports now, or else one step down', async (t) => {
  let mtuBytes: number | undefined = 9000;
  const fit = fitOf(() => mtuBytes);
  t.equal(fit.below(8940), 1400, 'the system has not learnt it');
  t.equal(fit.below(1400), 1200);
  t.equal(fit.below(1200), 508);
  t.equal(fit.below(508), undefined);
  mtuBytes = 4000;
  t.equal(fit.below(8940), 3940);
  t.equal(fit.below(3940), 1400);
  mtuBytes = undefined;
  t.equal(fit.below(1400), 1200);
});

t.test('a batch, with its tags, is as large as one call can send', async (t) => {
  t.equal(maxBatchSegments(1400), 45);
  t.equal(maxBatchSegments(8940), 7);
  const { minBytes, maxBytes } = sessionMssLimits;
  for (let mssBytes = minBytes; mssBytes <= maxBytes; mssBytes++) {
    const count = maxBatchSegments(mssBytes);
    const fits = count * (mssBytes + 32) <= 65_469;
    const isMost = count === 64 || (count + 1) * (mssBytes + 32) > 65_469;
    if (count < 1 || count > 64 || !fits || !isMost) t.fail(`${count} of ${mssBytes} bytes`);
  }
});
