/** What a relay says about a receiver behind it. */
import t from 'tap';
import { ForwardedReceiver } from '../../../src/roles/forward/forwarded-receiver.js';
import type { SessionReceiverStatus } from '../../../src/session/sender-events.js';

t.test('the loss of a receiver counts what it received', async (t) => {
  const receiver = new ForwardedReceiver(0, 'a');
  receiver.connect(0, undefined, false);
  const figures = { heldBytes: 0, receivedBytes: 0, datagramsLost: 1, lossRatio: 0.01 };
  receiver.noteProgress(figures as SessionReceiverStatus);
  t.match(receiver.say(0), { segmentsReceived: 99, segmentsLost: 1 });
});
