/** What a relay offers to its clients. */
import t from 'tap';
import { RelayCatalogue } from '../../../src/node/relay/relay-catalogue.js';
import type { Relay } from '../../../src/roles/relay/relay.js';

t.test('a question to the upstream servers leaves at once', async (t) => {
  const calls: string[] = [];
  const relay = {
    find: (_what, _hops, take) => {
      calls.push('find');
      take({ reason: 'no such object', isTemporary: false });
    },
  } as Pick<Relay, 'find'>;
  const drain = () => calls.push('drain');
  const catalogue = new RelayCatalogue(relay as Relay, drain, () => undefined);
  t.match(await catalogue.find({ name: 'a', root: undefined, manifestDigest: undefined }, []), {
    reason: 'no such object',
  });
  t.same(calls, ['find', 'drain']);
});
