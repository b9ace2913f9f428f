/** Fetches that believe only the origin of a name, through relays, in virtual time. */
import t from 'tap';
import { encodeManifest } from '../../../src/object/manifest.js';
import { MemorySource } from '../../../src/object/memory-source.js';
import type { ObjectHead } from '../../../src/roles/relay/object-cache.js';
import type { RelayMachine } from '../../../src/roles/relay/relay-machine.js';
import { sealOriginAnswer } from '../../../src/security/envelope.js';
import type { ServedObject } from '../../../src/simulator/roles/serving.js';
import { createManifestOfFiles } from '../../../src/simulator/roles/session-sender.js';
import { createSimulatedCrypto, simulatedKey } from '../../../src/simulator/session-crypto.js';
import {
  type Client,
  elapsedMs,
  hasFetched,
  type Middle,
  objectOf,
  RelayNet,
} from '../../support/relay-net.js';

const object = objectOf('object', 20);
const other = objectOf('object', 20, 'other') as Required<Pick<ServedObject, 'digestTree'>> &
  ServedObject;
const what = { name: 'object' };
const originKey = simulatedKey('origin');
const crypto = createSimulatedCrypto('1', 'relay');

function reasonOf({ role }: Client): string {
  return role.results[0]?.reason ?? 'no reason';
}

/** Whether the client holds nothing of any object. */
function isEmpty({ stores }: Client): boolean {
  return [...stores['objects'].values()].every(
    ({ durable, written }) => durable.size + written.size === 0,
  );
}

/** Replaces how a relay passes questions on. */
function passBy({ role }: Middle, pass: RelayMachine['pass']): void {
  (role['machine'] as RelayMachine).pass = pass;
}

for (const count of [0, 1, 3]) {
  t.test(`through ${count} relays, the origin says which content a name has`, async (t) => {
    const net = new RelayNet('1');
    net.server('origin', [object]);
    const names = ['origin', 'r0', 'r1', 'r2'].slice(0, count + 1);
    for (let i = 1; i <= count; i++) net.relay(names[i] as string, [names[i - 1] as string]);
    const last = names[count] as string;
    const client = net.client('a', [last], what, { originKey });
    net.simulation.run({ untilMs: 60_000 });
    t.ok(hasFetched(client, object), reasonOf(client));
    const sentBytes = net.sentBy('origin');
    const second = net.client('b', [last], what, { originKey });
    net.simulation.run({ untilMs: 120_000 });
    t.ok(hasFetched(second, object), reasonOf(second));
    const moreBytes = net.sentBy('origin') - sentBytes;
    t.ok(count === 0 || moreBytes < 5000, `a hit costs the origin ${moreBytes} bytes`);
  });
}

t.test(
  'a relay that offers another object under the name is named; nothing is stored',
  async (t) => {
    const manifest = encodeManifest(createManifestOfFiles(object.content.length, 2));
    const lies: readonly [string, (head: ObjectHead) => Partial<ObjectHead>, RegExp][] = [
      [
        'other content',
        () => ({ digestTree: other.digestTree, contentRoot: other.digestTree.root() }),
        /holds other content/,
      ],
      [
        'other names',
        () => ({ manifest, manifestDigest: crypto.hash(manifest) }),
        /holds other names, times or modes/,
      ],
    ];
    for (const [which, lie, reason] of lies) {
      const net = new RelayNet('1');
      net.server('origin', [object]);
      net.relay('honest', ['origin']);
      net.relay('relay', ['honest'], {
        disguise: (head) => [{ ...head, ...lie(head) }, MemorySource.of(other.content)],
      });
      const client = net.client('a', ['relay'], what, { originKey });
      const unsure = net.client('b', ['relay'], what);
      net.simulation.run({ untilMs: 300_000 });
      t.equal(client.role.results[0]?.status, 'failed', which);
      t.match(client.role.events, [
        { type: 'identify' },
        { type: 'identify' },
        { type: 'left', source: 'relay', reason, isRetried: false },
      ]);
      t.ok(isEmpty(client), which);
      t.ok(elapsedMs(client) < 5000, `${elapsedMs(client)} ms`);
      if (which === 'other content')
        t.ok(hasFetched(unsure, other), 'who does not ask the origin believes the relay');
    }
  },
);

t.test('a relay cannot answer for the origin, and no earlier answer serves', async (t) => {
  const answers: Uint8Array[] = [];
  const { digestTree } = object as typeof other;
  const facts = {
    name: 'object',
    contentRoot: digestTree.root(),
    manifestDigest: new Uint8Array(32),
  };
  const ways: Readonly<Record<string, RelayMachine['pass']>> = {
    'its own key': ({ receiverKey, challenge }, _hops, take) =>
      take(sealOriginAnswer(crypto, receiverKey, { challenge, ...facts }) as Uint8Array),
    'an earlier answer': (_question, _hops, take) => take(answers[0] as Uint8Array),
    bytes: (_question, _hops, take) => take(new Uint8Array(150).fill(7)),
    'no bytes': (_question, _hops, take) => take(new Uint8Array(0)),
  };
  for (const [which, pass] of Object.entries(ways)) {
    const net = new RelayNet('1');
    net.server('origin', [object]);
    const relay = net.relay('relay', ['origin']);
    net.relay('good', ['origin']);
    const machine = relay.role['machine'] as RelayMachine;
    const passHonestly = machine.pass.bind(machine);
    passBy(relay, (question, hops, take) =>
      passHonestly(question, hops, (answer) => {
        if (answer instanceof Uint8Array) answers.push(answer);
        take(answer);
      }),
    );
    const first = net.client('first', ['relay'], what, { originKey });
    net.simulation.run({ untilMs: 60_000 });
    t.ok(hasFetched(first, object));
    passBy(relay, pass);
    const client = net.client('a', ['relay'], what, { originKey });
    const wise = net.client('b', ['relay', 'good'], what, { originKey });
    net.simulation.run({ untilMs: 120_000 });
    t.match(reasonOf(client), /passed on an envelope that the origin has not made/, which);
    t.ok(isEmpty(client), which);
    t.ok(hasFetched(wise, object), which);
  }
});

t.test(
  'if the origin is away, that is the reason, although the cache has the object',
  async (t) => {
    const net = new RelayNet('1');
    const { host } = net.server('origin', [object]);
    net.relay('relay', ['origin']);
    const first = net.client('a', ['relay'], what, { originKey });
    net.simulation.run({ untilMs: 60_000 });
    t.ok(hasFetched(first, object));
    host.inject('disconnect');
    const client = net.client('b', ['relay'], what, { originKey });
    net.simulation.run({ untilMs: 300_000 });
    t.match(reasonOf(client), /^the origin does not answer: relay: origin: does not answer/);
    t.ok(isEmpty(client));
  },
);

t.test('a server that is not the origin is no help, but sends the content', async (t) => {
  const net = new RelayNet('1');
  net.server('origin', [object]);
  net.server('mirror', [object]);
  net.relay('relay', ['origin']);
  const client = net.client('a', ['mirror'], what, { originKey });
  const both = net.client('b', ['mirror', 'relay'], what, { originKey });
  net.simulation.run({ untilMs: 60_000 });
  t.match(reasonOf(client), /^the origin does not answer: mirror: is not this origin/);
  t.ok(hasFetched(both, object));
  const { sources = [] } = both.role.results[0]?.report ?? {};
  t.equal(sources.length, 2);
});

t.test('what has changed at the origin is fetched as it is now', async (t) => {
  const net = new RelayNet('1');
  const { role } = net.server('origin', [object]);
  net.relay('relay', ['origin']);
  const before = net.client('a', ['relay'], what, { originKey });
  net.simulation.run({ untilMs: 60_000 });
  role.serve([other]);
  const after = net.client('b', ['relay'], what, { originKey });
  net.simulation.run({ untilMs: 120_000 });
  t.ok(hasFetched(before, object) && hasFetched(after, other));
});

t.test('a question that comes back to a relay is refused', async (t) => {
  const net = new RelayNet('1');
  net.relay('r0', ['r1']);
  net.relay('r1', ['r0']);
  const client = net.client('a', ['r0'], what, { originKey });
  net.simulation.run({ untilMs: 60_000 });
  t.match(reasonOf(client), /asks itself for it, through other relays/);
});

t.test('a relay has 64 questions at a time, and asks its upstream server no more often', (t) => {
  const net = new RelayNet('1');
  net.server('origin', [object]);
  const { role, host } = net.relay('relay', ['origin']);
  const machine = role['machine'] as RelayMachine;
  const answers: Parameters<Parameters<RelayMachine['pass']>[2]>[0][] = [];
  const receiverKey = simulatedKey('a');
  const question = { name: 'object', originKey, receiverKey, challenge: new Uint8Array(16) };
  host.at(0, () => {
    for (let i = 0; i < 100; i++) machine.pass(question, [], (answer) => answers.push(answer));
  });
  host.at(1, () => {
    const reason = 'busy with 64 questions for origins; ask again later';
    t.same(
      answers,
      Array.from({ length: 36 }, () => ({ reason, isTemporary: true })),
    );
    t.equal(machine.questionCount, 64);
  });
  net.simulation.run({ untilMs: 60_000 });
  t.equal(machine.questionCount, 0);
  t.equal(answers.length, 100);
  t.end();
});
