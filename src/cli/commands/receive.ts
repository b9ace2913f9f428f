/** `p2mp receive`: receives sessions into a folder, many at once, until it is stopped. */
import { join } from 'node:path';
import { P2mpError } from '../../base/errors.js';
import { withoutUndefined } from '../../base/without-undefined.js';
import type { Announcement } from '../../node/announce-receiver.js';
import { formatAddresses } from '../../node/file-receiver.js';
import type { AuthorizedKeys } from '../../node/keys/authorized-keys.js';
import { defaultKeyFolder } from '../../node/keys/key-files.js';
import { trustAuthorizedRelays, trustAuthorizedSenders } from '../../node/keys/trust.js';
import type { Receiving } from '../../node/receive.js';
import { receive as startReceiving } from '../../node/receive.js';
import type { ReceiveOptions } from '../../node/receive-options.js';
import { receiverStatus } from '../../node/service/health.js';
import type { InvitationTerms } from '../../security/invitations.js';
import { parseCount, parsePort, parseSeconds, parseSize } from '../arguments.js';
import { authorizedPathOf, loadAuthorizedKeys } from '../authorized-keys-option.js';
import { onInterrupt, single } from '../command.js';
import type { ExitCode } from '../exit-code.js';
import { exitCode } from '../exit-code.js';
import type { Interrupt } from '../interrupts.js';
import { networkPathsOf } from '../network-paths-option.js';
import type { OnComplete } from '../on-complete.js';
import { describeOffload } from '../output/describe-offload.js';
import type { Output } from '../output/output.js';
import { progressIntervalMsOf, ReceiveOutput } from '../output/receive-output.js';
import { loadOrCreateKey } from '../own-key.js';
import { announce } from '../receivers/announcement.js';
import { reportListening } from '../service/running-service.js';
import { chooseLevel, createOutput, drainTimeoutMsOf } from '../service/service-arguments.js';
import { tuneEngine } from '../tune-engine.js';
import { invite, parseInvitationTerms, recordInvited } from './invitation.js';
import type { ReceiveArguments } from './receive-arguments.js';
import { createCommands, parseReceiveArguments, protectedPathsOf } from './receive-arguments.js';

export async function receive(args: readonly string[]): Promise<ExitCode> {
  tuneEngine();
  const argv = await parseReceiveArguments(args);
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
      '--overwrite and --no-clobber contradict each other; give only one',
    );
  }
  if (argv['allow-delete'] && !argv.clobber) {
    throw new P2mpError(
      'INVALID_ARGUMENT',
      '--allow-delete and --no-clobber contradict each other; give only one',
    );
  }
  return new ReceiveCommand(argv).run();
}

/** Options for this receiver's key and for the senders to accept. */
type TrustOptions = Pick<
  ReceiveOptions,
  'keyPair' | 'trustSender' | 'trustRelay' | 'sharesParts' | 'mayDelete'
>;

/** One run of the command, until it is stopped. */
class ReceiveCommand {
  private readonly output: Output;
  private readonly report: ReceiveOutput;
  private exit: ExitCode = exitCode.ok;
  private receiving: Receiving | undefined;
  private readonly isVerbose: boolean;
  private readonly drainTimeoutMs: number;
  private readonly onComplete: OnComplete | undefined;
  private readonly invitation: InvitationTerms | undefined;
  private authorized: AuthorizedKeys | undefined;
  private announcement: Announcement | undefined;
  /** Resolves when draining ends: true if all sessions finished, false if some were suspended. */
  private drained: Promise<boolean> | undefined;

  constructor(private readonly argv: ReceiveArguments) {
    const level = chooseLevel(argv);
    this.output = createOutput(argv, level);
    this.isVerbose = level === 'debug';
    this.drainTimeoutMs = drainTimeoutMsOf(argv);
    this.invitation = parseInvitationTerms(argv, level, 'sender');
    this.onComplete = createCommands(argv, this.output);
    this.report = new ReceiveOutput(this.output, {
      isVerbose: this.isVerbose,
      dir: single('dir', argv.dir),
      ...(argv.open ? {} : { authorizedPath: authorizedPathOf(argv) }),
      ...withoutUndefined({ onComplete: this.onComplete }),
    });
  }

  async run(): Promise<ExitCode> {
    const { output, argv, report } = this;
    const options = await this.createOptions();
    const receiving = await startReceiving(options);
    this.receiving = receiving;
    const status = receiverStatus(receiving, this.onComplete);
    const server = await reportListening(receiving, 'receiver', status, argv, output);
    onInterrupt((signal) => this.handleSignal(signal));
    const { addresses, offload } = receiving;
    if (this.isVerbose && !output.isJson) output.detail(describeOffload(offload, 'receive'));
    output.line(`Listening on ${formatAddresses(addresses)}, receiving into ${argv.dir}`);
    if (argv.announce) {
      const { keyPair, name } = options;
      const own = { addresses, publicKey: keyPair.publicKey, ...withoutUndefined({ name }) };
      this.announcement = await announce(own, output);
    }
    if (this.invitation !== undefined)
      await invite(receiving, this.invitation, 'sender', 'PATH', output);
    await receiving.closed;
    this.announcement?.close();
    if ((await this.drained) === false) this.exit = exitCode.interrupted;
    await report.end();
    await server?.close();
    if ((this.onComplete?.counts.ended.stopped ?? 0) > 0) this.exit = exitCode.interrupted;
    output.flush();
    return this.exit;
  }

  /** @returns whether sessions may finish */
  private handleSignal(signal: Interrupt): boolean {
    const { receiving, output, argv, onComplete } = this;
    const activeCount = receiving?.activeCount ?? 0;
    this.announcement?.close();
    if (signal === 'SIGINT') onComplete?.stop();
    else if (this.drainTimeoutMs < Infinity) {
      setTimeout(() => onComplete?.stop(), this.drainTimeoutMs).unref();
    }
    if (signal === 'SIGTERM' && activeCount > 0) {
      output.warn(
        'p2mp receive: no longer accepting new sessions; exiting when the running sessions end',
      );
      output.json({ event: 'draining', sessions: activeCount });
      this.drained = receiving?.drain(this.drainTimeoutMs);
      return true;
    }
    if (activeCount > 0 || argv.once) this.exit = exitCode.interrupted;
    void receiving?.close('the receiver was stopped; send again once it is back');
    return false;
  }

  private async createOptions(): Promise<ReceiveOptions> {
    const { argv, report } = this;
    const { name, bind, classic } = argv;
    const maxBytes = argv['max-bytes'];
    const existing = argv.overwrite ? 'overwrite' : argv.clobber ? undefined : 'keep';
    return {
      dir: single('dir', argv.dir),
      port: parsePort(single('port', argv.port), 0),
      ...withoutUndefined({ bind }),
      ...networkPathsOf(argv),
      ...(name === undefined ? {} : { name: single('name', name) }),
      ...withoutUndefined({ existing }),
      maxSessions: parseCount('max-sessions', single('max-sessions', argv['max-sessions'])),
      ...(maxBytes === undefined
        ? {}
        : { maxObjectBytes: parseSize('max-bytes', single('max-bytes', maxBytes)) }),
      maxEntries: parseCount('max-entries', single('max-entries', argv['max-entries'])),
      verifiesDisk: argv['verify-disk'],
      comparesAll: argv['compare-all'],
      updatesModes: argv['update-modes'],
      protectedPaths: protectedPathsOf(argv),
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
      ...withoutUndefined({ progressIntervalMs: progressIntervalMsOf(this.output) }),
      onEvent: (event) => {
        report.handleEvent(event);
        recordInvited(this.authorized, event, this.output);
        if (event.type !== 'end' || !argv.once || event.result.status === 'listed') return;
        // If the sender restarts the session during the drain, the outcome of the new session counts.
        if (event.result.status !== 'complete') this.exit = exitCode.none;
        else if (event.result.withdrawn !== undefined) this.exit = exitCode.skipped;
        else if (this.exit === exitCode.none) this.exit = exitCode.ok;
        void this.receiving?.drain();
      },
    };
  }

  private async createTrust(): Promise<TrustOptions> {
    const { argv, output } = this;
    const keyPath =
      argv.key === undefined ? join(defaultKeyFolder(), 'key') : single('key', argv.key);
    const keyPair = await loadOrCreateKey(keyPath, 'receiver', output);
    if (argv.open) {
      output.warn(
        `--open: senders are not authenticated; any host that reaches this port can send${argv['allow-delete'] ? ' and delete' : ''}`,
      );
      const deletion = argv['allow-delete'] ? { mayDelete: () => true } : {};
      const anybody = { trustSender: () => true, trustRelay: () => true };
      return { keyPair, ...anybody, sharesParts: true, ...deletion };
    }
    const mayBeMissing = this.invitation !== undefined;
    const authorized = await loadAuthorizedKeys(argv, output, 'p2mp receive', mayBeMissing);
    this.authorized = authorized;
    const trust = {
      ...{ keyPair, trustSender: trustAuthorizedSenders(authorized) },
      trustRelay: trustAuthorizedRelays(authorized),
    };
    // With --no-clobber, no existing file is replaced, and so none is deleted.
    if (!argv.clobber) return trust;
    const isForAll = argv['allow-delete'];
    return { ...trust, mayDelete: (key) => isForAll || authorized.may(key, 'delete') };
  }
}
