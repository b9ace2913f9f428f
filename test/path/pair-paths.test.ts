/** Which pairs of addresses may become paths. */
import t from 'tap';
import { pairPaths } from '../../src/path/pair-paths.js';

const at = (host: string) => ({ host, port: 7735 });
const pair = (hosts: string[], addresses: string[], first: { host?: string; address: string }) => {
  const { host: localHost, address } = first;
  const known = { address: at(address), ...(localHost !== undefined && { localHost }) };
  return pairPaths(hosts, addresses.map(at), [known], 3).map(
    (each) => `${each.localHost ?? ''}>${each.address.host}`,
  );
};

t.test('addresses on one network become a pair', (t) => {
  const hosts = ['10.1.0.1', '10.2.0.1'];
  t.same(pair(hosts, ['10.1.0.9', '10.2.0.9'], { address: '10.1.0.9' }), ['10.2.0.1>10.2.0.9']);
  t.same(pair(hosts, ['10.1.0.9', '10.2.0.9'], { address: '10.2.0.9' }), ['10.1.0.1>10.1.0.9']);
  t.end();
});

t.test('each pair brings an address that no path uses yet', (t) => {
  const first = { host: '10.1.0.1', address: '10.1.0.9' };
  t.same(pair(['10.1.0.1'], ['10.1.0.9'], first), []);
  t.same(pair(['10.1.0.1', '10.2.0.1'], ['10.1.0.9'], first), ['10.2.0.1>10.1.0.9']);
  t.same(pair(['10.1.0.1'], ['10.1.0.9', '10.2.0.9'], first), ['10.1.0.1>10.2.0.9']);
  t.same(pair([], ['10.1.0.9', '10.2.0.9'], { address: '10.1.0.9' }), ['>10.2.0.9']);
  t.end();
});

t.test('an address that is not announced is that of the first path', (t) => {
  const hosts = ['192.0.2.1', '10.2.0.1'];
  t.same(pair(hosts, ['10.2.0.9'], { address: '192.0.2.9' }), ['10.2.0.1>10.2.0.9']);
  t.end();
});

t.test('no pair mixes IP versions, and there are never more than wanted', (t) => {
  const first = { host: '10.1.0.1', address: '10.1.0.9' };
  t.same(pair(['10.1.0.1', 'fd00::1'], ['10.1.0.9', 'fd00::9'], first), ['fd00::1>fd00::9']);
  const many = Array.from({ length: 9 }, (_, i) => `10.${i + 1}.0`);
  const hosts = many.map((net) => `${net}.1`);
  const addresses = many.map((net) => `${net}.9`);
  t.equal(pair(hosts, addresses, first).length, 3);
  t.end();
});
