/** V8 complains about every flag that it does not know. */
import t from 'tap';
import { engineFlags } from '../../src/cli/tune-engine.js';

t.test('this version of V8 knows the flags', async (t) => {
  const budget = '--interrupt-budget=400000';
  t.ok(engineFlags('11.3.244.8-node.38').includes(budget), 'Node 20');
  t.notOk(engineFlags('12.4.254.21-node.57').includes(budget), 'Node 22');
  t.notOk(engineFlags('13.6.233.17-node.53').includes(budget), 'Node 24');
});
