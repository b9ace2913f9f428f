/** `p2mp receive`: receives sessions into a folder, many at once, until it is stopped. */
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
import type { Receiving } from '../../node/receive.js';
import { receive as startReceiving } from '../../node/receive.js';
import type { ReceiveOptions } from '../../node/receive-options.js';
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
  'Receives files from any number of trusted senders into a folder. A file appears under its name',
  'once it is complete, verified and on disk. An interrupted transfer resumes when its sender',
  'returns. After SIGTERM, running sessions finish and new ones are deferred, so that a new process',
  'can take over without failing any sender. Ctrl-C stops immediately.',
].join('\n');

export function createReceiveParser() {
  return createParser('p2mp receive', usage)
    .option('dir', { type: 'string', default: '.', describe: 'Target folder' })
    .option('port', {
      type: 'string',
      default: String(defaultPort),
      describe: 'UDP port; 0 for any free port',
    })
    .option('bind', {
      type: 'string',
      array: true,
      requiresArg: true,
      describe: 'Local address to listen on; may be repeated',
      defaultDescription: 'all',
    })
    .option('once', { type: 'boolean', default: false, describe: 'Stop after one session' })
    .option('on-complete', {
      type: 'string',
      describe: 'Shell command to run after each complete session; it gets P2MP_* variables',
    })
    .option('on-complete-jobs', {
      type: 'string',
      default: '4',
      describe: 'Maximum number of these commands that run at once; up to 1000 more wait',
    })
    .option('on-complete-timeout', {
      type: 'string',
      default: '300',
      describe: 'Seconds after which a command that still runs is killed',
    })
    .option('authorized-senders', {
      type: 'string',
      describe: 'File of the public keys of trusted senders, one per line',
      defaultDescription: join(defaultKeyFolder(), 'authorized_senders'),
    })
    .option('open', {
      type: 'boolean',
      default: false,
      describe: 'Accept any sender that can reach this port, without authentication',
    })
    .option('key', {
      type: 'string',
      describe: "File of this receiver's private key; created if missing",
      defaultDescription: join(defaultKeyFolder(), 'key'),
    })
    .option('name', {
      type: 'string',
      describe: 'Name that this receiver reports to senders',
      defaultDescription: 'host name',
    })
    .option('clobber', {
      type: 'boolean',
      default: true,
      describe: 'Replace files that differ (--no-clobber: keep all existing files)',
    })
    .option('overwrite', {
      type: 'boolean',
      default: false,
      describe: 'Receive everything, even what seems to be here',
    })
    .option('update-modes', {
      type: 'boolean',
      default: false,
      describe:
        "Set the sender's modes on existing files and folders too (default: they keep theirs)",
    })
    .option('compare-all', {
      type: 'boolean',
      default: false,
      describe:
        'Compare with all existing files, not just those from the same sender; see SECURITY.md for the risk',
    })
    .option('verify-disk', {
      type: 'boolean',
      default: false,
      describe: 'Read all data back from the disk before naming the files, for large objects too',
    })
    .option('max-sessions', {
      type: 'string',
      default: '256',
      describe: 'Maximum concurrent sessions',
    })
    .option('max-bytes', {
      type: 'string',
      describe: 'Maximum disk space of a session, such as 10GB',
      defaultDescription: 'free space on the disk',
    })
    .option('max-entries', {
      type: 'string',
      default: '1000000',
      describe: 'Maximum number of files, folders and links in a session',
    })
    .option('max-open-files', {
      type: 'string',
      default: '256',
      describe: 'Maximum number of open files',
    })
    .option('idle-timeout', {
      type: 'string',
      default: '60',
      describe: 'Seconds of silence from a sender after which its session fails',
    })
    .option('classic', {
      type: 'string',
      describe: 'Also receive by P2MP-FTP (from p2mpclient) into this file',
    })
    .option('metrics', {
      type: 'string',
      describe:
        'Serve /metrics, /healthz and /readyz over HTTP at [host:]port; the default port is 9735',
    })
    .option('metrics-name', {
      type: 'string',
      array: true,
      requiresArg: true,
      describe: 'Host name to accept in requests to --metrics; may be repeated',
      defaultDescription: 'IP addresses, names without a dot, this host name',
    })
    .option('drain-timeout', {
      type: 'string',
      describe: 'Seconds that running sessions may take to finish after SIGTERM',
      defaultDescription: 'no limit',
    })
    .option('log', {
      type: 'string',
      describe: 'Print log lines in this format: text, json, or journal (for systemd)',
    })
    .option('log-level', {
      type: 'string',
      describe: 'Log level: error (like --quiet), warn, info, or debug (like --verbose)',
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
    .example('$0 --open --once --dir . && ls -l', 'one session from any sender, in a script');
}

/** Default port of metrics and health checks. */
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
    throw new P2mpError(
      'INVALID_ARGUMENT',
      `${argv._[0]}: unexpected argument; name the target folder with --dir`,
    );
  }
  if (argv.overwrite && !argv.clobber) {
    throw new P2mpError(
      'INVALID_ARGUMENT',
      '--overwrite and --no-clobber: contradict each other; give only one',
    );
  }
  return new ReceiveCommand(argv).run();
}

/** @returns the log level that the options select */
function chooseLevel(argv: Arguments): LogLevel {
  const { quiet, verbose, 'log-level': given } = argv;
  if (given === undefined) return quiet ? 'error' : verbose ? 'debug' : 'info';
  if (quiet || verbose) {
    const other = quiet ? '--quiet' : '--verbose';
    throw new P2mpError(
      'INVALID_ARGUMENT',
      `--log-level and ${other}: contradict each other; give only one`,
    );
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
  if (isJson)
    throw new P2mpError('INVALID_ARGUMENT', '--json and --log: exclude each other; give only one');
  return new LogOutput({ format: parseChoice('log', single('log', log), logFormats), level });
}

/** @returns the command queue of --on-complete; undefined without that option */
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

/** Keys, and which senders to accept. */
type TrustOptions = Pick<ReceiveOptions, 'keyPair' | 'refuseSender' | 'sharesParts'>;

/** One run of the command, until it is stopped. */
class ReceiveCommand {
  private readonly output: Output;
  private readonly report: ReceiveOutput;
  private exit: ExitCode = exitCode.ok;
  private receiving: Receiving | undefined;
  private readonly isVerbose: boolean;
  private readonly drainTimeoutMs: number;
  private readonly onComplete: OnComplete | undefined;
  /** Resolves to whether all sessions finished. */
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
      await receiving.close('this receiver failed to start');
      throw error;
    }
    onInterrupt((signal) => this.handleSignal(signal));
    report.start(receiving);
    const { addresses, offload } = receiving;
    output.json({ event: 'listening', addresses: addresses.map(formatAddress), offload });
    if (this.isVerbose && !output.isJson) output.detail(describeOffload(offload, 'receive'));
    output.line(`Listening on ${formatAddresses(addresses)}, receiving into ${argv.dir}`);
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
      output.warn('p2mp receive: accepts no new sessions; exits after the last one');
      output.json({ event: 'draining', sessions: activeCount });
      this.drained = receiving?.drain(this.drainTimeoutMs);
      return;
    }
    if (activeCount > 0 || argv.once) this.exit = exitCode.interrupted;
    void receiving?.close('the receiver was stopped; send again once it is back');
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
        // A sender may restart a session; the outcome of the new one then replaces this one.
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
      output.warn(
        '--open: senders are not authenticated; any host that reaches this port can send',
      );
      return { keyPair, refuseSender: () => undefined, sharesParts: true };
    }
    const authorized = await AuthorizedSenders.load(authorizedPathOf(argv));
    let lastMessage: string | undefined;
    const timer = setInterval(async () => {
      const message = (await authorized.refresh())?.message;
      if (message !== undefined && message !== lastMessage) {
        output.warn(`p2mp receive: ${message}; keeping the previous list`);
      }
      lastMessage = message;
    }, 1000);
    timer.unref();
    return { keyPair, refuseSender: refuseUnlessAuthorized(authorized) };
  }

  /** Creates the key at the first start, like sshd. */
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
      // Another receiver of this user started at the same time.
      if (error instanceof P2mpError && error.code === 'KEY_EXISTS') return loadKeyPair(path);
      throw error;
    }
    output.warn(`Created the key of this receiver, ${path}: ${fingerprint(pair.publicKey)}`);
    return pair;
  }

  private async serveStatus(receiving: Receiving): Promise<StatusServer | undefined> {
    const { argv, output } = this;
    const names = argv['metrics-name'] ?? [];
    if (argv.metrics === undefined) {
      if (names.length === 0) return undefined;
      throw new P2mpError(
        'INVALID_ARGUMENT',
        '--metrics-name: has no effect without --metrics; give both',
      );
    }
    const text = single('metrics', argv.metrics);
    // A port alone binds to loopback, because metrics name senders and files.
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
    output.line(
      `Serving metrics at http://${formatAddress({ host: address, port: bound })}/metrics`,
    );
    output.json({ event: 'metrics', address: formatAddress({ host: address, port: bound }) });
    return server;
  }
}
