// Receives sessions into a folder, from anyone: node examples/receive.mjs FOLDER [PORT]
// It stops by itself after the first complete session.
import { generateKeyPair, receive } from 'p2mp';

const [dir, port = '7735'] = process.argv.slice(2);
if (dir === undefined) {
  console.error('usage: node examples/receive.mjs FOLDER [PORT]');
  process.exit(2);
}
const stop = new AbortController();
process.once('SIGINT', () => stop.abort());

const receiving = await receive({
  dir,
  port: Number(port),
  keyPair: await generateKeyPair(),
  // Your rule: true to trust this sender, or the reason not to. `trustAuthorizedSenders` reads a file
  // of keys.
  trustSender: () => true,
  signal: stop.signal,
  onEvent: (event) => {
    if (event.type === 'offer') console.log(`${event.info.label} from ${event.info.from}`);
    if (event.type !== 'end') return;
    const { label, status, reason = '', receivedBytes } = event.result;
    console.log(`${label}: ${status}, ${receivedBytes} bytes received ${reason}`);
    if (status === 'complete') void receiving.drain();
  },
});
console.log(`listening on port ${receiving.addresses[0]?.port}`);
await receiving.closed;
