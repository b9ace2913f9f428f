/** Performs real runs over sockets, with one p2mpserver process per receiver and one p2mpclient process. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { P2mpError } from '../../base/errors.js';
import type { Point } from '../../experiment/parameters.js';
import type { Plan, Run } from '../../experiment/plan.js';
import type { RunResult } from '../../experiment/run-result.js';
import { simulateRun } from '../../experiment/simulated/run.js';
import { createContent, receiverSeed } from '../../simulator/transfer.js';
import { fileError } from '../system-error.js';
import type { Command } from './command-process.js';
import { CommandProcess, commandOf } from './command-process.js';
import { runFetch } from './fetches.js';
import type { RealNetwork } from './real-network.js';
import { loopback, NamespaceNetwork } from './real-network.js';
import { runUploads } from './uploads.js';

/** The round-trip time is the median over this many transfers without loss. */
const rttTransfers = 3;

export class RealRunner {
  /** Measured round-trip times, keyed by the parameters that affect them. */
  private readonly rttsMs = new Map<string, number>();
  /** Processes of the current transfer. */
  private readonly processes = new Set<CommandProcess>();

  private constructor(
    private readonly network: RealNetwork,
    private readonly folder: string,
    private readonly signal: AbortSignal,
  ) {}

  /** @throws P2mpError TARGET_UNWRITABLE, RUN_FAILED */
  static async open(plan: Plan, signal: AbortSignal): Promise<RealRunner> {
    let folder: string;
    try {
      folder = await mkdtemp(join(tmpdir(), 'p2mp experiment '));
    } catch (error) {
      throw fileError('TARGET_UNWRITABLE', tmpdir(), error);
    }
    try {
      const network = plan.network === 'loopback' ? loopback : await NamespaceNetwork.open();
      return new RealRunner(network, folder, signal);
    } catch (error) {
      await rm(folder, { recursive: true, force: true });
      throw error;
    }
  }

  async close(): Promise<void> {
    try {
      await this.network.close();
    } finally {
      await rm(this.folder, { recursive: true, force: true });
    }
  }

  /**
   * Runs one transfer, then simulates the same transfer with the measured round-trip time. The result has the
   * number of complete receivers; an incomplete receiver is not an error.
   * @throws P2mpError RUN_FAILED if a process failed
   */
  async run({ point, seed }: Run): Promise<RunResult> {
    if (point.senders !== undefined) return runUploads(point, seed, this.folder, this.signal);
    if (point.sources !== undefined) return runFetch(point, seed, this.folder, this.signal);
    await this.network.prepare(point);
    const rttMs = await this.measureRtt(point, seed);
    const result = await this.transfer(point, seed);
    const twin = simulateRun(point, seed, rttMs);
    return { ...result, rttMs, twinDelayMs: twin.delayMs };
  }

  /**
   * Measures the round-trip time. Without loss, stop-and-wait takes one round trip per segment, including the
   * time to send the segment.
   */
  private async measureRtt(point: Point, seed: string): Promise<number> {
    const { receivers, mssBytes, fileSizeBytes, rateBytesPerSec, queueBytes } = point;
    const key = [receivers, mssBytes, fileSizeBytes, rateBytesPerSec, queueBytes].join();
    const known = this.rttsMs.get(key);
    if (known !== undefined) return known;
    const lossless: Point = { ...point, loss: 0, lossModel: 'bernoulli', window: 1 };

    const segments = Math.ceil(fileSizeBytes / mssBytes);
    const measured: number[] = [];
    while (measured.length < rttTransfers) {
      const { delayMs } = await this.transfer(lossless, seed);
      measured.push(delayMs / segments);
    }
    const middle = measured.toSorted((a, b) => a - b)[Math.floor(rttTransfers / 2)] as number;
    this.rttsMs.set(key, middle);
    return middle;
  }

  private async transfer(point: Point, seed: string): Promise<Omit<RunResult, 'rttMs'>> {
    const source = join(this.folder, 'source.bin');
    await writeFile(source, createContent(seed, point.fileSizeBytes));
    const receivers = Array.from({ length: point.receivers }, (_, i) =>
      this.startReceiver(point, seed, i),
    );
    try {
      const servers = await Promise.all(receivers.map((receiver) => receiver.listeningAddress()));
      const client = this.start(
        this.network.onSender(commandOf('p2mpclient', toClientArgs(point, source, servers))),
        'p2mpclient',
      );
      const sent = JSON.parse(await client.lastLine) as ClientResult;
      if (sent.event !== 'result' || sent.error !== undefined) {
        throw new P2mpError('RUN_FAILED', `p2mpclient: ${sent.error?.message ?? 'no result'}`);
      }
      const copies = await Promise.all(receivers.map((receiver) => receiver.lastLine));
      return toResult(sent, copies);
    } finally {
      // Wait until all processes have exited, because they use their files until then.
      await Promise.all([...this.processes].map((process) => process.stop()));
      this.processes.clear();
    }
  }

  private startReceiver(point: Point, seed: string, receiver: number): CommandProcess {
    const path = join(this.folder, `copy ${receiver + 1}.bin`);
    const args = [
      '0',
      path,
      String(point.loss),
      '--loss-model',
      lossModelOf(point),
      '--once',
      '--json',
    ];
    args.push('--bind', this.network.address(receiver));
    // Option and value are one argument, because a seed may start with a dash.
    args.push(`--seed=${receiverSeed(seed, `r${receiver + 1}`)}`);
    const command = commandOf('p2mpserver', args);
    return this.start(this.network.onReceiver(receiver, command), 'p2mpserver');
  }

  private start(command: Command, name: string): CommandProcess {
    const process = new CommandProcess(command, name, { signal: this.signal });
    this.processes.add(process);
    return process;
  }
}

interface ClientResult {
  readonly event: string;
  readonly seconds: number;
  readonly rounds: number;
  readonly timeouts: number;
  readonly retransmissions: number;
  readonly datagrams: number;
  readonly acks: number;
  readonly sha256?: string;
  readonly error?: { readonly message: string };
  readonly receivers: readonly { readonly status: string }[];
}

function toResult(sent: ClientResult, copies: readonly string[]): Omit<RunResult, 'rttMs'> {
  const isComplete = (copy: string, i: number): boolean => {
    const { status, sha256 } = JSON.parse(copy) as { status?: string; sha256?: string };
    const isSame = status === 'complete' && sha256 === sent.sha256;
    return isSame && sent.receivers[i]?.status === 'complete';
  };
  return {
    delayMs: sent.seconds * 1000,
    rounds: sent.rounds,
    timeouts: sent.timeouts,
    retransmissions: sent.retransmissions,
    datagrams: sent.datagrams,
    acks: sent.acks,
    completeReceivers: copies.filter(isComplete).length,
  };
}

/** The loss model in the syntax of p2mpserver. */
function lossModelOf({ lossModel, enterBad, leaveBad, lossInGood, lossInBad }: Point): string {
  return lossModel === 'gilbert-elliott'
    ? `${lossModel}:${[enterBad, leaveBad, lossInGood, lossInBad].join()}`
    : lossModel;
}

function toClientArgs(point: Point, source: string, servers: readonly string[]): string[] {
  const { mssBytes, timeoutMs, window } = point;
  const options = ['--timeout', String(timeoutMs), '--window', String(window), '--json'];
  // The port argument (1) is unused, because every address contains the port of its server.
  return [...servers, '1', source, String(mssBytes), ...options];
}
