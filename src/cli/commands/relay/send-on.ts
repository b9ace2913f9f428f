/** `p2mp relay --to`: sends on what it receives, until it is stopped. */
import { join } from 'node:path';
import { P2mpError } from '../../../base/errors.js';
import { withoutUndefined } from '../../../base/without-undefined.js';
import { formatAddresses } from '../../../node/file-receiver.js';
import type { AuthorizedKeys } from '../../../node/keys/authorized-keys.js';
import { parseInvitation } from '../../../node/keys/invitation-code.js';
import { defaultKeyFolder } from '../../../node/keys/key-files.js';
import {
  trustAuthorizedRelays,
  trustAuthorizedSenders,
  trustKnownReceivers,
} from '../../../node/keys/trust.js';
import type { ServerSpec } from '../../../node/net/resolve-receivers.js';
import { relay as startRelay } from '../../../node/relay/relay.js';
import type { SendOnOptions } from '../../../node/relay/send-on-options.js';
import type { SendingOn } from '../../../node/relay/sending-on.js';
import { receiverStatus } from '../../../node/service/health.js';
import type { InvitationTerms } from '../../../security/invitations.js';
import { parseCount, parsePort, parseSeconds, parseSize } from '../../arguments.js';
import { authorizedPathOf, loadAuthorizedKeys } from '../../authorized-keys-option.js';
import { single } from '../../command.js';
import type { ExitCode } from '../../exit-code.js';
import { createFirstUsePrompt } from '../../first-use-prompt.js';
import { parseInvitations } from '../../invitation-list.js';
import { networkPathsOf } from '../../network-paths-option.js';
import type { Output } from '../../output/output.js';
import { progressIntervalMsOf } from '../../output/receive-output.js';
import { SendOnOutput } from '../../output/relay/send-on-output.js';
import { loadOrCreateKey } from '../../own-key.js';
import { knownReceiversLoader } from '../../receivers/known-receivers-option.js';
import { parseReceivers } from '../../receivers/receiver-list.js';
import { reportListening, ServiceStop } from '../../service/running-service.js';
import { chooseLevel, createOutput, drainTimeoutMsOf } from '../../service/service-arguments.js';
import { invite, parseInvitationTerms, recordInvited } from '../invitation.js';
import type { RelayArguments } from '../relay-arguments.js';

/** @param to values of `--to` */
export async function sendOn(argv: RelayArguments, to: readonly string[]): Promise<ExitCode> {
  if (argv.dir === undefined)
    throw refuse('no folder: say with --dir where content is while it passes');
  return new SendOnCommand(argv, to, single('dir', argv.dir)).run();
}

/** The options that say who is trusted. */
type TrustOptions = Pick<
  SendOnOptions,
  'trustSender' | 'trustRelay' | 'trustReceiver' | 'invitations'
>;

/** One run of the command, until it is stopped. */
class SendOnCommand {
  private readonly output: Output;
  private readonly report: SendOnOutput;
  private readonly interruption = new AbortController();
  private readonly drainTimeoutMs: number;
  private readonly invitation: InvitationTerms | undefined;
  private authorized: AuthorizedKeys | undefined;
  private reloaded: Promise<void> = Promise.resolve();

  constructor(
    private readonly argv: RelayArguments,
    private readonly to: readonly string[],
    private readonly dir: string,
  ) {
    const level = chooseLevel(argv);
    this.output = createOutput(argv, level);
    this.drainTimeoutMs = drainTimeoutMsOf(argv);
    this.invitation = parseInvitationTerms(argv, level, 'sender');
    this.report = new SendOnOutput(this.output, {
      ...{ isVerbose: level === 'debug', dir },
      ...(argv.open ? {} : { authorizedPath: authorizedPathOf(argv) }),
    });
  }

  async run(): Promise<ExitCode> {
    const { output, argv, report, dir } = this;
    const options = await this.createOptions();
    const relaying = await startRelay(options);
    const server = await reportListening(relaying, 'relay', receiverStatus(relaying), argv, output);
    const stop = ServiceStop.begin(relaying, {
      ...{ output, drainTimeoutMs: this.drainTimeoutMs },
      draining: 'p2mp relay: takes no new objects; exiting when the others have passed',
      countJson: (sessions) => ({ sessions }),
      reason: 'the relay was stopped; send again once it is back',
      handleSignal: () => this.interruption.abort(),
      reload: () => this.reload(relaying),
    });
    const count = options.to.length;
    const receivers = count === 1 ? 'one receiver' : `${count} receivers`;
    output.line(
      `Listening on ${formatAddresses(relaying.addresses)}, sending on to ${receivers} through ${dir}`,
    );
    if (this.invitation !== undefined)
      await invite(relaying, this.invitation, 'sender', 'PATH', output);
    const exit = await stop.ended();
    await report.end();
    await server?.close();
    output.flush();
    return exit;
  }

  /** Reads the files of `--to` again, and looks the names up again; one signal after another. */
  private reload(relaying: SendingOn): void {
    this.reloaded = this.reloaded.then(async () => {
      const reloaded = this.readReceivers();
      await this.report.handleReload(
        reloaded.then(async (to) => {
          await relaying.setReceivers(to);
          return to;
        }),
      );
    });
  }

  private readReceivers(): Promise<ServerSpec[]> {
    const { argv, to } = this;
    return parseReceivers(to, parsePort(single('port', argv.port), 0), '--to');
  }

  private async createOptions(): Promise<SendOnOptions> {
    const { argv, output, report, dir } = this;
    const { bind, rate } = argv;
    const port = parsePort(single('port', argv.port), 0);
    const maxBytes = argv['max-bytes'];
    const keyPath =
      argv.key === undefined ? join(defaultKeyFolder(), 'key') : single('key', argv.key);
    const to = await this.readReceivers();
    const multicastTtl = parseCount(
      'multicast-ttl',
      single('multicast-ttl', argv['multicast-ttl']),
      255,
    );
    return {
      ...{ port, to, dir, multicastTtl, ...withoutUndefined({ bind }) },
      ...networkPathsOf(argv),
      multicast: single('multicast', argv.multicast),
      livenessTimeoutMs: parseSeconds(
        'give-up-after',
        single('give-up-after', argv['give-up-after']),
      ),
      idleMs: parseSeconds('idle-timeout', single('idle-timeout', argv['idle-timeout'])),
      maxOpenFiles: parseCount('max-open-files', single('max-open-files', argv['max-open-files'])),
      ...(rate === undefined ? {} : { rateBytesPerSec: parseSize('rate', single('rate', rate)) }),
      ...(maxBytes === undefined
        ? {}
        : { maxObjectBytes: parseSize('max-bytes', single('max-bytes', maxBytes)) }),
      ...withoutUndefined({ progressIntervalMs: progressIntervalMsOf(output) }),
      keyPair: await loadOrCreateKey(keyPath, 'relay', output),
      ...(await this.createTrust(to.length)),
      onEvent: (event) => {
        report.handleEvent(event);
        if (event.type === 'invited' || event.type === 'invited-relay')
          recordInvited(this.authorized, event, output);
      },
    };
  }

  private async createTrust(receiverCount: number): Promise<TrustOptions> {
    const { argv, output, interruption } = this;
    const option = 'receiver-invite';
    const invitations = await parseInvitations(argv[option], argv, option);
    if (argv.open) {
      output.warn(
        '--open: neither senders nor receivers are authenticated; any host that reaches this port can send',
      );
      const trust = () => true;
      return { trustSender: trust, trustRelay: trust, trustReceiver: trust };
    }
    const mayBeMissing = this.invitation !== undefined;
    const authorized = await loadAuthorizedKeys(argv, output, 'p2mp relay', mayBeMissing);
    this.authorized = authorized;
    const known = await knownReceiversLoader(argv)();
    const { signal } = interruption;
    const ask = createFirstUsePrompt({
      ...{ role: 'receiver', acceptsNew: argv['accept-new'], output, signal },
    });
    return {
      trustSender: trustAuthorizedSenders(authorized),
      trustRelay: trustAuthorizedRelays(authorized),
      invitations,
      trustReceiver: trustKnownReceivers(known, ask, {
        ...{ invitations: invitations.map(parseInvitation), receiverCount },
      }),
    };
  }
}

function refuse(message: string): P2mpError {
  return new P2mpError('INVALID_ARGUMENT', message);
}
