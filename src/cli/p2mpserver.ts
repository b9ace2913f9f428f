#!/usr/bin/env node
/** `p2mpserver <port> <file> <p>`: the receiver of P2MP-FTP. */
import { randomInt } from 'node:crypto';
import { formatAddress } from '../base/address.js';
import { P2mpError } from '../base/errors.js';
import { createRandom } from '../base/random.js';
import { withoutUndefined } from '../base/without-undefined.js';
import type { DiagnosisEvent } from '../classic/diagnosis/packet-diagnosis.js';
import { createLossModel } from '../loss.js';
import type { FileReceiverEvent, FileTransferResult } from '../node/file-receiver.js';
import { FileReceiver, formatAddresses } from '../node/file-receiver.js';
import { parseLossModel, parseLossProbability, parsePort, parseSeconds } from './arguments.js';
import { onInterrupt, parse, runCommand, single } from './command.js';
import { createServerParser } from './commands/server-arguments.js';
import type { ExitCode } from './exit-code.js';
import { exitCode } from './exit-code.js';
import { Output } from './output/output.js';
import { printDiagnosis, printOddity } from './output/print-event.js';
import { ServerProgress } from './output/server-progress.js';
import {
  idleResultJson,
  printDiagnoses,
  printServerSummary,
  serverResultJson,
} from './output/server-summary.js';

async function main(args: readonly string[]): Promise<ExitCode> {
  const argv = await parse(createServerParser(), args);
  if (typeof argv === 'number') return argv;
  const output = new Output({ isJson: argv.json, isQuiet: argv.quiet, color: argv.color });
  const [port, path, p, ...rest] = argv._;
  if (port === undefined || path === undefined || p === undefined || rest.length > 0) {
    throw new P2mpError(
      'INVALID_ARGUMENT',
      `${argv._.length} arguments: expected exactly 3, <port> <file> <p>`,
    );
  }
  const seed = argv.seed === undefined ? String(randomInt(2 ** 32)) : single('seed', argv.seed);
  const spec = parseLossModel(single('loss-model', argv['loss-model']), parseLossProbability(p));
  const server = new Server(output, argv.verbose, argv.once, seed);
  await server.run({
    port: parsePort(port, 0),
    path,
    ...withoutUndefined({ bind: argv.bind }),
    loss: createLossModel(spec, createRandom(seed)),
    idleTimeoutMs: parseSeconds('idle-timeout', single('idle-timeout', argv['idle-timeout'])),
    mustEnd: argv['must-end'],
  });
  return server.exitCode;
}

/** One run of the command, until it is stopped. */
class Server {
  exitCode: ExitCode = exitCode.ok;
  private receiver: FileReceiver | undefined;
  private progress: ServerProgress | undefined;
  private stop: () => void = () => undefined;
  private hasResult = false;
  /** Diagnoses since the last result. */
  private diagnoses: DiagnosisEvent[] = [];

  constructor(
    private readonly output: Output,
    private readonly isVerbose: boolean,
    private readonly isOnce: boolean,
    private readonly seed: string,
  ) {}

  async run(options: Parameters<typeof FileReceiver.open>[0]): Promise<void> {
    const { output, seed } = this;
    const stopped = new Promise<void>((resolve) => {
      this.stop = resolve;
    });
    const receiver = await FileReceiver.open({
      ...options,
      onEvent: (event) => this.handleEvent(event),
    });
    this.receiver = receiver;
    onInterrupt(() => {
      if (receiver.isReceiving || this.isOnce) this.exitCode = exitCode.interrupted;
      this.stop();
    });
    const { addresses } = receiver;
    output.json({ event: 'listening', addresses: addresses.map(formatAddress), seed });
    output.line(`Listening on ${formatAddresses(addresses)}, seed ${seed}`);
    await stopped;
    await receiver.close('stopped before the end; the file was discarded');
    // With --json, the last line must always be a result.
    const diagnoses = this.takeDiagnoses();
    if (!this.hasResult) output.json(idleResultJson(diagnoses, seed));
    printDiagnoses(output, diagnoses);
    output.flush();
  }

  private handleEvent(event: FileReceiverEvent): void {
    const { output, isVerbose } = this;
    switch (event.type) {
      case 'open':
        output.json({ event: 'connect', sender: event.from });
        if (isVerbose && !output.isJson) output.detail(`${event.from}: transfer started`);
        if (this.receiver !== undefined) {
          this.progress = new ServerProgress(output, this.receiver, event.from);
        }
        break;
      case 'loss':
        output.line(`Packet loss, sequence number = ${event.sequence}`);
        output.json({ event: 'loss', sequence: event.sequence });
        break;
      case 'fault':
      case 'send-error':
        printOddity(output, event, isVerbose);
        break;
      case 'diagnosis':
        this.diagnoses.push(event);
        printDiagnosis(output, event);
        break;
      case 'done':
        this.handleDone(event.result);
        break;
    }
  }

  private takeDiagnoses(): readonly DiagnosisEvent[] {
    const { diagnoses } = this;
    this.diagnoses = [];
    return diagnoses;
  }

  private handleDone(result: FileTransferResult): void {
    const { output, seed } = this;
    this.progress?.end();
    this.progress = undefined;
    this.hasResult = true;
    const diagnoses = this.takeDiagnoses();
    output.json(serverResultJson(result, diagnoses, seed));
    printServerSummary(output, result);
    printDiagnoses(output, diagnoses);
    if (result.status !== 'complete' && !output.isJson) {
      output.error(`p2mpserver: transfer from ${result.from} ${result.status}: ${result.reason}`);
    }
    if (!this.isOnce) return;
    if (result.status !== 'complete' && this.exitCode === exitCode.ok) {
      this.exitCode = result.error === undefined ? exitCode.none : exitCode.system;
    }
    this.stop();
  }
}

await runCommand('p2mpserver', main);
