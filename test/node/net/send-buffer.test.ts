import dgram from 'node:dgram';
import t, { type Test } from 'tap';
import { SendBuffer } from '../../../src/node/net/send-buffer.js';

const mib = 1024 * 1024;

async function openSocket(test: Test): Promise<dgram.Socket> {
  const socket = dgram.createSocket('udp4');
  test.teardown(() => new Promise<void>((resolve) => socket.close(() => resolve())));
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
  return socket;
}

/** The buffer size that the system reports before and after sending at this rate for a second. */
async function sizeAfter(test: Test, bytesPerMs: number): Promise<[number, number]> {
  const socket = await openSocket(test);
  const before = socket.getSendBufferSize();
  const buffer = new SendBuffer(socket);
  let nowMs = 0;
  for (; nowMs < 1000; nowMs++) buffer.handleSent(bytesPerMs, () => nowMs);
  return [before, socket.getSendBufferSize()];
}

t.test("a slow sender keeps the system's default buffer", async (t) => {
  const [before, after] = await sizeAfter(t, 5_000);
  t.equal(after, before);
});

t.test(
  'a fast one gets a buffer for a few milliseconds of data, as far as the system grants it',
  async (t) => {
    const [before, after] = await sizeAfter(t, 120_000);
    const socket = await openSocket(t);
    socket.setSendBufferSize(mib);
    const granted = Math.min(socket.getSendBufferSize(), 1.8 * mib);
    t.ok(after > before, `${after} is more than ${before}`);
    t.ok(after >= 0.9 * granted, `${after} is about ${granted}`);
  },
);

t.test('a single burst does not count as a rate', async (t) => {
  const socket = await openSocket(t);
  const before = socket.getSendBufferSize();
  const buffer = new SendBuffer(socket);
  let nowMs = 0;
  buffer.handleSent(mib, () => nowMs);
  buffer.handleSent(before, () => nowMs);
  for (nowMs = 1; nowMs < 500; nowMs++) buffer.handleSent(15_000, () => nowMs);
  t.equal(socket.getSendBufferSize(), before);
});
