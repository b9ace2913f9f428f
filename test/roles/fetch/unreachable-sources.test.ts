/** Sources that cannot be reached, or that leave, before any content is chosen. */
import t from 'tap';
import type { Address } from '../../../src/base/address.js';
import { MemoryStores } from '../../../src/object/memory-store.js';
import { FetchMachine } from '../../../src/roles/fetch/fetch-machine.js';
import type { FetchRoleEvent } from '../../../src/roles/fetch/fetch-result.js';
import { commonAllocationBytes } from '../../../src/session/object-limits.js';
import { createSimulatedCrypto } from '../../../src/simulator/session-crypto.js';

const crypto = createSimulatedCrypto('unreachable', 'fetcher');

function begin(...names: string[]) {
  const sources = names.map((name, i) => {
    return { name, address: { host: `192.0.2.${i + 1}`, port: 7735 } };
  });
  const fetch = new FetchMachine({
    ...{ crypto, ownKey: new Uint8Array(32), name: 'fetcher', platform: 'posix', sources },
    limits: { maxBytes: Infinity, maxEntries: Infinity, allocationBytes: commonAllocationBytes },
    stores: new MemoryStores({ hash: crypto.hash }),
    host: { nowMs: 0, drain: () => undefined },
    what: { name: 'object' },
  });
  fetch.start(0);
  const refuse = (index: number, at: Address = at0(index)) => {
    fetch.handleRefusal(0, index, at, { code: 'port-closed' });
  };
  const at0 = (index: number) => sources[index]?.address as Address;
  const events = () => {
    const all: FetchRoleEvent[] = [];
    for (let next = fetch.pollEvent(); next !== undefined; next = fetch.pollEvent()) all.push(next);
    return all;
  };
  return { fetch, sources, refuse, events };
}

t.test('the only source refuses: the fetch fails at once, and names the reason once', (t) => {
  const { fetch, refuse, events } = begin('a');
  t.match([...fetch.awaited()], [{ index: 0, addresses: [{ host: '192.0.2.1' }] }]);
  refuse(0);
  t.match(events(), [
    {
      type: 'end',
      result: { status: 'failed', reason: /^port 7735 at 192\.0\.2\.1 refused: no p2mp serve / },
    },
  ]);
  t.end();
});

t.test('one of several sources refuses: it is reported, and the others are asked on', (t) => {
  const { fetch, refuse, events } = begin('a', 'b');
  for (let i = 0; i < 3; i++) refuse(0);
  t.match(events(), [{ type: 'port-refused', receiver: 'a' }]);
  t.equal(fetch.activity, 'asking');
  refuse(1);
  t.match(events(), [{ type: 'end', result: { reason: /^a: port .*; b: port .* refused/ } }]);
  t.end();
});

t.test('a source that leaves is asked no more, and the last one ends the fetch', (t) => {
  const { fetch, sources, refuse, events } = begin('a', 'b');
  fetch.leave(0, { ...(sources[0] as (typeof sources)[0]) }, 'is another one');
  t.same(events(), []);
  fetch.leave(0, sources[0] as (typeof sources)[0], 'was removed');
  t.match(events(), [{ type: 'left', source: 'a', reason: 'was removed', isRetried: false }]);
  refuse(1);
  t.match(events(), [
    { type: 'end', result: { reason: /^a: was removed; b: port 7735 at 192\.0\.2\.2 refused/ } },
  ]);
  const other = begin('a');
  other.fetch.leave(0, other.sources[0] as (typeof sources)[0], 'was removed');
  const result = { status: 'failed', reason: 'a: was removed' };
  t.match(
    other.events(),
    [{ type: 'left' }, { type: 'end', result }],
    'also the only one is named',
  );
  t.end();
});
