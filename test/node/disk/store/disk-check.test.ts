/** When an object that has arrived is read back from the disk. */
import t from 'tap';
import { isCheapToReadBack } from '../../../../src/node/disk/store/disk-check.js';

const mb = 1_000_000;

t.test('a large object is read back if it arrived slowly', async (t) => {
  t.equal(isCheapToReadBack(20 * mb, 2000), true, '10 MB/s');
  t.equal(isCheapToReadBack(20 * mb, 1900), false, 'faster');
  t.equal(isCheapToReadBack(8 * mb, 1), true, 'a small one takes no time');
});

t.test('objects that arrive together are read back if all of them arrived slowly', async (t) => {
  t.equal(isCheapToReadBack(20 * mb, 2000, 60 * mb), false);
  t.equal(isCheapToReadBack(20 * mb, 6000, 60 * mb), true);
  t.equal(isCheapToReadBack(8 * mb, 1, 60 * mb), true, 'a small one takes no time');
});
