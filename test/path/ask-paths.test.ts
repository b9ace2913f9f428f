/** By which pairs of addresses the hellos of an ask go. */
import t from 'tap';
import { askPaths, pairsOfHello } from '../../src/path/ask-paths.js';
import { Path } from '../../src/path/path.js';

const at = (host: string) => ({ host, port: 7735 });

function pathTo(addresses: readonly [string, ...string[]], localHost?: string): Path {
  const [address, ...otherAddresses] = addresses.map(at);
  const from = localHost === undefined ? {} : { localHost };
  return new Path({ address: address ?? at(''), otherAddresses, ...from }, 1400);
}

/** The pairs as text: `from > to`. */
function pairsOf(hosts: readonly string[], path: Path): string[] {
  return askPaths(hosts, path).map(
    ({ localHost = '', address }) => `${localHost} > ${address.host}`,
  );
}

t.test('an address for each attempt if the system chooses where from', (t) => {
  t.same(pairsOf([], pathTo(['10.0.0.2'])), [' > 10.0.0.2']);
  t.same(pairsOf([], pathTo(['10.0.0.2', '2001:db8::2'])), [' > 10.0.0.2', ' > 2001:db8::2']);
  t.end();
});

t.test('every pair once, those on one network first', (t) => {
  const path = pathTo(['10.0.0.2', '10.1.0.2'], '10.0.0.1');
  const expected = [
    '10.0.0.1 > 10.0.0.2',
    '10.1.0.1 > 10.1.0.2',
    '10.1.0.1 > 10.0.0.2',
    '10.0.0.1 > 10.1.0.2',
  ];
  t.same(pairsOf(['10.0.0.1', '10.1.0.1'], path), expected);
  t.end();
});

t.test('the pair in use is the first, as long as its own end is there', (t) => {
  const path = pathTo(['10.0.0.2'], '10.1.0.1');
  t.equal(pairsOf(['10.0.0.1', '10.1.0.1'], path)[0], '10.1.0.1 > 10.0.0.2');
  t.same(pairsOf(['10.0.0.1'], path), ['10.0.0.1 > 10.0.0.2']);
  t.equal(pairsOf([], path)[0], '10.1.0.1 > 10.0.0.2');
  t.end();
});

t.test('no pair has ends of two IP versions, unless there is no other', (t) => {
  const path = pathTo(['10.0.0.2', '2001:db8::2']);
  t.same(pairsOf(['2001:db8::1'], path), ['2001:db8::1 > 2001:db8::2']);
  t.same(pairsOf(['2001:db8::1'], pathTo(['10.0.0.2'])), [' > 10.0.0.2']);
  t.end();
});

t.test('each hello goes by one pair more, and later ones by four others', (t) => {
  const pairs = Array.from({ length: 10 }, (_, i) => ({ address: at(`h${i}`) }));
  const byHello = [1, 2, 3, 4, 5, 6, 7].map((attempt) =>
    pairsOfHello(pairs, attempt).map(({ address }) =>
      pairs.findIndex((p) => p.address === address),
    ),
  );
  t.same(byHello, [[0], [0, 1], [0, 1, 2], [0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 0, 1], [2, 3, 4, 5]]);
  t.same(pairsOfHello(pairs.slice(0, 1), 9), pairs.slice(0, 1));
  t.equal(pairsOfHello(pairs.slice(0, 3), 9).length, 3, 'none twice');
  t.end();
});
