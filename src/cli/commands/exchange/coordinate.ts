/** `p2mp exchange coordinate`: makes peers known to each other, starts them together, and ends the exchange. */
import { join } from 'node:path';
import { formatAddress } from '../../../base/address.js';
import { P2mpError } from '../../../base/errors.js';
import { withoutUndefined } from '../../../base/without-undefined.js';
import type { CoordinateExchangeOptions } from '../../../node/exchange/coordinate-options.js';
import { coordinateExchange } from '../../../node/exchange/exchange.js';
import { formatAddresses } from '../../../node/file-receiver.js';
import type { AuthorizedKeys } from '../../../node/keys/authorized-keys.js';
import { defaultKeyFolder } from '../../../node/keys/key-files.js';
import { trustAuthorizedPeers } from '../../../node/keys/trust.js';
import type { InvitationTerms } from '../../../security/invitations.js';
import { parseCount, parsePort, parseSeconds, parseSize } from '../../arguments.js';
import { authorizedPathOf, loadAuthorizedKeys } from '../../authorized-keys-option.js';
import { onInterrupt, single } from '../../command.js';
import type { ExitCode } from '../../exit-code.js';
import { exitCode } from '../../exit-code.js';
import {
  CoordinateOutput,
  coordinateResultJson,
  printCoordinateSummary,
} from '../../output/exchange/coordinate-output.js';
import { Output } from '../../output/output.js';
import { progressIntervalMsOf } from '../../output/receive-output.js';
import { loadOrCreateKey } from '../../own-key.js';
import { admitInvited, invite, parseInvitationTerms } from '../invitation.js';
import type { ExchangeArguments } from './exchange-arguments.js';

/** One run of the command. */
export class CoordinateCommand {
  private readonly output: Output;
  private readonly report: CoordinateOutput;
  private readonly invitation: InvitationTerms | undefined;
  private readonly expectedPeers: number;
  private authorized: AuthorizedKeys | undefined;
  private isInterrupted = false;

  constructor(private readonly argv: ExchangeArguments) {
    const { json: isJson, quiet: isQuiet, verbose: isVerbose, color, peers } = argv;
    if (peers === undefined)
      throw new P2mpError('INVALID_ARGUMENT', 'no number of peers: say it with --peers N');
    this.expectedPeers = parseCount('peers', single('peers', peers), 1000);
    this.output = new Output({ isJson, isQuiet, color });
    this.invitation = parseInvitationTerms(argv, isQuiet ? 'error' : 'info', 'peer');
    this.report = new CoordinateOutput(this.output, {
      ...{ isVerbose, expectedPeers: this.expectedPeers },
      ...(argv.open ? {} : { authorizedPath: authorizedPathOf(argv) }),
    });
  }

  async run(): Promise<ExitCode> {
    const { output, report } = this;
    const coordinating = await coordinateExchange(await this.createOptions());
    onInterrupt(() => {
      this.isInterrupted = true;
      coordinating.end('the coordinator was stopped');
    });
    const { addresses } = coordinating;
    output.json({ event: 'listening', addresses: addresses.map(formatAddress) });
    const count = this.expectedPeers;
    output.line(`Listening on ${formatAddresses(addresses)}, waiting for ${count} peers`);
    if (this.invitation !== undefined)
      await invite(coordinating, this.invitation, 'peer', 'PATH --dir DIR', output);
    const result = await coordinating.result.finally(() => report.end());
    output.json(coordinateResultJson(result));
    printCoordinateSummary(output, result);
    output.flush();
    if (result.status === 'complete') return exitCode.ok;
    output.error(`p2mp exchange coordinate: ${result.reason ?? 'not complete'}`);
    if (this.isInterrupted) return exitCode.interrupted;
    const isAny = result.peers.some(({ storedObjects }) => storedObjects > 0);
    return isAny ? exitCode.some : exitCode.none;
  }

  private async createOptions(): Promise<CoordinateExchangeOptions> {
    const { argv, output, report, expectedPeers: peers } = this;
    const { bind, deadline, logs, link } = argv;
    const keyPath =
      argv.key === undefined ? join(defaultKeyFolder(), 'key') : single('key', argv.key);
    const rejoinWithin = single('rejoin-within', argv['rejoin-within']);
    const stalledAfter = single('stalled-after', argv['stalled-after']);
    return {
      ...{ peers, port: parsePort(single('port', argv.port), 0), ...withoutUndefined({ bind }) },
      rejoinWithinMs: parseSeconds('rejoin-within', rejoinWithin),
      stalledAfterMs: parseSeconds('stalled-after', stalledAfter),
      ...(deadline === undefined
        ? {}
        : { deadlineMs: parseSeconds('deadline', single('deadline', deadline)) }),
      ...(logs === undefined ? {} : { logFolder: single('logs', logs) }),
      ...(link === undefined ? {} : { link: parseLink(single('link', link)) }),
      progressIntervalMs: progressIntervalMsOf(output) ?? 1000,
      keyPair: await loadOrCreateKey(keyPath, 'coordinator', output),
      trustPeer: await this.createTrust(),
      onEvent: (event) => {
        report.handleEvent(event);
        if (event.type !== 'invited' || this.authorized === undefined) return;
        const { from, peerKey: key, usesLeft } = event;
        admitInvited(this.authorized, { role: 'peer', from, key, usesLeft }, output);
      },
    };
  }

  private async createTrust(): Promise<CoordinateExchangeOptions['trustPeer']> {
    const { argv, output } = this;
    if (argv.open) {
      output.warn(
        '--open: peers are not authenticated; any host that reaches this port takes part',
      );
      return () => true;
    }
    const mayBeMissing = this.invitation !== undefined;
    const command = 'p2mp exchange coordinate';
    this.authorized = await loadAuthorizedKeys(argv, output, command, mayBeMissing);
    return trustAuthorizedPeers(this.authorized);
  }
}

/** @throws P2mpError INVALID_ARGUMENT */
function parseLink(text: string) {
  const [up = '', down = up] = text.split(',');
  return { upBytesPerSec: parseSize('link', up), downBytesPerSec: parseSize('link', down) };
}
