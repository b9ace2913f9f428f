/**
 * Which refused senders a receiver reports: each sender once, and a bounded number during a flood.
 */
import t from 'tap';
import { TurnedAwayLog, turnedAwayLimits } from '../../src/session/turned-away-log.js';

const { perHost, burst, refillMs, repeatMs, hosts } = turnedAwayLimits;

t.test('one key from one host is reported once an hour', async (t) => {
  const log = new TurnedAwayLog();
  t.same(log.take(0, 'a', 'key'), { unreported: 0 });
  t.equal(log.take(1000, 'a', 'key'), undefined);
  t.equal(log.take(repeatMs - 1, 'a', 'key'), undefined);
  t.same(log.take(repeatMs, 'a', 'key'), { unreported: 2 });
});

t.test('a host that generates keys does not fill the log and hides no other host', async (t) => {
  const log = new TurnedAwayLog();
  let reports = 0;
  for (let i = 0; i < 1000; i++) if (log.take(i, 'flood', `key ${i}`) !== undefined) reports++;
  t.equal(reports, perHost);
  t.same(log.take(1000, 'honest', 'key'), { unreported: 1000 - perHost });
});

t.test('many hosts together get one report a minute in the long run', async (t) => {
  const log = new TurnedAwayLog();
  let reports = 0;
  let counted = 0;
  const attempts = 100_000;
  const everyMs = (10 * repeatMs) / attempts;
  for (let i = 0; i < attempts; i++) {
    const report = log.take(i * everyMs, `host ${i}`, `key ${i}`);
    if (report === undefined) continue;
    reports++;
    counted += 1 + report.unreported;
  }
  t.ok(reports <= burst + (10 * repeatMs) / refillMs, `${reports} reports`);
  t.ok(reports >= (10 * repeatMs) / refillMs - 1, `${reports} reports`);
  t.ok(counted > attempts - (2 * refillMs) / everyMs, 'every refusal is counted');
});

t.test("the log's memory is bounded", async (t) => {
  const log = new TurnedAwayLog();
  for (let i = 0; i < 3 * hosts; i++) log.take(i, `host ${i}`, 'key');
  t.ok(log['hosts'].size <= hosts);
});
