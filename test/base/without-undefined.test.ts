import t from 'tap';
import { withoutUndefined } from '../../src/base/without-undefined.js';

interface Status {
  readonly name: string;
  readonly rttMs?: number;
  readonly reason?: string;
}

t.test('a property whose value is undefined is omitted', (t) => {
  const rttMs: number | undefined = undefined;
  const status: Status = { name: 'a', ...withoutUndefined({ rttMs, reason: 'stopped' }) };
  t.strictSame(status, { name: 'a', reason: 'stopped' });
  t.notOk('rttMs' in status);
  t.end();
});

t.test('other empty values remain, in order', (t) => {
  const values = { reason: '', retries: 0, isFinal: false, next: null, gone: undefined };
  t.equal(
    JSON.stringify(Object.entries(withoutUndefined(values))),
    '[["reason",""],["retries",0],["isFinal",false],["next",null]]',
  );
  t.end();
});

t.test('the type of a required property stays required, and the argument is not changed', (t) => {
  const parts: { name: string; reason: string | undefined } = { name: 'a', reason: undefined };
  const status: Status = withoutUndefined(parts);
  t.strictSame(Object.keys(status), ['name']);
  t.strictSame(Object.keys(parts), ['name', 'reason']);
  t.end();
});
