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
  } as Pick<Relay, 'find'> as Relay;
  const machine = { relay, pass: () => calls.push('pass') };
  const what = { name: 'a', root: undefined, manifestDigest: undefined };
  const drain = () => calls.push('drain');
  const catalogue = new RelayCatalogue(machine, drain, () => undefined);
  t.match(await catalogue.find(what, []), { reason: 'no such object' });
  t.same(calls.splice(0), ['find', 'drain']);
  const key = new Uint8Array(32);
  const question = { name: 'a', originKey: key, receiverKey: key, challenge: key };
  void catalogue.pass(question, []);
  t.same(calls, ['pass', 'drain']);
});
