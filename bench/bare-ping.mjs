// The sender of the bare ping-pong: one datagram to each receiver, then the next once all have
// answered. It shows the cost of dgram alone: no protocol, no timer, no file.
//   node bare-ping.mjs <rounds> <sizeBytes> <port>...
import dgram from 'node:dgram';

const [rounds, sizeBytes, ...ports] = process.argv.slice(2).map(Number);
const datagram = Buffer.alloc(sizeBytes, 1);
const socket = dgram.createSocket('udp4');
let left = rounds;
let pending = 0;
let startedAtMs = 0;

function sendRound() {
  pending = ports.length;
  for (const port of ports) socket.send(datagram, port, '127.0.0.1');
}

socket.on('message', () => {
  if (--pending > 0) return;
  if (--left > 0) {
    sendRound();
    return;
  }
  process.stdout.write(`${(performance.now() - startedAtMs) / 1000}\n`);
  socket.close();
});
socket.bind(0, '127.0.0.1', () => {
  startedAtMs = performance.now();
  sendRound();
});
