#!/usr/bin/env node
/** `p2mpclient <server>... <port> <file> <MSS>`: the sender of P2MP-FTP. */
import { basename } from 'node:path';
import { P2mpError } from '../base/errors.js';
import { formatSeconds } from '../base/format.js';
import { withoutUndefined } from '../base/without-undefined.js';
import type { FileSenderEvent, SendFileOptions, SendFileResult } from '../node/file-sender.js';
import { sendFile } from '../node/file-sender.js';
import type { ServerSpec } from '../node/net/resolve-receivers.js';
import {
  parseMss,
  parsePort,
  parseSeconds,
  parseServer,
  parseTimeout,
  parseWindow,
} from './arguments.js';
import { onInterrupt, parse, runCommand, single } from './command.js';
import { createClientParser } from './commands/client-arguments.js';
import type { ExitCode } from './exit-code.js';
import { exitCode } from './exit-code.js';
import { ClientProgress } from './output/client-progress.js';
import { clientResultJson, printClientSummary } from './output/client-summary.js';
import { Output } from './output/output.js';
import {
  printInterrupted,
  printOddity,
  printOtherAddress,
  printRefused,
} from './output/print-event.js';

async function main(args: readonly string[]): Promise<ExitCode> {
  const argv = await parse(createClientParser(), args);
  if (typeof argv === 'number') return argv;
  const { json: isJson, quiet: isQuiet, verbose: isVerbose, color } = argv;
  const output = new Output({ isJson, isQuiet, color });
  const [mss, path, port, ...servers] = argv._.toReversed();
  if (mss === undefined || path === undefined || port === undefined || servers.length === 0) {
    throw new P2mpError(
      'INVALID_ARGUMENT',
      `${argv._.length} arguments: expected at least 4, <server>... <port> <file> <MSS>`,
    );
  }
  const commonPort = parsePort(port, 1);
  const giveUpAfter = argv['give-up-after'];
  const interruption = new AbortController();
  const options: SendFileOptions = {
    servers: servers.toReversed().map((server) => parseOneServer(server, commonPort)),
    path,
    mssBytes: parseMss(mss),
    windowBlocks: parseWindow(single('window', argv.window)),
    timeout: parseTimeout(single('timeout', argv.timeout)),
    ...(giveUpAfter === undefined
      ? {}
      : { livenessTimeoutMs: parseSeconds('give-up-after', single('give-up-after', giveUpAfter)) }),
    hasEndMarker: argv['end-marker'],
    signal: interruption.signal,
  };
  onInterrupt(() => interruption.abort());
  const result = await send(options, output, isVerbose);
  if (result === undefined) return printInterrupted(output, 'p2mpclient');
  output.json(clientResultJson(path, result));
  printClientSummary(output, basename(path), options.mssBytes, result);
  output.flush();
  if (result.error !== undefined) output.error(`p2mpclient: ${result.error.message}`);
  if (interruption.signal.aborted) {
    output.error(
      'p2mpclient: interrupted; incomplete servers discard the file; to retry, run the same command again',
    );
  }
  return toExitCode(result, interruption.signal.aborted);
}

function parseOneServer(text: string, commonPort: number): ServerSpec {
  const words = text.split(/[\s,;]+/).filter((word) => word !== '');
  if (words.length < 2) return parseServer(text, commonPort);
  throw new P2mpError(
    'INVALID_ARGUMENT',
    `server ${text}: separate servers by spaces: ${words.join(' ')}`,
  );
}

async function send(
  options: SendFileOptions,
  output: Output,
  isVerbose: boolean,
): Promise<SendFileResult | undefined> {
  let progress: ClientProgress | undefined;
  let result: SendFileResult | undefined;
  const onEvent = (event: FileSenderEvent): void => {
    if (event.type === 'start') progress = new ClientProgress(output, event.sender);
    else if (event.type === 'end') result = event.result;
    else printEvent(output, event, isVerbose);
  };
  try {
    return await sendFile({ ...options, onEvent });
  } catch (error) {
    if (options.signal?.aborted && error === options.signal.reason) return result;
    throw error;
  } finally {
    progress?.end();
  }
}

function printEvent(
  output: Output,
  event: Exclude<FileSenderEvent, { type: 'start' | 'end' }>,
  isVerbose: boolean,
): void {
  switch (event.type) {
    case 'timeout': {
      const { sequence, round, pendingCount } = event;
      output.line(`Timeout, sequence number = ${sequence}`);
      output.json({ event: 'timeout', sequence, round, pendingCount });
      break;
    }
    case 'receiver': {
      const { receiver, status, reason, elapsedMs } = event.outcome;
      const why = reason === undefined ? '' : `: ${reason}`;
      output.json({
        event: 'receiver-result',
        receiver,
        status,
        ...withoutUndefined({ reason }),
      });
      if (output.isJson) break;
      if (status === 'failed') output.warn(`${receiver}: failed${why}`);
      else if (isVerbose)
        output.detail(`${receiver}: ${status} after ${formatSeconds(elapsedMs / 1000)}${why}`);
      break;
    }
    case 'port-refused':
    case 'unreachable':
      printRefused(output, event);
      break;
    case 'other-address':
      printOtherAddress(output, event);
      break;
    case 'fault':
    case 'send-error':
      printOddity(output, event, isVerbose);
      break;
  }
}

function toExitCode(result: SendFileResult, isInterrupted: boolean): ExitCode {
  const completeCount = result.receivers.filter(({ status }) => status === 'complete').length;
  if (completeCount === result.receivers.length) return exitCode.ok;
  if (isInterrupted) return exitCode.interrupted;
  if (result.error !== undefined) return exitCode.system;
  return completeCount === 0 ? exitCode.none : exitCode.some;
}

await runCommand('p2mpclient', main);
