import type dgram from 'node:dgram';
import t from 'tap';
import type { Transmit } from '../../../../src/base/machine.js';
import { OffloadSender } from '../../../../src/node/net/offload/offload-sender.js';

type Result = (error: Error | null) => void;

const to = { host: '192.0.2.1', port: 9 };

/**
 * A socket whose queue the test fills and empties. What it sends is split by the option's value at
 * that time.
 */
class Link {
  /** The datagram sizes that were sent, one list per call. */
  readonly calls: number[][] = [];
  readonly results: (string | undefined)[] = [];
  readonly sender: OffloadSender;
  isFull = false;
  optionCalls = 0;
  /** Returns the error code of a call, if it fails. */
  refuse: (sizeBytes: number, segmentSizeBytes: number) => string | undefined = () => undefined;
  private segmentSizeBytes = 0;
  private readonly queue: { sizeBytes: number; result: Result | undefined }[] = [];

  constructor() {
    const socket = {
      getSendQueueSize: () => this.queue.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
      send: (bytes: Uint8Array, _port: number, _host: string, result?: Result) => {
        this.queue.push({ sizeBytes: bytes.length, result });
        if (!this.isFull) this.empty();
      },
    } as unknown as dgram.Socket;
    const setSegmentSize = (sizeBytes: number) => {
      this.optionCalls++;
      this.segmentSizeBytes = sizeBytes;
    };
    const offload = { send: true, receive: false };
    this.sender = new OffloadSender({ socket, offload, setSegmentSize }, (error) =>
      this.results.push((error as NodeJS.ErrnoException | null)?.code),
    );
  }

  send(sizeBytes: number, datagramSizeBytes?: number): void {
    const transmit: Transmit = { to, bytes: new Uint8Array(sizeBytes) };
    this.sender.send(datagramSizeBytes ? { ...transmit, datagramSizeBytes } : transmit);
  }

  /** Sends everything in the queue. */
  empty(): void {
    this.isFull = false;
    for (const { sizeBytes, result } of this.queue.splice(0)) {
      const code = this.refuse(sizeBytes, this.segmentSizeBytes);
      if (code === undefined) this.calls.push(cut(sizeBytes, this.segmentSizeBytes));
      const error = code === undefined ? null : Object.assign(new Error(code), { code });
      if (result !== undefined) process.nextTick(result, error);
    }
  }
}

function cut(sizeBytes: number, segmentSizeBytes: number): number[] {
  const sizes: number[] = [];
  const step = segmentSizeBytes || sizeBytes;
  for (let from = 0; from < sizeBytes; from += step) sizes.push(Math.min(step, sizeBytes - from));
  return sizes;
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

t.test('batches and datagrams of one flow take one call each, and no more', async (t) => {
  const link = new Link();
  for (let i = 0; i < 3; i++) {
    link.send(2500, 1000);
    link.send(40);
    link.send(1000);
  }
  await turn();
  t.same(link.calls.slice(0, 3), [[1000, 1000, 500], [40], [1000]]);
  t.equal(link.calls.length, 9);
  t.equal(link.optionCalls, 1);
});

t.test('what is queued is split as intended, whatever is queued after it', async (t) => {
  const link = new Link();
  link.isFull = true;
  link.send(2500, 1000);
  link.send(1500);
  link.send(900, 400);
  link.send(40);
  await turn();
  t.same(link.calls, [], 'all wait');
  t.equal(link.sender.unsentBytes, 2500 + 1500 + 900 + 40, 'they count as unsent');
  link.empty();
  for (let i = 0; i < 3; i++) await turn();
  t.same(link.calls, [[1000, 1000, 500], [1500], [400, 400, 100], [40]], 'all sent, in order');
  t.equal(link.sender.unsentBytes, 0);
});

t.test(
  'a batch that the system refuses to split is sent singly, and so are all later ones',
  async (t) => {
    const link = new Link();
    link.refuse = (sizeBytes, segment) => (segment > 0 && sizeBytes > segment ? 'EIO' : undefined);
    link.send(2500, 1000);
    link.send(1200, 600);
    for (let i = 0; i < 3; i++) await turn();
    link.send(1900, 1000);
    t.same(link.calls, [[1000], [1000], [500], [600], [600], [1000], [900]]);
    t.match(link.sender.offload, { send: false, reason: /refuses to send batches: EIO$/ });
    t.notOk(
      link.results.some((code) => code !== undefined),
      'no error is reported',
    );
  },
);

t.test('where single datagrams are refused as well, batches stay enabled', async (t) => {
  const link = new Link();
  link.refuse = (sizeBytes, segment) =>
    Math.min(sizeBytes, segment || sizeBytes) > 1400 ? 'EMSGSIZE' : undefined;
  link.send(3500, 1500);
  for (let i = 0; i < 3; i++) await turn();
  t.ok(link.results.includes('EMSGSIZE'), 'the error is reported');
  t.same(link.calls, [[500]]);
  link.send(2500, 1000);
  t.same(link.calls.at(-1), [1000, 1000, 500]);
  t.same(link.sender.offload, { send: true, receive: false });
});

t.test('a small datagram that is refused because of the option is sent without it', async (t) => {
  const link = new Link();
  link.send(2500, 1000);
  link.refuse = (_, segment) => (segment > 0 ? 'EINVAL' : undefined);
  link.send(40);
  for (let i = 0; i < 3; i++) await turn();
  t.same(link.calls.at(-1), [40]);
  t.equal(link.sender.offload.send, true);
});

t.test('an error unrelated to batches is reported once for each', async (t) => {
  const link = new Link();
  link.refuse = () => 'ENETUNREACH';
  link.send(2500, 1000);
  await turn();
  t.same(link.results, ['ENETUNREACH']);
  t.equal(link.sender.offload.send, true);
});

t.test('after closing, nothing that waited is sent', async (t) => {
  const link = new Link();
  link.isFull = true;
  link.send(2500, 1000);
  link.send(900, 400);
  link.sender.close();
  link.empty();
  await turn();
  t.same(link.calls, [[1000, 1000, 500]]);
});
