// The receiver of the bare ping-pong: it answers every datagram with 8 bytes and does nothing else.
import dgram from 'node:dgram';

const answer = Buffer.alloc(8);
const socket = dgram.createSocket('udp4');
socket.on('message', (_bytes, { port, address }) => socket.send(answer, port, address));
socket.bind(0, '127.0.0.1', () => process.stdout.write(`${socket.address().port}\n`));
