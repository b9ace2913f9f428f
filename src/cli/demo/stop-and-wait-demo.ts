/** The first part of the demo: P2MP-FTP as stop-and-wait, with packet loss from seeds. */
import { join } from 'node:path';
import {
  bytesPerSec,
  formatBytes,
  formatCount,
  formatPlural,
  formatRate,
  formatSeconds,
} from '../../base/format.js';
import { meanRounds } from '../../experiment/theory.js';
import type { SendFileResult } from '../../node/file-sender.js';
import { sendFile } from '../../node/file-sender.js';
import { ClientProgress } from '../output/client-progress.js';
import type { DemoPlace, DemoReceiver } from './demo-place.js';
import { digestOf } from './demo-place.js';

const receiverCount = 3;
const lossProbability = 0.05;
const sizeBytes = 1_000_000;
const mssBytes = 1000;

/** @returns whether every copy is identical to the file */
export async function demonstrateStopAndWait(place: DemoPlace): Promise<boolean> {
  const loss = `${lossProbability * 100} %`;
  place.headline('1. P2MP-FTP: one segment at a time (stop-and-wait), by unicast');
  place.line(
    `Sends ${formatBytes(sizeBytes)} in segments of ${formatCount(mssBytes)} bytes to ${receiverCount} receivers. ` +
      `Each drops ${loss} of the packets, chosen by its seed.`,
  );
  const path = await place.createFile('segments.bin', sizeBytes);
  const receivers = await Promise.all(
    Array.from({ length: receiverCount }, (_, i) => start(place, i + 1)),
  );
  const result = await sendWithProgress(place, receivers, path);
  printFigures(place, result);

  const sent = await digestOf(path);
  let areIdentical = true;
  for (const [i, { server, copy, lastLine }] of receivers.entries()) {
    const { losses = 0 } = JSON.parse(await lastLine) as { losses?: number };
    const isIdentical = (await digestOf(copy)) === sent;
    areIdentical &&= isIdentical;
    const { status = '' } = result.receivers[i] ?? {};
    const copyText = isIdentical ? 'copy identical' : 'copy DIFFERS';
    place.line(`${server.name}: ${status}, ${formatPlural(losses, 'packet')} dropped, ${copyText}`);
  }
  return areIdentical;
}

function start(place: DemoPlace, number: number): Promise<DemoReceiver> {
  const name = `receiver ${number}`;
  const copy = join(place.folder, `segments at ${name}.bin`);
  const options = ['--bind', '127.0.0.1', '--seed', `demo ${number}`, '--once', '--json'];
  return place.startReceiver(
    name,
    'p2mpserver',
    ['0', copy, String(lossProbability), ...options],
    copy,
  );
}

async function sendWithProgress(
  { output, signal }: DemoPlace,
  receivers: readonly DemoReceiver[],
  path: string,
): Promise<SendFileResult> {
  let progress: ClientProgress | undefined;
  try {
    return await sendFile({
      servers: receivers.map(({ server }) => server),
      path,
      mssBytes,
      signal,
      onEvent: (event) => {
        if (event.type === 'start') progress = new ClientProgress(output, event.sender);
      },
    });
  } finally {
    progress?.end();
  }
}

function printFigures(place: DemoPlace, result: SendFileResult): void {
  const { elapsedMs, rounds, segmentCount, timeouts, retransmissions } = result;
  const goodput = bytesPerSec(sizeBytes, elapsedMs) ?? 0;
  place.line(
    `${formatSeconds(elapsedMs / 1000)}, ${formatRate(goodput)}, ` +
      `${formatPlural(timeouts, 'timeout')}, ${formatPlural(retransmissions, 'retransmission')}`,
  );
  place.line(
    `Rounds for each segment: ${(rounds / segmentCount).toFixed(3)} on average; ` +
      `the theory says ${meanRounds(receiverCount, lossProbability).toFixed(3)}, if no ACK is late`,
  );
}
