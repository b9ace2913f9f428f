/** The current rate, in virtual time. */
import t from 'tap';
import { RecentRate, RecentRates, secondsFor } from '../../src/base/recent-rate.js';

/** Adds an amount every 200 ms. @returns the rate after each step */
function ratesOf(rate: RecentRate, fromMs: number, toMs: number, amountAt: (ms: number) => number) {
  const rates: (number | undefined)[] = [];
  for (let ms = fromMs; ms <= toMs; ms += 200) {
    rate.add(ms, amountAt(ms));
    rates.push(rate.perSec(ms));
  }
  return rates;
}

t.test('a steady growth has its rate from the second on', async (t) => {
  const rates = ratesOf(new RecentRate(), 0, 20_000, (ms) => ms * 3);
  t.ok(rates.slice(0, 6).every((rate) => rate === undefined));
  for (const rate of rates.slice(7)) t.ok(Math.abs((rate ?? 0) - 3000) < 1e-6, `${rate}`);
});

t.test('after a change, the rate is the new one within six seconds', async (t) => {
  const rate = new RecentRate();
  ratesOf(rate, 0, 10_000, (ms) => ms * 10);
  const later = ratesOf(rate, 10_200, 16_200, (ms) => 100_000 + (ms - 10_000));
  const last = later.at(-1) ?? 0;
  t.ok(Math.abs(last - 1000) < 1e-6, `${last}`);
  t.ok((later[0] ?? 0) > 9000, 'the change is gradual');
  for (let i = 1; i < later.length; i++) t.ok((later[i] ?? 0) <= (later[i - 1] ?? 0) + 1e-6);
});

t.test('the time before the first growth does not count', async (t) => {
  const rate = new RecentRate();
  t.ok(ratesOf(rate, 0, 30_000, () => 7).every((each) => each === undefined));
  const later = ratesOf(rate, 30_200, 33_000, (ms) => 7 + (ms - 30_000) * 2);
  t.equal(later[0], undefined);
  for (const each of later.slice(6)) t.ok(Math.abs((each ?? 0) - 2000) < 1e-6, `${each}`);
});

t.test('during a stall there is no rate; after it, the stall does not count', async (t) => {
  const rate = new RecentRate();
  ratesOf(rate, 0, 5000, (ms) => ms);
  const stalled = ratesOf(rate, 5200, 20_000, () => 5000);
  t.ok((stalled[0] ?? 0) > 900);
  t.ok(stalled.slice(14).every((each) => each === undefined));
  const after = ratesOf(rate, 20_200, 23_000, (ms) => 5000 + (ms - 20_000));
  for (const each of after.slice(6)) t.ok(Math.abs((each ?? 0) - 1000) < 1e-6, `${each}`);
});

t.test('growth in steps that are seconds apart gives no inflated rate', async (t) => {
  for (const stepMs of [1000, 2000, 2800, 4000, 10_000]) {
    const rates = ratesOf(new RecentRate(), 0, 60_000, (ms) => Math.floor(ms / stepMs) * stepMs);
    // The true rate is 1000 per second.
    const most = Math.max(0, ...rates.map((each) => each ?? 0));
    t.ok(most <= 1700, `steps of ${stepMs} ms: ${most}`);
    if (stepMs < 3000) t.ok(rates.slice(30).every((each) => (each ?? 0) > 500));
  }
});

t.test('an amount that shrinks begins again', async (t) => {
  const rate = new RecentRate();
  ratesOf(rate, 0, 5000, (ms) => ms);
  rate.add(5200, 100);
  t.equal(rate.perSec(5200), undefined);
  const later = ratesOf(rate, 5400, 8000, (ms) => 100 + (ms - 5200) * 4);
  t.ok(later.every((each) => each === undefined || Math.abs(each - 4000) < 1e-6));
});

t.test('rates of things that went away are forgotten', async (t) => {
  const rates = new RecentRates();
  for (let ms = 0; ms <= 4000; ms += 200) {
    rates.update(ms, [
      ['one', ms],
      ['two', ms * 2],
    ]);
  }
  t.equal(rates.perSec(4000, 'one'), 1000);
  t.equal(rates.perSec(4000, 'two'), 2000);
  t.equal(rates.perSec(4000, 'three'), undefined);
  rates.update(4200, [['two', 8400]]);
  t.equal(rates.perSec(4200, 'one'), undefined);
  t.equal(rates.perSec(4200, 'two'), 2000);
});

t.test('the remaining time is unknown without a rate', async (t) => {
  t.equal(secondsFor(500, 100), 5);
  t.equal(secondsFor(0, undefined), 0);
  t.equal(secondsFor(500, undefined), undefined);
  t.equal(secondsFor(500, 0), undefined);
});
