/** Random operations on the account of a cache; after each of them, what must always hold is checked. */
import t from 'tap';
import { at } from '../../../src/base/assert.js';
import { createRandom } from '../../../src/base/random.js';
import { CacheLedger } from '../../../src/roles/relay/cache-ledger.js';

const limitBytes = 1000;

t.test('never above the limit, and what is in use stays', (t) => {
  for (let seed = 0; seed < 300; seed++) {
    const random = createRandom('ledger', seed);
    const pick = <T>(values: readonly T[]): T => at(values, Math.floor(random() * values.length));
    const ledger = new CacheLedger(limitBytes);
    /** How many use each object that is held. */
    const users = new Map<string, number>();
    const waiting = new Set<string>();
    const leaving: string[] = [];
    const stuck = new Set<string>();
    const takeOutputs = () => {
      for (let id = ledger.pollRemoval(); id !== undefined; id = ledger.pollRemoval()) {
        const isAgain = stuck.delete(id);
        if (!isAgain && users.get(id) !== 0)
          t.fail(`seed ${seed}: ${id} leaves while it is in use`);
        users.delete(id);
        leaving.push(id);
      }
      for (let id = ledger.pollRefused(); id !== undefined; id = ledger.pollRefused())
        if (!waiting.delete(id)) t.fail(`seed ${seed}: ${id} is refused and did not wait`);
      for (let id = ledger.pollGranted(); id !== undefined; id = ledger.pollGranted()) {
        if (!waiting.delete(id)) t.fail(`seed ${seed}: ${id} is granted and did not wait`);
        users.set(id, 1);
      }
    };
    for (let i = 0; i < 10; i++) ledger.add(`old ${i}`, 150);
    for (let i = 0; i < 10; i++) users.set(`old ${i}`, 0);
    ledger.trim();
    takeOutputs();
    if (leaving.length !== 4) t.fail('what is too much at the start leaves');
    for (const id of leaving.splice(0)) ledger.handleRemoved(id);
    for (let step = 0; step < 300; step++) {
      const id = `new ${Math.floor(random() * 12)}`;
      const held = [...users.keys()];
      const used = held.filter((each) => users.get(each) !== 0);
      const operation = random();
      if (operation < 0.4) {
        const answer = ledger.reserve(id, 1 + Math.floor(random() * 1.1 * limitBytes));
        if (answer === 'granted') users.set(id, 1);
        else if (answer === 'waiting') waiting.add(id);
      } else if (operation < 0.6 && held.length > 0) {
        const each = pick(held);
        ledger.use(each);
        users.set(each, (users.get(each) ?? 0) + 1);
      } else if (operation < 0.85 && used.length > 0) {
        const each = pick(used);
        ledger.release(each);
        users.set(each, (users.get(each) ?? 0) - 1);
      } else if (leaving.length > 0) {
        const each = leaving.splice(Math.floor(random() * leaving.length), 1)[0] as string;
        if (random() < 0.2) {
          ledger.handleStuck(each);
          stuck.add(each);
        } else {
          ledger.handleRemoved(each);
        }
      }
      takeOutputs();
      if (ledger.sizeBytes > limitBytes) t.fail(`seed ${seed}: ${ledger.sizeBytes} bytes`);
      for (const each of users.keys())
        if (!ledger.has(each)) t.fail(`seed ${seed}: ${each} is gone`);
    }
    for (const id of leaving.splice(0)) ledger.handleRemoved(id);
    takeOutputs();
    t.equal(waiting.size, 0, `seed ${seed}: every waiting object has room`);
  }
  t.end();
});

t.test('what was not used for the longest time leaves first', (t) => {
  const ledger = new CacheLedger(300);
  for (const id of ['a', 'b', 'c']) ledger.add(id, 100);
  ledger.use('a');
  ledger.release('a');
  t.equal(ledger.reserve('d', 150), 'waiting');
  t.same([ledger.pollRemoval(), ledger.pollRemoval(), ledger.pollRemoval()], ['b', 'c', undefined]);
  ledger.handleRemoved('b');
  t.equal(ledger.pollGranted(), undefined);
  ledger.handleRemoved('c');
  t.equal(ledger.pollGranted(), 'd');
  t.end();
});

t.test('nothing leaves for what has no room anyway', (t) => {
  const ledger = new CacheLedger(300);
  ledger.add('a', 100);
  ledger.add('b', 100);
  ledger.use('a');
  t.equal(ledger.reserve('large', 301), 'refused');
  t.equal(ledger.reserve('c', 250), 'refused', 'a is in use');
  t.equal(ledger.pollRemoval(), undefined);
  t.equal(ledger.reserve('d', 100), 'granted');
  t.equal(ledger.reserve('a', 10), 'refused', 'it is there');
  t.end();
});
