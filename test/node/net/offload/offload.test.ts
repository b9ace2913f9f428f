import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import t, { type Test } from 'tap';
import type { Address } from '../../../../src/base/address.js';
import { Endpoint, type EndpointOptions } from '../../../../src/node/net/endpoint.js';
import type { SystemCalls } from '../../../../src/node/net/offload/offload-system.js';
import { loadSystemCalls, socketOptions } from '../../../../src/node/net/offload/offload-system.js';
import { hasIPv6, noOffload } from '../../../support/loopback.js';

const skip = noOffload;

/** Receives datagrams, and resolves once the expected number of bytes has arrived. */
class Sink {
  readonly messages: Buffer[] = [];
  private byteCount = 0;
  private onMessage: () => void = () => undefined;

  readonly take = (bytes: Uint8Array): void => {
    this.messages.push(Buffer.from(bytes));
    this.byteCount += bytes.length;
    this.onMessage();
  };

  async until(byteCount: number): Promise<void> {
    while (this.byteCount < byteCount) {
      await new Promise<void>((resolve) => {
        this.onMessage = resolve;
      });
    }
  }
}

async function openEndpoint(t: Test, options: Partial<EndpointOptions> = {}): Promise<Endpoint> {
  const endpoint = await Endpoint.open({
    bind: ['127.0.0.1'],
    port: 0,
    handleDatagram: () => undefined,
    handleWritable: () => undefined,
    handleSendError: (error) => t.fail(error.message),
    ...options,
  });
  t.teardown(() => endpoint.close());
  return endpoint;
}

function addressOf(endpoint: Endpoint): Address {
  const [address] = endpoint.addresses;
  if (address === undefined) throw new Error('no address');
  return address;
}

/** The datagrams of a batch; no two are equal. */
function batchOf(sizeBytes: number, datagramSizeBytes: number) {
  const bytes = Buffer.alloc(sizeBytes);
  for (let i = 0; i < sizeBytes; i++) bytes[i] = (i * 7 + Math.floor(i / 251)) % 256;
  const datagrams: Buffer[] = [];
  for (let from = 0; from < sizeBytes; from += datagramSizeBytes) {
    datagrams.push(bytes.subarray(from, from + datagramSizeBytes));
  }
  return { bytes, datagrams, datagramSizeBytes };
}

/** Splits what arrived together at its datagram boundaries. */
function cutMessages(messages: readonly Buffer[], datagramSizeBytes: number): Buffer[] {
  return messages.flatMap((message) => {
    const parts: Buffer[] = [];
    for (let from = 0; from < message.length; from += datagramSizeBytes) {
      parts.push(message.subarray(from, from + datagramSizeBytes));
    }
    return parts;
  });
}

const cases = [
  ['a shorter last one', 45 * 1416 + 100, 1416],
  ['more than 64 segments', 150 * 64, 64],
  ['more than 64 KiB', 200_000, 1416],
  ['large segments', 100_000, 9000],
  ['segments of which only two fit a call', 150_000, 30_000],
  ['segments of which only one fits a call', 130_000, 40_000],
  ['one segment', 700, 1416],
  ['nothing but whole segments', 4000, 1000],
] as const;

for (const host of ['127.0.0.1', '::1']) {
  for (const receivesBatches of [false, true]) {
    const noHost = host === '::1' && !hasIPv6 ? 'this host has no IPv6' : false;
    const how = receivesBatches ? 'together' : 'one by one';
    t.test(`a batch arrives whole, ${how}, on ${host}`, { skip: skip || noHost }, async (t) => {
      for (const [name, sizeBytes, datagramSizeBytes] of cases) {
        const sink = new Sink();
        const handleDatagram = (_: Address, bytes: Uint8Array) => sink.take(bytes);
        const to = await openEndpoint(t, { bind: [host], receivesBatches, handleDatagram });
        const from = await openEndpoint(t, { bind: [host] });
        t.same(from.offload, { send: true, receive: false });
        t.same(to.offload, { send: true, receive: receivesBatches });
        const { bytes, datagrams } = batchOf(sizeBytes, datagramSizeBytes);
        from.send({ to: addressOf(to), bytes, datagramSizeBytes });
        await sink.until(sizeBytes);
        const arrived = receivesBatches
          ? cutMessages(sink.messages, datagramSizeBytes)
          : sink.messages;
        t.equal(arrived.length, datagrams.length, name);
        t.ok(
          datagrams.every((datagram, i) => arrived[i]?.equals(datagram)),
          'the same datagrams',
        );
      }
    });
  }
}

t.test(
  'nearly the largest size of IP is sent in one call and received in one',
  { skip },
  async (t) => {
    for (const [host, sizeBytes, datagramSizeBytes] of [
      ['127.0.0.1', 13 * 5037, 5037],
      ['::1', 7 * 9352, 9352],
    ] as const) {
      if (host === '::1' && !hasIPv6) continue;
      const sink = new Sink();
      const to = await openEndpoint(t, {
        bind: [host],
        receivesBatches: true,
        handleDatagram: (_, bytes) => sink.take(bytes),
      });
      const from = await openEndpoint(t, { bind: [host] });
      const { bytes } = batchOf(sizeBytes, datagramSizeBytes);
      from.send({ to: addressOf(to), bytes, datagramSizeBytes });
      await sink.until(sizeBytes);
      t.same(
        sink.messages.map(({ length }) => length),
        [sizeBytes],
        host,
      );
      t.ok(sink.messages[0]?.equals(bytes));
    }
  },
);

t.test('without offload, a batch is sent datagram by datagram', async (t) => {
  const { bytes, datagrams, datagramSizeBytes } = batchOf(10_000, 1416);
  const sink = new Sink();
  const to = await openEndpoint(t, { offload: 'off', handleDatagram: (_, b) => sink.take(b) });
  const from = await openEndpoint(t, { offload: 'off' });
  from.send({ to: addressOf(to), bytes, datagramSizeBytes });
  await sink.until(bytes.length);
  t.same(sink.messages, datagrams);
});

t.test('batches of other sizes and single datagrams keep their boundaries', { skip }, async (t) => {
  const sink = new Sink();
  const to = await openEndpoint(t, { handleDatagram: (_, bytes) => sink.take(bytes) });
  const from = await openEndpoint(t);
  const expected: number[] = [];
  for (const [sizeBytes, datagramSizeBytes] of [
    [3000, 1000],
    [40, undefined],
    [1000, undefined],
    [1001, undefined],
    [5000, undefined],
    [1500, 700],
    [64_000, undefined],
    [10_000, 4000],
    [700, 800],
  ] as const) {
    const size = datagramSizeBytes ?? sizeBytes;
    const { bytes, datagrams } = batchOf(sizeBytes, size);
    const transmit = { to: addressOf(to), bytes };
    from.send(datagramSizeBytes === undefined ? transmit : { ...transmit, datagramSizeBytes });
    expected.push(...datagrams.map(({ length }) => length));
  }
  await sink.until(expected.reduce((sum, size) => sum + size, 0));
  t.same(
    sink.messages.map(({ length }) => length),
    expected,
  );
});

const noGroup =
  skip ||
  (Object.values(networkInterfaces()).some((infos) => infos?.some(({ internal }) => !internal))
    ? false
    : 'no interface for groups');

t.test('a batch to a group reaches its members on this host', { skip: noGroup }, async (t) => {
  const sink = new Sink();
  const all = { bind: ['0.0.0.0'] };
  const to = await openEndpoint(t, {
    ...all,
    receivesBatches: true,
    handleDatagram: (_, bytes) => sink.take(bytes),
  });
  const group = { host: '239.255.77.35', port: addressOf(to).port };
  if (to.joinGroup(group) !== undefined) return t.comment('membership is not available here');
  const from = await openEndpoint(t, all);
  from.sendGroupsBy('127.0.0.1', 1);
  const { bytes, datagrams, datagramSizeBytes } = batchOf(20_000, 1300);
  from.send({ to: group, bytes, datagramSizeBytes });
  await sink.until(bytes.length);
  t.same(cutMessages(sink.messages, datagramSizeBytes), datagrams);
});

t.test('batches interoperate with plain sockets', { skip }, async (t) => {
  const plain = await openPlain(t);
  const endpoint = await openEndpoint(t, {
    receivesBatches: true,
    handleDatagram: (from, bytes) => endpoint.send({ to: from, bytes, datagramSizeBytes: 100 }),
  });
  const { port } = addressOf(endpoint);
  plain.send(Buffer.alloc(250, 1), port, '127.0.0.1');
  for (const size of [100, 100, 50]) {
    const [message] = (await once(plain, 'message')) as [Buffer];
    t.equal(message.length, size);
  }
});

async function openPlain(t: Test): Promise<Socket> {
  const socket = createSocket('udp4');
  t.teardown(() => socket.close());
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  return socket;
}

t.test('no other program can share the port', { skip }, async (t) => {
  const { port } = addressOf(await openEndpoint(t));
  const other = createSocket({ type: 'udp4', reuseAddr: true });
  t.teardown(() => other.close());
  other.bind(port, '127.0.0.1');
  const [error] = (await once(other, 'error')) as [NodeJS.ErrnoException];
  t.equal(error.code, 'EADDRINUSE');
});

t.test('no descriptor stays open, whatever happens', { skip }, async (t) => {
  const taken = await openEndpoint(t);
  const before = countDescriptors();
  for (const options of [
    { port: addressOf(taken).port },
    { bind: ['192.0.2.1'] },
    { bind: ['no address'] },
    { bind: ['fe80::1%none'] },
    { bind: ['127.0.0.1', '192.0.2.1'] },
  ]) {
    await t.rejects(openEndpoint(t, options), { code: 'PORT_UNAVAILABLE' });
  }
  const opened = await openEndpoint(t);
  t.equal(countDescriptors(), before + 1);
  await opened.close();
  t.equal(countDescriptors(), before);
});

function countDescriptors(): number {
  return readdirSync('/proc/self/fd').length;
}

t.test('bind errors read as those of plain sockets', { skip }, async (t) => {
  const { port } = addressOf(await openEndpoint(t));
  for (const options of [{ port }, { bind: ['192.0.2.1'] }, { bind: ['nowhere'] }]) {
    const messageOf = (offload: 'auto' | 'off') =>
      openEndpoint(t, { ...options, offload }).then(
        () => 'opened',
        (error: Error) => error.message,
      );
    t.equal(await messageOf('auto'), await messageOf('off'));
  }
});

t.test('a missing part is named, and everything works without it', async (t) => {
  const missing = () => {
    throw new Error('koffi is not installed');
  };
  const endpoint = await openEndpoint(t, { loadSystemCalls: missing, receivesBatches: true });
  t.same(endpoint.offload, { send: false, receive: false, reason: 'koffi is not installed' });
  const off = await openEndpoint(t, { offload: 'off' });
  t.same(off.offload, { send: false, receive: false, reason: 'switched off' });
});

t.test('the environment switches it off', async (t) => {
  const { P2MP_OFFLOAD } = process.env;
  t.teardown(() => {
    if (P2MP_OFFLOAD === undefined) delete process.env['P2MP_OFFLOAD'];
    else process.env['P2MP_OFFLOAD'] = P2MP_OFFLOAD;
  });
  process.env['P2MP_OFFLOAD'] = 'off';
  const { offload } = await openEndpoint(t);
  t.match(offload, {
    send: false,
    reason: process.platform === 'linux' ? 'switched off' : 'not Linux',
  });
});

t.test(
  'a kernel without the options is named, and datagrams are sent singly',
  { skip },
  async (t) => {
    const refusing = refuseOptions([socketOptions.udpSegment, socketOptions.udpGro]);
    const sink = new Sink();
    const endpoint = await openEndpoint(t, {
      loadSystemCalls: refusing,
      receivesBatches: true,
      handleDatagram: (_, bytes) => sink.take(bytes),
    });
    t.same(endpoint.offload, {
      send: false,
      receive: false,
      reason: 'the kernel refuses UDP_SEGMENT: ENOPROTOOPT',
    });
    const { bytes, datagrams, datagramSizeBytes } = batchOf(5000, 1416);
    endpoint.send({ to: addressOf(endpoint), bytes, datagramSizeBytes });
    await sink.until(bytes.length);
    t.same(sink.messages, datagrams);
  },
);

function refuseOptions(refused: readonly unknown[]): () => SystemCalls {
  const system = loadSystemCalls();
  return () => ({
    ...system,
    setOption(fd, option, value) {
      const error = Object.assign(new Error('refused'), { code: 'ENOPROTOOPT' });
      if (refused.includes(option)) throw error;
      system.setOption(fd, option, value);
    },
  });
}

t.test(
  'a batch that the kernel refuses is sent singly, and nothing is lost',
  { skip },
  async (t) => {
    const sink = new Sink();
    const to = await openEndpoint(t, { handleDatagram: (_, bytes) => sink.take(bytes) });
    const from = await openEndpoint(t, { loadSystemCalls: withoutChecksums });
    t.equal(from.offload.send, true);
    const { bytes, datagrams, datagramSizeBytes } = batchOf(10_000, 1416);
    for (let i = 0; i < 3; i++) from.send({ to: addressOf(to), bytes, datagramSizeBytes });
    await sink.until(3 * bytes.length);
    t.match(from.offload, { send: false, reason: 'the kernel refuses to send batches: EINVAL' });
    from.send({ to: addressOf(to), bytes, datagramSizeBytes });
    await sink.until(4 * bytes.length);
    t.same(sink.messages, [...datagrams, ...datagrams, ...datagrams, ...datagrams]);
  },
);

t.test('flush also waits for the batch that was refused', { skip }, async (t) => {
  const sink = new Sink();
  const to = await openEndpoint(t, { handleDatagram: (_, bytes) => sink.take(bytes) });
  const from = await openEndpoint(t, { loadSystemCalls: withoutChecksums });
  const { bytes, datagramSizeBytes } = batchOf(60_000, 1416);
  for (let i = 0; i < 4; i++) from.send({ to: addressOf(to), bytes, datagramSizeBytes });
  await from.flush();
  await from.close();
  await sink.until(4 * bytes.length);
  t.pass('all arrived');
});

/** Linux does not segment datagrams that are sent without a checksum. */
function withoutChecksums(): SystemCalls {
  const system = loadSystemCalls();
  return {
    ...system,
    openUdpSocket(isV6) {
      const fd = system.openUdpSocket(isV6);
      const [socketLevel, noCheck] = [1, 11];
      system.setOption(fd, [socketLevel, noCheck], 1);
      return fd;
    },
  };
}

t.test('the receive buffer has the reported size', async (t) => {
  const { receiveBufferSizeBytes } = await openEndpoint(t);
  t.ok(receiveBufferSizeBytes >= 64 * 1024);
  if (process.getuid?.() === 0 && !skip) t.ok(receiveBufferSizeBytes >= 4 * 1024 * 1024);
});
