/** `p2mp relay`: offers what other hosts offer, and keeps it in a cache, until it is stopped. */
import { join } from 'node:path';
import { P2mpError } from '../../base/errors.js';
import { withoutUndefined } from '../../base/without-undefined.js';
import { formatAddresses } from '../../node/file-receiver.js';
import type { AuthorizedKeys } from '../../node/keys/authorized-keys.js';
import { defaultKeyFolder } from '../../node/keys/key-files.js';
import { trustAuthorizedClients } from '../../node/keys/trust.js';
import { clearCache, listCache } from '../../node/relay/cache-folder.js';
import { relay as startRelay } from '../../node/relay/relay.js';
import type { RelayFilesOptions } from '../../node/relay/relay-options.js';
import { relayStatus } from '../../node/service/server-health.js';
import { roomOf } from '../../roles/relay/object-cache.js';
import type { InvitationTerms } from '../../security/invitations.js';
import { standardBlockSizeBytes } from '../../wire/sizes.js';
import { parsePort, parseSize } from '../arguments.js';
import { authorizedPathOf, loadAuthorizedKeys } from '../authorized-keys-option.js';
import { single } from '../command.js';
import type { ExitCode } from '../exit-code.js';
import { exitCode } from '../exit-code.js';
import { networkPathsOf } from '../network-paths-option.js';
import type { Output } from '../output/output.js';
import { progressIntervalMsOf } from '../output/receive-output.js';
import { printCache, RelayOutput } from '../output/relay/relay-output.js';
import { loadOrCreateKey } from '../own-key.js';
import { knownReceiversLoader } from '../receivers/known-receivers-option.js';
import { parseReceivers } from '../receivers/receiver-list.js';
import { createServerTrust } from '../receivers/server-trust.js';
import { reportListening, ServiceStop } from '../service/running-service.js';
import {
  chooseLevel,
  clientLimitsOf,
  createOutput,
  drainTimeoutMsOf,
} from '../service/service-arguments.js';
import { tuneEngine } from '../tune-engine.js';
import { admitInvited, invite, parseInvitationTerms } from './invitation.js';
import { sendOn } from './relay/send-on.js';
import { checkRelayOptions, parseRelayArguments, type RelayArguments } from './relay-arguments.js';

export async function relay(args: readonly string[]): Promise<ExitCode> {
  tuneEngine();
  const argv = await parseRelayArguments(args);
  if (typeof argv === 'number') return argv;
  const [word] = argv._;
  const isAboutCache = argv['cache-list'] === true || argv['cache-clear'] === true;
  if (word !== undefined && isAboutCache)
    throw refuse(`${word}: unexpected argument; name the folder of the cache with --cache`);
  if (word !== undefined)
    throw refuse(`${word}: unexpected argument; separate hosts by commas, without blanks`);
  checkRelayOptions(argv);
  if (argv.to !== undefined) return sendOn(argv, argv.to);
  if (argv.cache === undefined && argv.upstream === undefined && !isAboutCache)
    throw refuse('nothing to relay: give --upstream and --cache, or --to and --dir');
  if (argv.cache === undefined) throw refuse('no cache: name its folder with --cache');
  const path = single('cache', argv.cache);
  if (!isAboutCache) return new RelayCommand(argv, path).run();
  const output = createOutput(argv, chooseLevel(argv));
  const isCleared = argv['cache-clear'];
  printCache(output, isCleared ? await clearCache(path) : await listCache(path), isCleared);
  output.flush();
  return exitCode.ok;
}

/** One run of the command, until it is stopped. */
class RelayCommand {
  private readonly output: Output;
  private readonly report: RelayOutput;
  private readonly interruption = new AbortController();
  private readonly drainTimeoutMs: number;
  private readonly invitation: InvitationTerms | undefined;
  private authorized: AuthorizedKeys | undefined;

  constructor(
    private readonly argv: RelayArguments,
    private readonly cacheFolder: string,
  ) {
    const level = chooseLevel(argv);
    this.output = createOutput(argv, level);
    this.drainTimeoutMs = drainTimeoutMsOf(argv);
    this.invitation = parseInvitationTerms(argv, level, 'client');
    this.report = new RelayOutput(this.output, {
      isVerbose: level === 'debug',
      ...(argv.open ? {} : { authorizedPath: authorizedPathOf(argv) }),
    });
  }

  async run(): Promise<ExitCode> {
    const { output, argv, report } = this;
    const relaying = await startRelay(await this.createOptions());
    const server = await reportListening(relaying, 'relay', relayStatus(relaying), argv, output);
    const stop = ServiceStop.begin(relaying, {
      ...{ output, drainTimeoutMs: this.drainTimeoutMs },
      draining: 'p2mp relay: takes no new clients; exiting when the others have finished',
      countJson: (clients) => ({ clients }),
      reason: 'the relay was stopped; the fetch resumes once it is back',
      handleSignal: () => this.interruption.abort(),
    });
    output.line(`Listening on ${formatAddresses(relaying.addresses)}`);
    report.showCache(relaying);
    if (this.invitation !== undefined)
      await invite(relaying, this.invitation, 'client', 'NAME', output);
    const exit = await stop.ended();
    report.end(relaying.totals());
    await server?.close();
    output.flush();
    return exit;
  }

  private async createOptions(): Promise<RelayFilesOptions> {
    const { argv, output, report, cacheFolder } = this;
    const { bind, upstream } = argv;
    if (upstream === undefined)
      throw refuse('no upstream host: name at least one with --upstream host[:port],...');
    if (argv['cache-size'] === undefined)
      throw refuse('no limit: say what the cache may take, such as --cache-size 50GB');
    const port = parsePort(single('port', argv.port), 0);
    const items = upstream.flatMap((each) => each.split(',')).map((each) => each.trim());
    const specs = await parseReceivers(items, port, '--upstream');
    const loadKnown = knownReceiversLoader(argv);
    const keyPath =
      argv.key === undefined ? join(defaultKeyFolder(), 'key') : single('key', argv.key);
    const chosen = { specs, fingerprints: new Map<string, string>() };
    const { signal } = this.interruption;
    return {
      ...{ port, upstreams: specs, cacheFolder, ...withoutUndefined({ bind }) },
      ...networkPathsOf(argv),
      cacheLimitBytes: parseCacheSize(single('cache-size', argv['cache-size'])),
      ...clientLimitsOf(argv),
      ...withoutUndefined({ progressIntervalMs: progressIntervalMsOf(output) }),
      keyPair: await loadOrCreateKey(keyPath, 'relay', output),
      trustClient: await this.createTrust(),
      trustUpstream: await createServerTrust({
        ...{ argv, chosen, loadKnown },
        ...{ output, signal, invitations: [], takesInvitations: false },
      }),
      onEvent: (event) => {
        // The end of the command ends the question whether to trust an upstream host.
        if (event.type === 'upstream-away' && signal.aborted) return;
        report.handleEvent(event);
        if (event.type !== 'invited' || this.authorized === undefined) return;
        const { from, clientKey: key, usesLeft } = event;
        admitInvited(this.authorized, { role: 'client', from, key, usesLeft }, output);
      },
    };
  }

  private async createTrust(): Promise<RelayFilesOptions['trustClient']> {
    const { argv, output } = this;
    if (argv.open) {
      output.warn(
        '--open: neither clients nor upstream hosts are authenticated; any host that reaches this port can fetch',
      );
      return () => true;
    }
    const mayBeMissing = this.invitation !== undefined;
    this.authorized = await loadAuthorizedKeys(argv, output, 'p2mp relay', mayBeMissing);
    return trustAuthorizedClients(this.authorized);
  }
}

/** @throws P2mpError INVALID_ARGUMENT also if not even an object of one block has room */
function parseCacheSize(text: string): number {
  const sizeBytes = parseSize('cache-size', text);
  const leastBytes = roomOf(standardBlockSizeBytes, 0, 1);
  if (sizeBytes > leastBytes) return sizeBytes;
  throw refuse(
    `--cache-size ${text}: ${sizeBytes} bytes have no room for a single block, which takes ${leastBytes}; give the unit, such as ${text.replace(/\D.*/, '')}GB`,
  );
}

function refuse(message: string): P2mpError {
  return new P2mpError('INVALID_ARGUMENT', message);
}
