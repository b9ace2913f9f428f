/** The other peers of an exchange as sources. */
import t from 'tap';
import { RosterPeer } from '../../../src/roles/exchange/roster.js';
import { SourceCandidates } from '../../../src/roles/exchange/source-candidates.js';

t.test('a peer that has joined again is another source of the same name', (t) => {
  const candidates = new SourceCandidates();
  const key = new Uint8Array(32);
  const specs = [4000, 5000].map((port, number) =>
    candidates.specOf(new RosterPeer(number, 'bert', key, { host: '192.0.2.1', port })),
  );
  t.not(specs[0]?.name, specs[1]?.name, 'a fetch has different names for them');
  for (const spec of specs) t.equal(candidates.nameOf(spec.name), 'bert');
  t.equal(candidates.nameOf('another'), 'another');
  t.end();
});
