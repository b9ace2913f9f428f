/** The shares of incoming sessions, from what arrives. */
import t from 'tap';
import { IncomingShares, type Inflow } from '../../../src/session/incoming/incoming-shares.js';

const sizeBytes = 1000;

/** A link of `capacity` datagrams per millisecond. Each sender sends what it wants, but no more than its share. */
class Port {
  nowMs = 0;
  readonly shares = new IncomingShares();
  readonly inflows: Inflow[] = [];
  private readonly credits: number[] = [];

  constructor(private capacity: number) {}

  open(isLimitable = true): Inflow {
    const inflow = this.shares.open(
      10,
      () => isLimitable,
      () => 1,
    );
    this.inflows.push(inflow);
    this.credits.push(0);
    return inflow;
  }

  shareOf(inflow: Inflow): number | undefined {
    const share = this.shares.shareOf(inflow);
    return share === undefined ? undefined : share / 1000 / sizeBytes;
  }

  /** @param wanted the rates of the senders, in datagrams per millisecond */
  run(forMs: number, wanted: readonly number[], randomLoss = 0): void {
    for (let ms = 0; ms < forMs; ms++, this.nowMs++) {
      const rates = this.inflows.map((inflow, i) =>
        Math.min(wanted[i] ?? 0, this.shareOf(inflow) ?? Infinity),
      );
      const sum = rates.reduce((total, rate) => total + rate, 0);
      const arriving = Math.min(1, this.capacity / sum) * (1 - randomLoss);
      for (const [i, inflow] of this.inflows.entries()) {
        const due = (this.credits[i] ?? 0) + (rates[i] ?? 0);
        const count = Math.floor(due);
        this.credits[i] = due - count;
        const lost = Math.round((1 - arriving) * count + (this.nowMs % 2) * 0.1 - 0.05);
        if (count > lost) this.shares.take(this.nowMs, inflow, count - lost, lost, sizeBytes);
      }
    }
  }
}

t.test(
  'senders that overload the link get equal shares, together about what the link carries',
  (t) => {
    const port = new Port(100);
    for (let i = 0; i < 4; i++) port.open();
    port.run(1000, [100, 100, 100, 100]);
    const shares = port.inflows.map((inflow) => port.shareOf(inflow) ?? Infinity);
    t.equal(new Set(shares).size, 1, 'equal shares');
    const [share = 0] = shares;
    t.ok(share > 22 && share < 27, `${share}`);
    t.end();
  },
);

t.test('a session that sends less leaves the rest to the others', (t) => {
  const port = new Port(100);
  const [first] = [port.open(), port.open(), port.open()];
  port.run(1000, [200, 200, 10]);
  const share = port.shareOf(first as Inflow) ?? Infinity;
  t.ok(share > 40 && share < 50, `${share}`);
  t.end();
});

t.test('without loss, or with one session, there is no limit', (t) => {
  const calm = new Port(100);
  const [one] = [calm.open(), calm.open(), calm.open()];
  calm.run(1000, [30, 30, 30]);
  t.equal(calm.shareOf(one as Inflow), undefined, 'no loss');
  const alone = new Port(100);
  const only = alone.open();
  alone.run(1000, [200]);
  t.equal(alone.shareOf(only), undefined, 'one session');
  t.end();
});

t.test('what comes by multicast is not limited, and leaves less for the others', (t) => {
  const port = new Port(100);
  const multicast = port.open(false);
  const others = [port.open(), port.open(), port.open()];
  port.run(1000, [40, 100, 100, 100]);
  t.equal(port.shareOf(multicast), undefined);
  const share = port.shareOf(others[0] as Inflow) ?? Infinity;
  t.ok(share > 16 && share < 23, `${share}`);
  t.end();
});

t.test('the limit ends with the sessions, and when nobody needs it', (t) => {
  const port = new Port(100);
  const sessions = [port.open(), port.open(), port.open()];
  port.run(500, [100, 100, 100]);
  const [first] = sessions as [Inflow];
  t.ok(port.shareOf(first) !== undefined, 'limited');
  port.run(500, [20, 20, 20]);
  t.equal(port.shareOf(first), undefined, 'they send less than the link carries');
  port.run(500, [100, 100, 100]);
  t.ok(port.shareOf(first) !== undefined, 'limited again');
  for (const other of sessions.slice(1)) port.shares.close(other);
  t.equal(port.shareOf(first), undefined, 'one session is left');
  t.end();
});

t.test('a session that joins begins with an equal share', (t) => {
  const port = new Port(100);
  const first = port.open();
  port.open();
  port.open();
  port.run(500, [100, 100, 100]);
  const before = port.shareOf(first) ?? Infinity;
  const last = port.open();
  const share = port.shareOf(last) ?? Infinity;
  t.ok(Math.abs(share - 0.75 * before) < 0.01 * before, `${share}, before ${before}`);
  t.end();
});

t.test('loss that has another cause limits nobody for long', (t) => {
  const port = new Port(100);
  const [first] = [port.open(), port.open(), port.open()] as [Inflow, Inflow, Inflow];
  let limitedMs = 0;
  for (let ms = 0; ms < 5000; ms++) {
    port.run(1, [30, 30, 30], 0.05);
    if (port.shareOf(first) !== undefined) limitedMs++;
  }
  t.ok(limitedMs < 1000, `limited for ${limitedMs} of 5000 ms`);
  t.end();
});
