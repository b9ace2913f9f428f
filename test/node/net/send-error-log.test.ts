/** What a user reads when the system refuses to send. */
import t from 'tap';
import { SendErrorLog } from '../../../src/node/net/send-error-log.js';

function errorOf(code: string, address?: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`send ${code}`), {
    code,
    ...(address !== undefined && { address }),
  });
}

t.test('each kind of error is reported once, with its cause', (t) => {
  const messages: string[] = [];
  const log = new SendErrorLog((message) => messages.push(message));
  for (let i = 0; i < 2; i++) log.add(errorOf('EMSGSIZE', '10.0.0.2'));
  log.add(errorOf('EPERM', '10.0.0.2'));
  log.add(errorOf('EFOO', '10.0.0.2'));
  log.add(errorOf('EBAR'));
  t.same(messages, [
    'to 10.0.0.2: the interface that leads there does not carry such large datagrams (EMSGSIZE); a smaller --mss lets it be used',
    'to 10.0.0.2: a firewall on this host blocks the datagrams (EPERM)',
    'send EFOO',
    'send EBAR',
  ]);
  t.end();
});
