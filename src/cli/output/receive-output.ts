/** Output of `p2mp receive`: the live table of sessions, JSON events, and the result of each session. */
import { formatAddress } from '../../base/address.js';
import { escapeControls } from '../../base/control-characters.js';
import {
  bytesPerSec,
  formatBytes,
  formatPlural,
  formatRate,
  formatSeconds,
} from '../../base/format.js';
import type { TimeMs } from '../../base/machine.js';
import { RecentRates } from '../../base/recent-rate.js';
import { withoutUndefined } from '../../base/without-undefined.js';
import type { FileReceiverEvent } from '../../node/file-receiver.js';
import { formatAuthorizedKey } from '../../node/keys/authorized-keys.js';
import { fingerprint } from '../../node/keys/key-files.js';
import type { ReceiveEvent } from '../../node/receive-options.js';
import { describeWithdrawal } from '../../object/withdrawn-content.js';
import type {
  IncomingResult,
  IncomingStatus,
  TurnedAwayEvent,
} from '../../session/receiver-events.js';
import type { OnComplete } from '../on-complete.js';
import { arrivalJson } from './json/arrival-json.js';
import type { Output } from './output.js';
import { incomingPathsJson } from './paths/path-figures.js';
import { PathRates } from './paths/path-rates.js';
import { formatUnreported, printNoGroup, printOddity } from './print-event.js';
import { incomingTable } from './progress/incoming-table.js';
import { printServerSummary } from './server-summary.js';
import { join, toned } from './text.js';

type BadBlockEvent = Extract<ReceiveEvent, { type: 'bad-block' }>;

const intervalMs = 200;
const jsonIntervalMs = 1000;

/** How many skipped entries are named to people. */
const shownSkipped = 20;

/** @returns the interval at which the output wants `progress` events; undefined if it shows no progress */
export function progressIntervalMsOf(output: Output): number | undefined {
  if (output.isJson) return jsonIntervalMs;
  return output.hasProgress ? intervalMs : undefined;
}

export interface ReceiveOutputOptions {
  readonly isVerbose: boolean;
  readonly dir: string;
  /** Path of the file of authorized keys; undefined with --open. */
  readonly authorizedPath?: string;
  /** Queue that runs a command for each complete session; undefined without --on-complete. */
  readonly onComplete?: OnComplete;
}

export class ReceiveOutput {
  private completeCount = 0;
  private failedCount = 0;
  private readonly rates = new RecentRates();
  private readonly pathRates = new PathRates();

  constructor(
    private readonly output: Output,
    private readonly options: ReceiveOutputOptions,
  ) {}

  /** Prints the result when all --on-complete commands have ended. */
  async end(): Promise<void> {
    this.output.endProgress();
    await this.options.onComplete?.idle();
    this.output.json({
      event: 'result',
      status: 'stopped',
      completeSessions: this.completeCount,
      failedSessions: this.failedCount,
    });
  }

  handleEvent(event: ReceiveEvent): void {
    const { output, options } = this;
    switch (event.type) {
      case 'offer': {
        const { label, from, contentSizeBytes, senderKey, relayed } = event.info;
        const key = fingerprint(senderKey);
        const origin = relayed && fingerprint(relayed.originKey);
        output.json({
          event: 'connect',
          sender: from,
          label,
          bytes: contentSizeBytes,
          fingerprint: key,
          ...withoutUndefined({ origin }),
        });
        const sentBy =
          origin === undefined ? '' : `, a relay for the sender with the key ${origin}`;
        const text = `${label} from ${from}: ${formatBytes(contentSizeBytes)}, key ${key}${sentBy}`;
        // A log shows when each session starts, so that sessions that hang can be found.
        if (output.isLog) output.line(text);
        else if (options.isVerbose && !output.isJson) output.detail(text);
        break;
      }
      case 'bad-block':
        this.handleBadBlock(event);
        break;
      case 'progress':
        this.showProgress(event.sessions);
        break;
      case 'turned-away':
        this.handleTurnedAway(event);
        break;
      case 'end':
        this.handleEnd(event.result);
        break;
      case 'internal-error': {
        const { label, stack } = event;
        output.json({ event: 'internal-error', ...withoutUndefined({ label }), stack });
        const where =
          label === undefined ? '' : ` in session ${label}, which failed; other sessions continue`;
        if (!output.isJson)
          output.error(`internal error${where}; please report this bug\n${stack}`);
        break;
      }
      case 'no-group':
        printNoGroup(output, event);
        break;
      case 'fault':
      case 'send-error':
        printOddity(output, event, options.isVerbose);
        break;
    }
  }

  private handleTurnedAway({ from, senderKey, cause, reason, unreported }: TurnedAwayEvent): void {
    const { output } = this;
    const { authorizedPath } = this.options;
    const sender = formatAddress(from);
    const key = fingerprint(senderKey);
    const line = formatAuthorizedKey(['send'], senderKey, from.host);
    const isUntrusted = cause === 'untrusted' && authorizedPath !== undefined;
    output.json({
      ...{ event: 'turned-away', sender, cause, fingerprint: key, reason, unreported },
      ...(isUntrusted ? { listFile: authorizedPath, line } : {}),
    });
    if (output.isJson) return;
    const others = formatUnreported(unreported);
    output.warn(
      isUntrusted
        ? `${sender}: refused: its key ${key} may not send according to ${authorizedPath}. ${others}To let it send, compare the key with the output of "p2mp keygen --show" on that host, then add this line: ${line}`
        : `${sender}: refused: ${reason} ${others}`.trimEnd(),
    );
  }

  handleClassicEvent(event: FileReceiverEvent): void {
    const { output } = this;
    if (event.type === 'diagnosis') {
      const { from, kind, arrived, required, cause } = event;
      output.json({ event: 'diagnosis', sender: from, kind, arrived, required, cause });
      if (output.isJson) return;
      output.warn(`${from}: P2MP-FTP packets rejected: ${arrived}; likely cause: ${cause}`);
    } else if (event.type === 'done') {
      const { status, from, sizeBytes } = event.result;
      output.json({ event: 'classic-result', sender: from, status, bytes: sizeBytes });
      printServerSummary(output, event.result);
    }
  }

  private handleEnd(result: IncomingResult): void {
    const { output } = this;
    const { label, from, status, reason, receivedBytes, contentSizeBytes, elapsedMs } = result;
    output.json({
      event: 'session-result',
      ...statusJson(result),
      status,
      ...(reason && { reason }),
      ...deletionJson(result),
      ...skippedJson(result),
    });
    const why = reason === undefined ? '' : `: ${reason}`;
    if (status === 'complete') this.completeCount++;
    else if (status !== 'listed') this.failedCount++;
    if (status === 'complete') {
      const goodput = bytesPerSec(receivedBytes, elapsedMs);
      const facts = [
        `${formatBytes(contentSizeBytes)}`,
        ...(receivedBytes < contentSizeBytes
          ? [`${formatBytes(receivedBytes)} of it received`]
          : []),
        ...(result.unchangedFiles === 0
          ? []
          : [`${formatPlural(result.unchangedFiles, 'file')} unchanged`]),
        ...(result.deletedEntries === 0
          ? []
          : [`${formatPlural(result.deletedEntries, 'entry', 'entries')} deleted`]),
        ...(result.undeletedEntries === 0
          ? []
          : [`${formatPlural(result.undeletedEntries, 'entry', 'entries')} not deleted`]),
        formatSeconds(elapsedMs / 1000),
        ...(goodput === undefined || receivedBytes === 0 ? [] : [formatRate(goodput)]),
        ...(result.updatedBlocks === 0
          ? []
          : [`${formatPlural(result.updatedBlocks, 'block')} updated`]),
        ...(result.badBlocks === 0
          ? []
          : [`${formatPlural(result.badBlocks, 'damaged block')} received again`]),
        ...(result.contentRoot === undefined ? [] : [`content root ${result.contentRoot}`]),
      ];
      const rest = `, ${facts.join(', ')}${why}`;
      output.line(join([`${label} from ${from}: `, toned('good', 'complete'), rest]));
      this.showDeletion(result);
      this.showSkipped(result);
      this.options.onComplete?.add(result);
    } else if (status === 'listed') {
      output.line(`${label} from ${from}: listed what it would delete; nothing has changed`);
    } else if (!output.isJson) {
      const relay =
        result.relayed === undefined
          ? ''
          : `, the relay with the key ${fingerprint(result.senderKey)}`;
      output.error(`${label} from ${from}${relay}: ${status}${why}`);
    }
  }

  private showDeletion({ deletion, undeletedEntries }: IncomingResult): void {
    const { output, options } = this;
    if (deletion === undefined || output.isJson) return;
    if (options.isVerbose) {
      for (const name of deletion.deletedNames) output.detail(escapeControls(`deleted ${name}`));
    }
    for (const { name, reason } of deletion.undeleted) {
      output.warn(escapeControls(`${name}: not deleted: ${reason}`));
    }
    const restCount = undeletedEntries - deletion.undeleted.length;
    if (restCount > 0) {
      output.warn(`${formatPlural(restCount, 'more entry', 'more entries')} not deleted`);
    }
  }

  /** Names what the sender could no longer read, so that it was not stored. */
  private showSkipped({ withdrawn = [] }: IncomingResult): void {
    const { output } = this;
    if (output.isJson) return;
    for (const { name, reason } of withdrawn.slice(0, shownSkipped))
      output.warn(escapeControls(`${name}: not received: ${describeWithdrawal(reason)}`));
    const restCount = withdrawn.length - shownSkipped;
    if (restCount > 0)
      output.warn(`${formatPlural(restCount, 'more entry', 'more entries')} not received`);
  }

  private handleBadBlock({ info, block, names }: BadBlockEvent): void {
    const { output } = this;
    const { label, from } = info;
    output.json({ event: 'bad-block', sender: from, label, block, names });
    if (!this.options.isVerbose || output.isJson) return;
    const where = escapeControls(names.join(', '));
    output.detail(
      `${label} from ${from}: block ${block} of ${where} differs from the sender's; requesting it`,
    );
  }

  /** @returns the current rate of each session, in the order of the sessions */
  private ratesOf(nowMs: TimeMs, statuses: readonly IncomingStatus[]): (number | undefined)[] {
    this.rates.update(
      nowMs,
      statuses.map((status) => [keyOf(status), status.receivedBytes]),
    );
    return statuses.map((status) => this.rates.perSec(nowMs, keyOf(status)));
  }

  private showProgress(statuses: readonly IncomingStatus[]): void {
    const { output } = this;
    if (output.isJson) {
      for (const status of statuses) output.json({ event: 'progress', ...statusJson(status) });
    } else if (!output.hasProgress) {
      return;
    } else if (statuses.length > 0) {
      const nowMs = performance.now();
      const rates = this.ratesOf(nowMs, statuses);
      const { completeCount } = this;
      const arriving = statuses.map((status) => ({ key: keyOf(status), paths: status.paths }));
      const pathRates = this.options.isVerbose
        ? { pathRates: this.pathRates.update(nowMs, arriving) }
        : {};
      output.progress((area) =>
        incomingTable({ statuses, rates, completeCount, ...pathRates }, area),
      );
    } else {
      output.endProgress();
    }
  }
}

/** No other session has this key at the same time. */
function keyOf({ from, session }: IncomingStatus): string {
  return `${from} ${session}`;
}

/** @returns the fields of `progress` and `session-result`, a stable interface (docs/COMMANDS.md) */
function statusJson(status: IncomingStatus) {
  return {
    sender: status.from,
    ...(status.relayed === undefined
      ? {}
      : {
          fingerprint: fingerprint(status.senderKey),
          origin: fingerprint(status.relayed.originKey),
        }),
    label: status.label,
    manifestDigest: status.manifestDigest,
    bytes: status.contentSizeBytes,
    activity: status.activity,
    ...arrivalJson(status, status.datagramsReceived),
    duplicates: status.duplicates,
    ...incomingPathsJson(status.paths),
    ...withoutUndefined({ allowedBytesPerSec: status.allowedBytesPerSec }),
    badBlocks: status.badBlocks,
    updatedBlocks: status.updatedBlocks,
    ...withoutUndefined({ contentRoot: status.contentRoot }),
  };
}

function skippedJson({ withdrawn }: IncomingResult) {
  if (withdrawn === undefined) return {};
  const skipped = withdrawn.map(({ name, reason }) => ({
    name,
    reason: describeWithdrawal(reason),
  }));
  return { skipped };
}

function deletionJson({ deletion }: IncomingResult) {
  if (deletion === undefined) return {};
  const { deletedNames, undeleted } = deletion;
  const undeletedNames = undeleted.map(({ name, reason }) => ({ name, reason }));
  return { deletedNames, ...(undeleted.length === 0 ? {} : { undeletedNames }) };
}
