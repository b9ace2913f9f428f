/**
 * Random scenarios of hosts that ask each other for objects (SESSIONS 9): lossy networks, hosts that are killed and
 * started, and interruptions. Each scenario is determined by its number.
 */
import t from 'tap';
import { createRandom } from '../../src/base/random.js';
import { Asker } from '../../src/session/asks/asker.js';
import type { SessionReceiver } from '../../src/session/receiver.js';
import { type AskingRun, holds, runAsking, served } from '../support/asking-hosts.js';
import { chosenScenarios } from '../support/chosen-scenarios.js';
import { replace } from '../support/planted-fault.js';

/** @returns what is wrong after the scenario */
function complaintsOf(number: number): string[] {
  const random = createRandom(`asks ${number}`, 'scenario');
  const below = (count: number) => Math.floor(random() * count);
  const chance = (probability: number) => random() < probability;
  const objects = [0, 1].map((i) => served(`o${i}`, 1 + i + below(3) * 100_000));
  const names = ['s0', 's1', ...Array.from({ length: 1 + below(4) }, (_, i) => `r${i}`)];
  const wanted = new Map<string, Set<number>>();
  const hosts = Object.fromEntries(
    names.map((name) => {
      const isServer = name.startsWith('s');
      const own = isServer ? Number(name.slice(1)) : -1;
      // Servers ask each other as well.
      const asked = [0, 1].filter((i) => i !== own && chance(0.6));
      wanted.set(name, new Set(asked));
      const asks = asked.map((i) => ({ of: `s${i}`, name: `o${i}`, atMs: below(3000) }));
      const serves = objects.filter((_, i) => i === own);
      return [name, { asks, serves, hasGroup: chance(0.4) }];
    }),
  );
  const prepare = ({ simulation, host }: AskingRun) => {
    for (const name of names) {
      if (!chance(0.4)) continue;
      const [begin, end] = chance(0.5)
        ? (['kill', 'start'] as const)
        : (['disconnect', 'reconnect'] as const);
      const atMs = below(4000);
      simulation.at(atMs, () => host(name).host.inject(begin));
      simulation.at(atMs + 1 + below(15_000), () => host(name).host.inject(end));
    }
  };
  const lossProbability = chance(0.5) ? random() * 0.2 : 0;
  const run = runAsking({ seed: `asks ${number}`, hosts, lossProbability, prepare });
  const complaints = run.isAtRest ? [] : ['not at rest'];
  for (const name of names) {
    const host = run.host(name);
    for (const i of wanted.get(name) ?? []) {
      const object = objects[i] as ReturnType<typeof served>;
      if (!holds(host, object)) complaints.push(`${name} has no ${object.name}`);
    }
    const { asker, listener } = host.role;
    if (asker?.askCount !== 0) complaints.push(`${name} asks forever`);
    if (listener?.channelCount !== 0) complaints.push(`${name} keeps channels`);
  }
  return complaints;
}

t.test('whoever asks gets the object, whatever happens', (t) => {
  const { first, last } = chosenScenarios('P2MP_ASK_SCENARIO') ?? { first: 1, last: 60 };
  for (let number = first; number <= last; number++) {
    const complaints = complaintsOf(number);
    const replay = `P2MP_ASK_SCENARIO=${number} npx tap test/sweep/asks.long.test.ts`;
    t.same(complaints, [], replay);
  }
  t.end();
});

function notices(what: string, plant: () => () => void): void {
  t.test(`the checks notice ${what}`, (t) => {
    const restore = plant();
    try {
      let count = 0;
      for (let number = 1; number <= 60 && count === 0; number++)
        count = complaintsOf(number).length;
      t.ok(count > 0, 'a complaint');
    } finally {
      restore();
    }
    t.end();
  });
}

if (process.env['P2MP_ASK_SCENARIO'] === undefined) {
  notices('an asker that does not ask again', () =>
    replace(
      Asker.prototype as unknown as Looking,
      'lookAtSession',
      function (this: Looking, _: number, ask: unknown, session: number) {
        if (this.options.receiver.find(session) === undefined) this.end(ask);
      },
    ),
  );
}

interface Looking {
  readonly options: { readonly receiver: SessionReceiver };
  end(ask: unknown): void;
  lookAtSession(nowMs: number, ask: unknown, session: number): void;
}
