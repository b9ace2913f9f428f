/** Which pair of addresses an answer to a hello belongs to, and which pairs wait for others. */
import t from 'tap';
import { answeredPath, firstPaths, isSecondChoice } from '../../src/path/first-paths.js';
import { Path, type PathEnds } from '../../src/path/path.js';

const at = (host: string) => ({ host, port: 7735 });
const pairs: PathEnds[] = [
  { address: at('10.1.0.9'), localHost: '10.1.0.1' },
  { address: at('10.1.0.9'), localHost: '10.2.0.1' },
  { address: at('10.2.0.9'), localHost: '10.3.0.1' },
];

t.test('an answer belongs to the pair of the address at which it arrived', (t) => {
  const pairOf = (host: string, localHost?: string) => {
    const ends = answeredPath(pairs, {
      ...at(host),
      ...(localHost !== undefined && { localHost }),
    });
    return ends === undefined ? -1 : pairs.indexOf(ends);
  };
  t.equal(pairOf('10.1.0.9', '10.1.0.1'), 0);
  t.equal(pairOf('10.1.0.9', '10.2.0.1'), 1);
  t.equal(pairOf('10.2.0.9', '10.2.0.1'), 2, 'the address to which the request went, if it is one');
  t.equal(pairOf('10.5.0.9', '10.2.0.1'), 1, 'although the other host has sent it from elsewhere');
  t.equal(pairOf('10.1.0.9'), 0, 'without an address of arrival');
  t.equal(pairOf('10.5.0.9'), -1);
  t.end();
});

t.test('a pair is a second choice if an earlier one has an end of it', (t) => {
  t.same(
    pairs.map((each) => isSecondChoice(pairs, each)),
    [false, true, false],
  );
  const other: PathEnds = { address: at('10.2.0.9') };
  t.notOk(isSecondChoice([{ address: at('10.1.0.9') }, other], other), 'the system chooses');
  t.end();
});

t.test('a pair does not begin at an address that this host has no more', (t) => {
  const path = new Path({ address: at('10.1.0.9'), localHost: '10.1.0.1' }, 1400);
  const hostsOf = (own: readonly string[]) =>
    firstPaths(own, path).map(({ localHost }) => localHost);
  t.same(hostsOf(['10.1.0.1', '10.2.0.1']), ['10.1.0.1', '10.2.0.1']);
  t.same(hostsOf(['10.3.0.1', '10.2.0.1']), [undefined, '10.2.0.1']);
  t.same(hostsOf([]), ['10.1.0.1']);
  t.end();
});
