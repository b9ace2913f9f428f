/** `p2mp receive`: takes sessions into a folder, many at once, until it is stopped. */
import { join } from 'node:path';
import { formatAddress } from '../../base/address.js';
import { P2mpError } from '../../base/errors.js';
import { defaultPort } from '../../classic/config.js';
import { formatAddresses } from '../../node/file-receiver.js';
import { AuthorizedSenders } from '../../node/keys/authorized-senders.js';
import {
  defaultKeyFolder,
  fingerprint,
  generateKeyPair,
  loadKeyPair,
  saveKeyPair,
} from '../../node/keys/key-files.js';
import { refuseUnlessAuthorized } from '../../node/keys/trust.js';
import type { ReceiveOptions, Receiving } from '../../node/receive.js';
import { receive as startReceiving } from '../../node/receive.js';
import { StatusServer } from '../../node/service/status-server.js';
import {
  parseChoice,
  parseCount,
  parsePort,
  parseSeconds,
  parseServer,
  parseSize,
} from '../arguments.js';
import { createParser, onInterrupt, parse, single } from '../command.js';
import type { ExitCode } from '../exit-code.js';
import { exitCode } from '../exit-code.js';
import type { Interrupt } from '../interrupts.js';
import { createOnComplete, type OnComplete } from '../on-complete.js';
import { describeOffload } from '../output/describe-offload.js';
import type { LogLevel } from '../output/log-output.js';
import { LogOutput, logFormats, logLevels } from '../output/log-output.js';
import { Output } from '../output/output.js';
import { ReceiveOutput } from '../output/receive-output.js';
import { tuneEngine } from '../tune-engine.js';

const usage = [
  '$0 [options]',
  '',
  'Takes what trusted senders send to this host, many at once, into a folder. A file appears under',
  'its name once all of it is verified and on disk. What was cut off is continued when the sender',
  'comes back. SIGTERM lets sessions end and puts new ones off, so that another process may take',
  "this one's place without any sender failing; Ctrl-C stops at once.",
].join('\n');

export function createReceiveParser() {
  return createParser('p2mp receive', usage)
    .option('dir', { type: 'string', default: '.', describe: 'Folder that everything goes into' })
    .option('port', { type: 'string', default: String(defaultPort), describe: 'UDP port' })
    .option('bind', {
      type: 'string',
      array: true,
      requiresArg: true,
      describe: 'Address to listen on and answer from; may be repeated',
      defaultDescription: 'all',
    })
    .option('once', { type: 'boolean', default: false, describe: 'Stop after one session' })
    .option('on-complete', {
      type: 'string',
      describe: 'Shell command to run for each complete session; see P2MP_* in its environment',
    })
    .option('on-complete-jobs', {
      type: 'string',
      default: '4',
      describe: 'How many of these commands run at once; others wait, at most 1000',
    })
    .option('on-complete-timeout', {
      type: 'string',
      default: '300',
      describe: 'Seconds after which such a command is killed',
    })
    .option('authorized-senders', {
      type: 'string',
      describe: 'File of the public keys that may send here, one a line',
      defaultDescription: join(defaultKeyFolder(), 'authorized_senders'),
    })
    .option('open', {
      type: 'boolean',
      default: false,
      describe: 'Let anybody send who can reach this port',
    })
    .option('key', {
      type: 'string',
      describe: "This receiver's private key; made at the first start",
      defaultDescription: join(defaultKeyFolder(), 'key'),
    })
    .option('name', {
      type: 'string',
      describe: 'What this receiver calls itself',
      defaultDescription: "the host's name",
    })
    .option('clobber', {
      type: 'boolean',
      default: true,
      describe: 'Replace files that differ (--no-clobber: leave every file that is there)',
    })
    .option('overwrite', {
      type: 'boolean',
      default: false,
      describe: 'Receive everything anew, also what seems to be here',
    })
    .option('update-modes', {
      type: 'boolean',
      default: false,
      describe: "Give files and folders that exist the sender's modes (otherwise they keep theirs)",
    })
    .option('compare-all', {
      type: 'boolean',
      default: false,
      describe:
        'Compare with files that its sender did not place, too; senders can then guess what is in them',
    })
    .option('verify-disk', {
      type: 'boolean',
      default: false,
      describe: 'Read everything back from the disk before it gets its name, also large objects',
    })
    .option('max-sessions', { type: 'string', default: '256', describe: 'Sessions at once' })
    .option('max-bytes', {
      type: 'string',
      describe: 'Most that a session may take on the disk, such as 10GB',
      defaultDescription: 'what the disk has room for',
    })
    .option('max-entries', {
      type: 'string',
      default: '1000000',
      describe: 'Most files, folders and links of a session',
    })
    .option('max-open-files', { type: 'string', default: '256', describe: 'Files open at once' })
    .option('idle-timeout', {
      type: 'string',
      default: '60',
      describe: 'Seconds of silence after which a sender is given up on',
    })
    .option('classic', {
      type: 'string',
      describe: 'Also take a file by P2MP-FTP (p2mpclient) into this one',
    })
    .option('metrics', {
      type: 'string',
      describe:
        'Serve /metrics, /healthz and /readyz by HTTP at [host:]port; port 9735 if left out',
    })
    .option('metrics-name', {
      type: 'string',
      array: true,
      requiresArg: true,
      describe: 'Host name by which requests may reach --metrics; may be repeated',
      defaultDescription: "IP addresses, names without a dot and the host's name",
    })
    .option('drain-timeout', {
      type: 'string',
      describe: 'Seconds that sessions have to end after SIGTERM; then they are put aside',
      defaultDescription: 'as long as they take',
    })
    .option('log', {
      type: 'string',
      describe: 'Print lines of a log: text, json, or journal (for systemd)',
    })
    .option('log-level', {
      type: 'string',
      describe: 'The most that is told: error (as --quiet), warn, info, or debug (as --verbose)',
      defaultDescription: 'info',
    })
    .nargs('bind', 1)
    .nargs('metrics-name', 1)
    .requiresArg([
      'dir',
      'port',
      'on-complete',
      'on-complete-jobs',
      'on-complete-timeout',
      'authorized-senders',
      'key',
      'name',
      'max-sessions',
      'max-bytes',
      'max-entries',
      'max-open-files',
      'idle-timeout',
      'classic',
      'metrics',
      'drain-timeout',
      'log',
      'log-level',
    ])
    .example('$0 --dir /srv/images', 'from the senders in authorized_senders')
    .example('$0 --open --once --dir . && ls -l', 'one session from anybody, in a script');
}

/** Where metrics and health are served if no port is given. */
const metricsPort = 9735;

type Arguments = Exclude<Awaited<ReturnType<typeof parseArguments>>, ExitCode>;

function parseArguments(args: readonly string[]) {
  return parse(createReceiveParser(), args);
}

export async function receive(args: readonly string[]): Promise<ExitCode> {
  tuneEngine();
  const argv = await parseArguments(args);
  if (typeof argv === 'number') return argv;
  if (argv._.length > 0) {
    throw new P2mpError('INVALID_ARGUMENT', `${argv._[0]}: no argument is needed; see --dir`);
  }
  if (argv.overwrite && !argv.clobber) {
    throw new P2mpError('INVALID_ARGUMENT', '--overwrite and --no-clobber: give one of them');
  }
  return new ReceiveCommand(argv).run();
}

/** @returns the most that is told */
function chooseLevel(argv: Arguments): LogLevel {
  const { quiet, verbose, 'log-level': given } = argv;
  if (given === undefined) return quiet ? 'error' : verbose ? 'debug' : 'info';
  if (quiet || verbose) {
    const other = quiet ? '--quiet' : '--verbose';
    throw new P2mpError('INVALID_ARGUMENT', `--log-level and ${other}: give one of them`);
  }
  return parseChoice('log-level', single('log-level', given), logLevels);
}

function authorizedPathOf({ 'authorized-senders': given }: Arguments): string {
  return given === undefined
    ? join(defaultKeyFolder(), 'authorized_senders')
    : single('authorized-senders', given);
}

function createOutput(argv: Arguments, level: LogLevel): Output {
  const { json: isJson, log } = argv;
  if (log === undefined) {
    return new Output({ isJson, isQuiet: level === 'error', isTerse: level === 'warn' });
  }
  if (isJson) throw new P2mpError('INVALID_ARGUMENT', '--json and --log: give one of them');
  return new LogOutput({ format: parseChoice('log', single('log', log), logFormats), level });
}

/** @returns what runs the commands of --on-complete, where there is one */
function createCommands(argv: Arguments, output: Output): OnComplete | undefined {
  const jobs = parseCount('on-complete-jobs', single('on-complete-jobs', argv['on-complete-jobs']));
  const timeout = single('on-complete-timeout', argv['on-complete-timeout']);
  const timeoutMs = parseSeconds('on-complete-timeout', timeout);
  const given = argv['on-complete'];
  if (given === undefined) return undefined;
  const command = single('on-complete', given);
  const dir = single('dir', argv.dir);
  return createOnComplete(output, { command, maxRunning: jobs, timeoutMs, dir });
}

/** One run of the command: prints what happens until it is stopped. */
/** Who is let in, and what follows from it. */
type TrustOptions = Pick<ReceiveOptions, 'keyPair' | 'refuseSender' | 'sharesParts'>;

class ReceiveCommand {
  private readonly output: Output;
  private readonly report: ReceiveOutput;
  private exit: ExitCode = exitCode.ok;
  private receiving: Receiving | undefined;
  private readonly isVerbose: boolean;
  private readonly drainTimeoutMs: number;
  private readonly onComplete: OnComplete | undefined;
  /** Resolves to whether all sessions came to their end. */
  private drained: Promise<boolean> | undefined;

  constructor(private readonly argv: Arguments) {
    const level = chooseLevel(argv);
    this.output = createOutput(argv, level);
    this.isVerbose = level === 'debug';
    const drainTimeout = argv['drain-timeout'];
    this.drainTimeoutMs =
      drainTimeout === undefined
        ? Infinity
        : parseSeconds('drain-timeout', single('drain-timeout', drainTimeout));
    this.onComplete = createCommands(argv, this.output);
    this.report = new ReceiveOutput(this.output, {
      isVerbose: this.isVerbose,
      dir: single('dir', argv.dir),
      ...(argv.open ? {} : { authorizedPath: authorizedPathOf(argv) }),
      ...(this.onComplete === undefined ? {} : { onComplete: this.onComplete }),
    });
  }

  async run(): Promise<ExitCode> {
    const { output, argv, report } = this;
    const receiving = await startReceiving(await this.createOptions());
    this.receiving = receiving;
    let server: StatusServer | undefined;
    try {
      server = await this.serveStatus(receiving);
    } catch (error) {
      await receiving.close('this receiver could not start');
      throw error;
    }
    onInterrupt((signal) => this.handleSignal(signal));
    report.start(receiving);
    const { addresses, offload } = receiving;
    output.json({ event: 'listening', addresses: addresses.map(formatAddress), offload });
    if (this.isVerbose && !output.isJson) output.detail(describeOffload(offload, 'receive'));
    output.line(`Listening on ${formatAddresses(addresses)}, into ${argv.dir}`);
    await receiving.closed;
    if ((await this.drained) === false) this.exit = exitCode.interrupted;
    await report.end();
    await server?.close();
    if ((this.onComplete?.counts.ended.stopped ?? 0) > 0) this.exit = exitCode.interrupted;
    output.flush();
    return this.exit;
  }

  private handleSignal(signal: Interrupt): void {
    const { receiving, output, argv, onComplete } = this;
    const activeCount = receiving?.activeCount ?? 0;
    if (signal === 'SIGINT') onComplete?.stop();
    else if (this.drainTimeoutMs < Infinity) {
      setTimeout(() => onComplete?.stop(), this.drainTimeoutMs).unref();
    }
    if (signal === 'SIGTERM' && activeCount > 0) {
      output.warn('p2mp receive: takes no more sessions, and ends with the last one');
      output.json({ event: 'draining', sessions: activeCount });
      this.drained = receiving?.drain(this.drainTimeoutMs);
      return;
    }
    if (activeCount > 0 || argv.once) this.exit = exitCode.interrupted;
    void receiving?.close('this receiver was stopped; send again once it is back');
  }

  private async createOptions(): Promise<ReceiveOptions> {
    const { argv, report } = this;
    const { name, bind, classic } = argv;
    const maxBytes = argv['max-bytes'];
    const existing = argv.overwrite ? 'overwrite' : argv.clobber ? undefined : 'keep';
    return {
      dir: single('dir', argv.dir),
      port: parsePort(single('port', argv.port), 0),
      ...(bind === undefined ? {} : { bind }),
      ...(name === undefined ? {} : { name: single('name', name) }),
      ...(existing === undefined ? {} : { existing }),
      maxSessions: parseCount('max-sessions', single('max-sessions', argv['max-sessions'])),
      ...(maxBytes === undefined
        ? {}
        : { maxObjectBytes: parseSize('max-bytes', single('max-bytes', maxBytes)) }),
      maxEntries: parseCount('max-entries', single('max-entries', argv['max-entries'])),
      verifiesDisk: argv['verify-disk'],
      comparesAll: argv['compare-all'],
      updatesModes: argv['update-modes'],
      placedPath: join(defaultKeyFolder(), 'placed'),
      maxOpenFiles: parseCount('max-open-files', single('max-open-files', argv['max-open-files'])),
      idleMs: parseSeconds('idle-timeout', single('idle-timeout', argv['idle-timeout'])),
      ...(classic === undefined
        ? {}
        : {
            classic: {
              path: single('classic', classic),
              onEvent: (event) => report.handleClassicEvent(event),
            },
          }),
      ...(await this.createTrust()),
      onEvent: (event) => {
        report.handleEvent(event);
        if (event.type !== 'end' || !argv.once) return;
        // A session in whose place its sender has begun another is followed by that one's outcome.
        if (event.result.status !== 'complete') this.exit = exitCode.none;
        else if (this.exit === exitCode.none) this.exit = exitCode.ok;
        void this.receiving?.drain();
      },
    };
  }

  private async createTrust(): Promise<TrustOptions> {
    const { argv, output } = this;
    const keyPair = await this.loadOrMakeKey();
    if (argv.open) {
      output.warn('--open: anybody who reaches this port may send files here');
      return { keyPair, refuseSender: () => undefined, sharesParts: true };
    }
    const authorized = await AuthorizedSenders.load(authorizedPathOf(argv));
    let told: string | undefined;
    const timer = setInterval(async () => {
      const message = (await authorized.refresh())?.message;
      if (message !== undefined && message !== told) {
        output.warn(`p2mp receive: ${message}; the old list stays`);
      }
      told = message;
    }, 1000);
    timer.unref();
    return { keyPair, refuseSender: refuseUnlessAuthorized(authorized) };
  }

  /** As sshd has it: a receiver's key is made when it first starts. */
  private async loadOrMakeKey() {
    const { argv, output } = this;
    const given = argv.key;
    const path = given === undefined ? join(defaultKeyFolder(), 'key') : single('key', given);
    try {
      return await loadKeyPair(path);
    } catch (error) {
      const cause = error instanceof P2mpError ? (error.cause as NodeJS.ErrnoException) : undefined;
      if (cause?.code !== 'ENOENT') throw error;
    }
    const pair = await generateKeyPair();
    try {
      await saveKeyPair(path, pair, 'p2mp receive', { force: false });
    } catch (error) {
      // Another receiver of this user has started at the same time.
      if (error instanceof P2mpError && error.code === 'KEY_EXISTS') return loadKeyPair(path);
      throw error;
    }
    output.warn(`Made this receiver's key ${path}: ${fingerprint(pair.publicKey)}`);
    return pair;
  }

  private async serveStatus(receiving: Receiving): Promise<StatusServer | undefined> {
    const { argv, output } = this;
    const names = argv['metrics-name'] ?? [];
    if (argv.metrics === undefined) {
      if (names.length === 0) return undefined;
      throw new P2mpError('INVALID_ARGUMENT', '--metrics-name: needs --metrics');
    }
    const text = single('metrics', argv.metrics);
    // A port alone is for this host only: metrics name senders and files.
    const { host, port } = parseServer(
      /^:?\d+$/.test(text) ? `127.0.0.1:${text.replace(':', '')}` : text,
      metricsPort,
      0,
    );
    const server = new StatusServer({
      receiving,
      names,
      ...(this.onComplete === undefined ? {} : { commands: this.onComplete }),
      onError: ({ message }) => output.warn(`metrics: ${message}; transfers continue`),
    });
    const { address, port: bound } = await server.listen(host, port);
    output.line(`Metrics at http://${formatAddress({ host: address, port: bound })}/metrics`);
    output.json({ event: 'metrics', address: formatAddress({ host: address, port: bound }) });
    return server;
  }
}
