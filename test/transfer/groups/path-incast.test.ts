/** When the paths to a receiver count as crowded by incast, and as clear again. */
import t from 'tap';
import { PathModel } from '../../../src/path/path-model.js';
import { incastThresholds, PathIncast } from '../../../src/transfer/groups/path-incast.js';

/** Passes round trips with this loss. */
function pass(incast: PathIncast, model: PathModel, count: number, lossRatio: number): void {
  for (let i = 0; i < count; i++) {
    model.rounds++;
    model.lossRatio = lossRatio;
    incast.update(model);
    // Several reports arrive in a round trip, which counts once.
    incast.update(model);
  }
}

t.test(
  'a path is crowded after some round trips with heavy loss, and clear after some with light loss',
  (t) => {
    const [incast, model] = [new PathIncast(), new PathModel()];
    pass(incast, model, incastThresholds.heavyRounds - 1, 0.6);
    t.notOk(incast.isCrowded);
    pass(incast, model, 1, 0.6);
    t.ok(incast.isCrowded);
    t.notOk(incast.isClear);
    pass(incast, model, incastThresholds.lightRounds - 1, 0.01);
    t.notOk(incast.isCrowded);
    t.notOk(incast.isClear);
    pass(incast, model, 1, 0.01);
    t.ok(incast.isClear);
    t.end();
  },
);

t.test('a round trip with less loss in between begins the count again', (t) => {
  const [incast, model] = [new PathIncast(), new PathModel()];
  pass(incast, model, incastThresholds.heavyRounds - 1, 0.6);
  pass(incast, model, 1, 0.2);
  pass(incast, model, incastThresholds.heavyRounds - 1, 0.6);
  t.notOk(incast.isCrowded);
  t.end();
});
