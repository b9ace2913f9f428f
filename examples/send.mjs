// Sends files and folders: node examples/send.mjs PATH... HOST:PORT
import { P2mpError, send } from 'p2mp';

const paths = process.argv.slice(2);
const [host, port = '7735'] = (paths.pop() ?? '').split(':');
if (host === '' || paths.length === 0) {
  console.error('usage: node examples/send.mjs PATH... HOST:PORT');
  process.exit(2);
}

try {
  const result = await send({
    paths,
    receivers: [{ host, port: Number(port) }],
    // Your rule: true to trust this receiver, or the reason not to. `trustKnownReceivers` reads a file
    // of keys.
    trustReceiver: () => true,
    signal: AbortSignal.timeout(60_000),
    onEvent: (event) => {
      if (event.type === 'connect') console.log(`${event.receiver} connected`);
    },
  });
  for (const { receiver, status, reason = '' } of result.receivers) {
    console.log(`${receiver}: ${status} ${reason}`);
  }
  process.exitCode = result.receivers.every(({ status }) => status === 'complete') ? 0 : 1;
} catch (error) {
  // Errors that a user can fix have a code and a message that says what to do.
  if (!(error instanceof P2mpError)) throw error;
  console.error(`${error.code}: ${error.message}`);
  process.exitCode = 2;
}
