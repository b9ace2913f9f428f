/**
 * `npm run demo`: sends a file to three receiver processes on loopback and compares their copies. Each
 * receiver drops 5 % of the packets.
 */
import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { formatBytes, formatCount } from '../base/format.js';
import { defaultPort } from '../classic/config.js';
import { CommandProcess, commandOf } from '../node/experiment/command-process.js';
import type { SendFileResult } from '../node/file-sender.js';
import { sendFile } from '../node/file-sender.js';
import type { ServerSpec } from '../node/net/resolve-receivers.js';
import { parseServer } from './arguments.js';
import { runCommand } from './command.js';
import type { ExitCode } from './exit-code.js';
import { exitCode } from './exit-code.js';
import { ClientProgress } from './output/client-progress.js';
import { printClientSummary } from './output/client-summary.js';
import { Output } from './output/output.js';

const receiverCount = 3;
const lossProbability = 0.05;
const sizeBytes = 4 * 1024 * 1024;
const mssBytes = 500;
const plainIntervalMs = 500;

/** One receiving process. */
class DemoReceiver {
  readonly copy: string;
  readonly listening: Promise<ServerSpec>;
  /** Number of packets that this receiver dropped. */
  readonly losses: Promise<number>;
  private readonly process: CommandProcess;

  constructor(folder: string, number: number) {
    const name = `receiver ${number}`;
    this.copy = join(folder, `copy ${number}.bin`);
    const options = ['--bind', '127.0.0.1', '--seed', `demo ${number}`, '--once', '--json'];
    const command = commandOf('p2mpserver', ['0', this.copy, String(lossProbability), ...options]);
    this.process = new CommandProcess(command, name);
    this.listening = this.process.firstLine.then((line) => {
      const { addresses } = JSON.parse(line) as { addresses: string[] };
      return { ...parseServer(addresses[0] ?? '', defaultPort), name };
    });
    this.losses = this.process.lastLine.then(
      (line) => (JSON.parse(line) as { losses?: number }).losses ?? 0,
    );
    // Prevents an unhandled rejection if nothing awaits `losses` because the transfer failed.
    this.losses.catch(() => undefined);
  }

  async stop(): Promise<void> {
    await this.process.stop();
  }
}

async function main(): Promise<ExitCode> {
  const output = new Output({ isJson: false, isQuiet: false });
  const folder = await mkdtemp(join(tmpdir(), 'p2mp demo '));
  const receivers = Array.from(
    { length: receiverCount },
    (_, i) => new DemoReceiver(folder, i + 1),
  );
  try {
    return await transfer(output, folder, receivers);
  } finally {
    await Promise.all(receivers.map((receiver) => receiver.stop()));
    await rm(folder, { recursive: true, force: true });
  }
}

async function transfer(
  output: Output,
  folder: string,
  receivers: readonly DemoReceiver[],
): Promise<ExitCode> {
  const file = join(folder, 'random.bin');
  await writeFile(file, randomBytes(sizeBytes));
  output.line(
    `Sending a file of ${formatBytes(sizeBytes)} to ${receivers.length} receivers on loopback. ` +
      `Each drops ${lossProbability * 100} % of the packets.\n`,
  );
  const servers = await Promise.all(receivers.map(({ listening }) => listening));
  const result = await sendWithProgress(output, servers, file);
  printClientSummary(output, 'random.bin', mssBytes, result);

  const sent = await digest(file);
  output.line(`\nThe file:    SHA-256 ${sent}`);
  let isIdentical = true;
  for (const [i, receiver] of receivers.entries()) {
    const losses = await receiver.losses;
    const got = await digest(receiver.copy);
    isIdentical &&= got === sent;
    output.line(`receiver ${i + 1}:  SHA-256 ${got}, ${formatCount(losses)} packets dropped`);
  }
  output.line(isIdentical ? '\nAll copies are identical.' : '\nThe copies DIFFER.');
  output.flush();
  return isIdentical ? exitCode.ok : exitCode.none;
}

/** Sends the file and shows p2mpclient's progress line. Without a terminal, prints plain lines instead. */
async function sendWithProgress(
  output: Output,
  servers: readonly ServerSpec[],
  path: string,
): Promise<SendFileResult> {
  let progress: ClientProgress | undefined;
  const timer = setInterval(() => {
    if (!output.hasProgress && progress !== undefined) output.line(progress.text(79));
  }, plainIntervalMs);
  try {
    return await sendFile({
      servers,
      path,
      mssBytes,
      onEvent: (event) => {
        if (event.type === 'start') progress = new ClientProgress(output, event.sender);
      },
    });
  } finally {
    clearInterval(timer);
    progress?.end();
  }
}

async function digest(path: string): Promise<string> {
  return createHash('sha256')
    .update(await readFile(path))
    .digest('hex');
}

await runCommand('demo', main);
