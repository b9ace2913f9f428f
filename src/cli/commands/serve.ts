/** `p2mp serve`: offers files and folders to hosts that fetch them, until it is stopped. */
import { join } from 'node:path';
import { withoutUndefined } from '../../base/without-undefined.js';
import type { Announcement } from '../../node/announce-receiver.js';
import { defaultIndexFolder } from '../../node/disk/index/index-folder.js';
import { formatAddresses } from '../../node/file-receiver.js';
import type { AuthorizedKeys } from '../../node/keys/authorized-keys.js';
import { defaultKeyFolder } from '../../node/keys/key-files.js';
import { trustAuthorizedClients } from '../../node/keys/trust.js';
import { nameOfferedPaths } from '../../node/serve/offered-names.js';
import type { ServeOptions } from '../../node/serve/serve-options.js';
import { serve as startServing } from '../../node/serve.js';
import { serverStatus } from '../../node/service/server-health.js';
import type { InvitationTerms } from '../../security/invitations.js';
import { parseCount, parsePort } from '../arguments.js';
import { authorizedPathOf, loadAuthorizedKeys } from '../authorized-keys-option.js';
import { single } from '../command.js';
import type { ExitCode } from '../exit-code.js';
import { networkPathsOf } from '../network-paths-option.js';
import { describeOffload } from '../output/describe-offload.js';
import type { Output } from '../output/output.js';
import { progressIntervalMsOf } from '../output/receive-output.js';
import { ServeOutput } from '../output/serve-output.js';
import { loadOrCreateKey } from '../own-key.js';
import { announce } from '../receivers/announcement.js';
import { reportListening, ServiceStop } from '../service/running-service.js';
import {
  chooseLevel,
  clientLimitsOf,
  createOutput,
  drainTimeoutMsOf,
} from '../service/service-arguments.js';
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
  private announcement: Announcement | undefined;

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
    const server = await reportListening(serving, 'server', serverStatus(serving), argv, output);
    const stop = ServiceStop.begin(serving, {
      ...{ output, drainTimeoutMs: this.drainTimeoutMs },
      draining: 'p2mp serve: takes no new clients; exiting when the others have finished',
      countJson: (clients) => ({ clients }),
      reason: 'the server was stopped; the fetch resumes once it is back',
      handleSignal: () => this.announcement?.close(),
    });
    const { addresses, offload } = serving;
    if (this.isVerbose && !output.isJson) output.detail(describeOffload(offload, 'send'));
    const names = serving.entries().map(({ name }) => name);
    output.line(`Listening on ${formatAddresses(addresses)}, serving ${names.join(', ')}`);
    if (argv.announce) {
      const { publicKey } = options.keyPair;
      this.announcement = await announce({ addresses, publicKey, role: 'server' }, output);
    }
    if (this.invitation !== undefined)
      await invite(serving, this.invitation, 'client', whatToFetch(names), output);
    const exit = await stop.ended();
    this.announcement?.close();
    report.end();
    await server?.close();
    output.flush();
    return exit;
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
      ...networkPathsOf(argv),
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
