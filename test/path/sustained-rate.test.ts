/** The highest rate that lasted a second. */
import t from 'tap';
import { SustainedRate } from '../../src/path/sustained-rate.js';

t.test('bursts do not count, seconds do', async (t) => {
  const rate = new SustainedRate();
  t.equal(rate.perMs, 0);
  rate.add(5000, 0);
  rate.add(5200, 100);
  t.equal(rate.perMs, 0.5, 'before a second is over: the rate since the beginning');
  rate.add(5201, 900);
  rate.add(6000, 1000);
  t.equal(rate.perMs, 1);
  rate.add(7000, 3000);
  t.equal(rate.perMs, 2);
  rate.add(8000, 3500);
  t.equal(rate.perMs, 2, 'a slower second changes nothing');
});

t.test('a receiver that restarts counts from zero', async (t) => {
  const rate = new SustainedRate();
  rate.add(0, 5000);
  rate.add(500, 0);
  rate.add(1500, 1000);
  t.equal(rate.perMs, 1);
});
