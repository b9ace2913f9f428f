/** The question about new receivers: its table, and what answers to it mean. */
import t from 'tap';
import {
  firstUseQuestion,
  formatFirstUse,
  parseFirstUseAnswer,
} from '../../src/cli/first-use-prompt.js';
import { fingerprint } from '../../src/node/keys/key-files.js';

const receivers = [1, 2, 3].map((n) => {
  const receiverKey = new Uint8Array(32).fill(n);
  return { name: `lab${n}.example.org:7735`, receiverKey, fingerprint: fingerprint(receiverKey) };
});

t.test('all receivers are in one table, with their fingerprints below each other', (t) => {
  const [head, columns, ...rows] = formatFirstUse(receivers, 'receiver', 80);
  t.equal(head, 'These 3 receivers are not known here yet:');
  t.match(columns, /^ {3}receiver +fingerprint of its key$/);
  t.equal(rows.length, 4);
  rows.slice(0, 3).forEach((row, i) => {
    t.match(row, new RegExp(`^${i + 1}  lab${i + 1}\\.example\\.org:7735  SHA256:\\S{43}$`));
  });
  t.equal(rows.at(-1), 'To compare, run on each of them: p2mp keygen --show');
  t.end();
});

t.test('a narrow terminal gets each fingerprint on a line of its own, and whole', (t) => {
  const lines = formatFirstUse(receivers, 'receiver', 60);
  for (const { fingerprint } of receivers) t.ok(lines.includes(fingerprint));
  t.ok(lines.every((line) => line.length <= 60));
  t.ok(firstUseQuestion(2).length <= 40);
  t.end();
});

t.test('one receiver needs no numbers', (t) => {
  const lines = formatFirstUse(receivers.slice(0, 1), 'receiver', 80);
  t.equal(lines[0], 'This receiver is not known here yet:');
  t.equal(lines.at(-1), 'To compare, run on it: p2mp keygen --show');
  t.equal(firstUseQuestion(1), 'Trust it? (yes/no) ');
  t.end();
});

t.test('servers are called servers', (t) => {
  t.equal(formatFirstUse(receivers, 'server', 80)[0], 'These 3 servers are not known here yet:');
  const [head, columns] = formatFirstUse(receivers.slice(0, 1), 'server', 80);
  t.equal(head, 'This server is not known here yet:');
  t.match(columns, /^ {3}server +fingerprint of its key$/);
  t.end();
});

t.test('an answer is yes, no, or numbers; anything else is asked again', (t) => {
  const cases: readonly (readonly [string, string | undefined])[] = [
    ['yes', '123'],
    [' Y \n', '123'],
    ['no', ''],
    ['n', ''],
    ['', ''],
    ['1', '1'],
    ['1,3', '13'],
    ['3 1', '13'],
    ['2-3', '23'],
    ['1, 1', '1'],
    ['0', undefined],
    ['4', undefined],
    ['1,4', undefined],
    ['3-1', undefined],
    ['1-', undefined],
    ['yes 1', undefined],
    ['yess', undefined],
    ['-1', undefined],
    ['1.5', undefined],
  ];
  for (const [text, expected] of cases) {
    const trusted = parseFirstUseAnswer(text, 3);
    const numbers = trusted?.flatMap((isTrusted, i) => (isTrusted ? [`${i + 1}`] : [])).join('');
    t.equal(numbers, expected, JSON.stringify(text));
  }
  t.end();
});
