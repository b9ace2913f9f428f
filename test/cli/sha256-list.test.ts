/** Lines of `sha256sum` are written and read back, whatever the name. */
import * as fc from 'fast-check';
import t from 'tap';
import { formatSha256, parseSha256 } from '../../src/cli/sha256-list.js';

const sha256 = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';

t.test('a line reads back as written', (t) => {
  const name = fc.string({
    unit: fc.constantFrom('a', ' ', '\\', '\n', '\r', 'n', 'é'),
    minLength: 1,
  });
  const property = fc.property(name, (path) => {
    const line = formatSha256({ sha256, path });
    t.notMatch(line, /[\n\r]/);
    t.same(parseSha256(line), { sha256, path });
  });
  fc.assert(property, { seed: 1, numRuns: 300 });
  t.end();
});

t.test('other forms of sha256sum are read; other lines are not', (t) => {
  t.same(parseSha256(`${sha256.toUpperCase()} *a b`), { sha256, path: 'a b' });
  t.same(parseSha256(`${sha256}  a\\nb`), { sha256, path: 'a\\nb' }, 'no escapes without the mark');
  for (const line of [
    '',
    sha256,
    `${sha256}  `,
    `${sha256} a`,
    `${sha256.slice(1)}  a`,
    `0${sha256}  a`,
  ]) {
    t.equal(parseSha256(line), undefined, line);
  }
  t.end();
});
