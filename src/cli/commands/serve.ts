/** `p2mp serve`: offers files and folders to hosts that fetch them, until it is stopped. */
import { join } from 'node:path';
import { formatAddress } from '../../base/address.js';
import { withoutUndefined } from '../../base/without-undefined.js';
import type { Announcement } from '../../node/announce-receiver.js';
import { defaultIndexFolder } from '../../node/disk/index/index-folder.js';
import { formatAddresses } from '../../node/file-receiver.js';
import type { AuthorizedKeys } from '../../node/keys/authorized-keys.js';
import { defaultKeyFolder } from '../../node/keys/key-files.js';
import { trustAuthorizedClients } from '../../node/keys/trust.js';
import { nameOfferedPaths } from '../../node/serve/offered-names.js';
import type { ServeOptions } from '../../node/serve/serve-options.js';
import type { Serving } from '../../node/serve/serving.js';
import { serve as startServing } from '../../node/serve.js';
import { serverStatus } from '../../node/service/server-health.js';
import type { StatusServer } from '../../node/service/status-server.js';
import type { InvitationTerms } from '../../security/invitations.js';
import { parseCount, parsePort } from '../arguments.js';
import { authorizedPathOf, loadAuthorizedKeys } from '../authorized-keys-option.js';
import { onInterrupt, single } from '../command.js';
import type { ExitCode } from '../exit-code.js';
import { exitCode } from '../exit-code.js';
import type { Interrupt } from '../interrupts.js';
import { describeOffload } from '../output/describe-offload.js';
import type { Output } from '../output/output.js';
import { progressIntervalMsOf } from '../output/receive-output.js';
import { ServeOutput } from '../output/serve-output.js';
import { loadOrCreateKey } from '../own-key.js';
import { announce } from '../receivers/announcement.js';
import {
  chooseLevel,
  clientLimitsOf,
  createOutput,
  drainTimeoutMsOf,
} from '../service-arguments.js';
import { serveStatus } from '../status-service.js';
import { tuneEngine } from '../tune-engine.js';
import { admitInvited, invite, parseInvitationTerms } from './invitation.js';
import { parseServeArguments, type ServeArguments } from './serve-arguments.js';

export async function serve(args: readonly string[]): Promise<ExitCode> {
  tuneEngine();
  const argv = await parseServeArguments(args);
  if (typeof argv === 'number') return argv;
  // Before a key is created.
  nameOfferedPaths(argv._);
  return new ServeCommand(argv).run();
}

/** One run of the command, until it is stopped. */
class ServeCommand {
  private readonly output: Output;
  private readonly report: ServeOutput;
  private readonly isVerbose: boolean;
  private readonly drainTimeoutMs: number;
  private readonly invitation: InvitationTerms | undefined;
  private authorized: AuthorizedKeys | undefined;
  private exit: ExitCode = exitCode.ok;
  private announcement: Announcement | undefined;
  /** Resolves when draining ends: true if all clients finished. */
  private drained: Promise<boolean> | undefined;

  constructor(private readonly argv: ServeArguments) {
    const level = chooseLevel(argv);
    this.output = createOutput(argv, level);
    this.invitation = parseInvitationTerms(argv, level, 'client');
    this.isVerbose = level === 'debug';
    this.drainTimeoutMs = drainTimeoutMsOf(argv);
    this.report = new ServeOutput(this.output, {
      isVerbose: this.isVerbose,
      ...(argv.open ? {} : { authorizedPath: authorizedPathOf(argv) }),
    });
  }

  async run(): Promise<ExitCode> {
    const { output, argv, report } = this;
    const options = await this.createOptions();
    const serving = await startServing(options);
    let server: StatusServer | undefined;
    try {
      server = await serveStatus(argv, serverStatus(serving), output);
    } catch (error) {
      await serving.close('this server failed to start');
      throw error;
    }
    onInterrupt((signal) => this.handleSignal(serving, signal));
    const { addresses, offload } = serving;
    output.json({ event: 'listening', addresses: addresses.map(formatAddress), offload });
    if (this.isVerbose && !output.isJson) output.detail(describeOffload(offload, 'send'));
    const names = serving.entries().map(({ name }) => name);
    output.line(`Listening on ${formatAddresses(addresses)}, serving ${names.join(', ')}`);
    if (argv.announce) {
      const { publicKey } = options.keyPair;
      this.announcement = await announce({ addresses, publicKey, role: 'server' }, output);
    }
    if (this.invitation !== undefined)
      await invite(serving, this.invitation, 'client', whatToFetch(names), output);
    await serving.closed;
    this.announcement?.close();
    if ((await this.drained) === false) this.exit = exitCode.interrupted;
    report.end();
    await server?.close();
    output.flush();
    return this.exit;
  }

  private handleSignal(serving: Serving, signal: Interrupt): void {
    const { output } = this;
    const { activeCount } = serving;
    this.announcement?.close();
    if (signal === 'SIGTERM' && activeCount > 0) {
      output.warn('p2mp serve: takes no new clients; exiting when the others have finished');
      output.json({ event: 'draining', clients: activeCount });
      this.drained = serving.drain(this.drainTimeoutMs);
      return;
    }
    if (activeCount > 0) this.exit = exitCode.interrupted;
    void serving.close('the server was stopped; the fetch resumes once it is back');
  }

  private async createOptions(): Promise<ServeOptions> {
    const { argv, output, report } = this;
    const { bind, index } = argv;
    const keyPath =
      argv.key === undefined ? join(defaultKeyFolder(), 'key') : single('key', argv.key);
    return {
      paths: argv._,
      port: parsePort(single('port', argv.port), 0),
      ...withoutUndefined({ bind }),
      indexFolder: index === undefined ? defaultIndexFolder() : single('index', index),
      ...clientLimitsOf(argv),
      multicast: single('multicast', argv.multicast),
      multicastTtl: parseCount(
        'multicast-ttl',
        single('multicast-ttl', argv['multicast-ttl']),
        255,
      ),
      ...withoutUndefined({ progressIntervalMs: progressIntervalMsOf(output) }),
      keyPair: await loadOrCreateKey(keyPath, 'server', output),
      trustClient: await this.createTrust(),
      onEvent: (event) => {
        report.handleEvent(event);
        if (event.type !== 'invited' || this.authorized === undefined) return;
        const { from, clientKey: key, usesLeft } = event;
        admitInvited(this.authorized, { role: 'client', from, key, usesLeft }, output);
      },
    };
  }

  private async createTrust(): Promise<ServeOptions['trustClient']> {
    const { argv, output } = this;
    if (argv.open) {
      output.warn(
        '--open: clients are not authenticated; any host that reaches this port can fetch',
      );
      return () => true;
    }
    const mayBeMissing = this.invitation !== undefined;
    this.authorized = await loadAuthorizedKeys(argv, output, 'p2mp serve', mayBeMissing);
    return trustAuthorizedClients(this.authorized);
  }
}

/** The only name, unless a shell would change it. */
function whatToFetch(names: readonly string[]): string {
  const [name = '', ...others] = names;
  return others.length === 0 && /^\w[\w.+@-]*$/.test(name) ? name : 'NAME';
}
