/** The second part of the demo: a session, by multicast if loopback has it. */
import { join } from 'node:path';
import { P2mpError } from '../../base/errors.js';
import {
  bytesPerSec,
  formatBytes,
  formatCount,
  formatRate,
  formatSeconds,
} from '../../base/format.js';
import { send } from '../../node/send.js';
import type { SendResult } from '../../node/send-options.js';
import { SendOutput } from '../output/send-output.js';
import type { DemoPlace, DemoReceiver } from './demo-place.js';
import { digestOf } from './demo-place.js';

const receiverCount = 3;
const sizeBytes = 20_000_000;
const fileName = 'session.bin';

/** @returns whether every copy is identical to the file */
export async function demonstrateSession(place: DemoPlace): Promise<boolean> {
  place.headline('\n2. A session: encrypted, verified block by block, by multicast');
  place.line(`Sends ${formatBytes(sizeBytes)} to ${receiverCount} receivers.`);
  const path = await place.createFile(fileName, sizeBytes);
  const receivers = await startReceivers(place);
  const events = new SendOutput(place.output, false);
  const result = await send({
    paths: path,
    receivers: receivers.map(({ server }) => server),
    trustReceiver: () => true,
    progressIntervalMs: 200,
    signal: place.signal,
    onEvent: (event) => events.handleEvent(event),
  }).finally(() => place.output.endProgress());
  printFigures(place, result);

  const sent = await digestOf(path);
  let areIdentical = true;
  for (const [i, { server, copy }] of receivers.entries()) {
    const isIdentical = (await digestOf(copy)) === sent;
    areIdentical &&= isIdentical;
    const { status = '', usesGroup = false } = result.receivers[i] ?? {};
    const copyText = isIdentical ? 'copy identical' : 'copy DIFFERS';
    const way = usesGroup ? 'multicast' : 'unicast';
    place.line(`${server.name}: ${status}, by ${way}, ${copyText}`);
  }
  return areIdentical;
}

/**
 * Members of a multicast group share a port, so each receiver has its own loopback address. On systems with a
 * single loopback address, each receiver has its own port, and the session uses unicast.
 */
async function startReceivers(place: DemoPlace): Promise<DemoReceiver[]> {
  const first = await start(place, 1, '127.0.0.1', 0);
  const { port } = first.server;
  const others = Array.from({ length: receiverCount - 1 }, async (_, i) => {
    const number = i + 2;
    try {
      return await start(place, number, `127.0.0.${number}`, port);
    } catch (error) {
      if (place.signal.aborted || !(error instanceof P2mpError)) throw error;
      return start(place, number, '127.0.0.1', 0);
    }
  });
  return [first, ...(await Promise.all(others))];
}

function start(
  place: DemoPlace,
  number: number,
  host: string,
  port: number,
): Promise<DemoReceiver> {
  const name = `receiver ${number}`;
  const dir = join(place.folder, `session at ${name}`);
  const where = ['--dir', dir, '--bind', host, '--port', String(port)];
  const args = ['receive', ...where, '--open', '--once', '--json'];
  return place.startReceiver(name, 'p2mp', args, join(dir, fileName));
}

function printFigures(place: DemoPlace, result: SendResult): void {
  const { elapsedMs, bytesSent, datagramsSent, receivers } = result;
  const goodput = bytesPerSec(sizeBytes, elapsedMs) ?? 0;
  place.line(
    `${formatSeconds(elapsedMs / 1000)}, ${formatRate(goodput)} to each receiver; ` +
      `${formatCount(datagramsSent)} datagrams sent`,
  );
  const served = receivers.filter(({ usesGroup }) => usesGroup).length;
  const sent = formatBytes(bytesSent);
  const received = `${receiverCount} × ${formatBytes(sizeBytes)}`;
  if (served === receiverCount) {
    place.line(`Multicast: ${sent} left the sender for ${received} received`);
    return;
  }
  const [missed, sentBy] =
    served === 0 ? ['these receivers', 'unicast'] : ['all receivers', 'multicast and unicast'];
  place.line(
    `Multicast on loopback did not reach ${missed}, so data went by ${sentBy}: ${sent} left the ` +
      `sender for ${received} received`,
  );
}
