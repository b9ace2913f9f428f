// Measures what Linux's batches of datagrams (UDP GSO and GRO) achieve from Node. One call sends 45
// segments; a window of such blocks goes to a group, and each receiver acknowledges each complete
// block. No file, no keys, no repair: this is the upper bound without loss.
//   node bare-gso.mjs receive <group> <port> <own address>
//   node bare-gso.mjs send <group> <port> <own address> <receivers> <bytes>
import dgram from 'node:dgram';

const solUdp = 17;
const udpSegment = 103;
const udpGro = 104;
const segmentBytes = 1416;
const blockSegments = 45;
const blockBytes = segmentBytes * blockSegments;
const windowBlocks = 8;
const bufferBytes = 4 * 1024 * 1024;

const [role, group, port, address, receiverCount, bytes] = process.argv.slice(2);
const koffi = (await import('koffi')).default;
const libc = koffi.load('libc.so.6');
const openSocket = libc.func('int socket(int domain, int type, int protocol)');
const setOption = libc.func(
  'int setsockopt(int fd, int level, int name, const int *value, int size)',
);
const bindSocket = libc.func('int bind(int fd, const uint8_t *address, int size)');

if (role === 'receive') await receive();
else await send();

async function receive() {
  const socket = await open(Number(port), udpGro, 1);
  socket.addMembership(group, address);
  // A block may arrive in parts; each segment carries its block and segment number.
  const arrived = new Map();
  let firstOpen = 0;
  const ack = Buffer.alloc(4);
  const take = (bytes, start, from) => {
    const block = bytes.readUInt32BE(start);
    if (block < firstOpen) return;
    const count = (arrived.get(block) ?? 0) + 1;
    arrived.set(block, count);
    if (count < blockSegments) return;
    ack.writeUInt32BE(block);
    socket.send(Buffer.from(ack), from.port, from.address);
    while (arrived.get(firstOpen) === blockSegments) arrived.delete(firstOpen++);
  };
  socket.on('message', (bytes, from) => {
    for (let start = 0; start < bytes.length; start += segmentBytes) take(bytes, start, from);
  });
  process.stdout.write('ready\n');
}

async function send() {
  const blockCount = Math.ceil(Number(bytes) / blockBytes);
  const socket = await open(0, udpSegment, segmentBytes);
  socket.setMulticastInterface(address);
  socket.setMulticastLoopback(false);
  const blocks = Array.from({ length: windowBlocks }, () => Buffer.alloc(blockBytes, 1));
  const acks = new Uint8Array(blockCount);
  let sent = 0;
  let acknowledged = 0;
  const startedAtMs = performance.now();
  const sendNext = () => {
    const block = blocks[sent % windowBlocks];
    for (let i = 0; i < blockSegments; i++) block.writeUInt32BE(sent, i * segmentBytes);
    socket.send(block, Number(port), group);
    sent++;
  };
  socket.on('message', (bytes) => {
    acks[bytes.readUInt32BE(0)]++;
    while (acknowledged < blockCount && acks[acknowledged] >= Number(receiverCount)) acknowledged++;
    while (sent < blockCount && sent < acknowledged + windowBlocks) sendNext();
    if (acknowledged < blockCount) return;
    const seconds = (performance.now() - startedAtMs) / 1000;
    process.stdout.write(`${JSON.stringify({ seconds, bytes: blockCount * blockBytes })}\n`);
    socket.close();
  });
  while (sent < Math.min(windowBlocks, blockCount)) sendNext();
}

/** dgram has no such option, but accepts a socket that has it. */
async function open(port, option, value) {
  const [afInet, sockDgram] = [2, 2];
  const fd = openSocket(afInet, sockDgram, 0);
  const name = Buffer.alloc(16);
  name.writeUInt16LE(afInet, 0);
  name.writeUInt16BE(port, 2);
  if (fd < 0) throw new Error('socket() failed');
  if (setOption(fd, solUdp, option, [value], 4) !== 0) throw new Error('no UDP GSO in this system');
  if (bindSocket(fd, name, name.length) !== 0) throw new Error(`port ${port} is not free`);
  const socket = dgram.createSocket('udp4');
  await new Promise((resolve) => socket.bind({ fd }, resolve));
  socket.setRecvBufferSize(bufferBytes);
  socket.setSendBufferSize(bufferBytes);
  return socket;
}
