// A receiver that acknowledges every data packet and stores nothing, to measure the sender alone.
import dgram from 'node:dgram';

const socket = dgram.createSocket('udp4');
socket.on('message', (bytes, { port, address }) => {
  const ack = Buffer.from(bytes.subarray(0, 8));
  ack.writeUInt32BE(0x0000aaaa, 4);
  socket.send(ack, port, address);
});
socket.bind(0, '127.0.0.1', () => process.stdout.write(`${socket.address().port}\n`));
