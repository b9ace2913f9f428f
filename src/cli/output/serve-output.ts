/** Output of `p2mp serve`: the live table of clients and indexes, JSON events, and the outcome of each client. */
import { formatAddress } from '../../base/address.js';
import { escapeControls } from '../../base/control-characters.js';
import {
  bytesPerSec,
  formatBytes,
  formatPlural,
  formatRate,
  formatSeconds,
} from '../../base/format.js';
import { RecentRates } from '../../base/recent-rate.js';
import { withoutUndefined } from '../../base/without-undefined.js';
import { formatAuthorizedKey } from '../../node/keys/authorized-keys.js';
import { fingerprint } from '../../node/keys/key-files.js';
import type {
  ClientOutcome,
  ClientStatus,
  OfferedPathStatus,
  ServeEvent,
} from '../../node/serve/serve-options.js';
import { deliveryJson } from './json/arrival-json.js';
import type { Output } from './output.js';
import { benefitJson, describePaths, pathsJson } from './paths/path-figures.js';
import { formatUnreported, printOddity } from './print-event.js';
import { servingTable } from './progress/serving-table.js';
import { join, statusTone, toned } from './text.js';

type EventOf<Type extends ServeEvent['type']> = Extract<ServeEvent, { type: Type }>;

export interface ServeOutputOptions {
  readonly isVerbose: boolean;
  /** Path of the file of authorized keys; undefined with --open. */
  readonly authorizedPath?: string;
}

export class ServeOutput {
  private completeCount = 0;
  private incompleteCount = 0;
  private receivedBytes = 0;
  private readonly rates = new RecentRates();

  constructor(
    private readonly output: Output,
    private readonly options: ServeOutputOptions,
  ) {}

  end(): void {
    this.output.endProgress();
    this.output.json({
      event: 'result',
      status: 'stopped',
      completeClients: this.completeCount,
      incompleteClients: this.incompleteCount,
      receivedBytes: this.receivedBytes,
    });
  }

  handleEvent(event: ServeEvent): void {
    const { output } = this;
    switch (event.type) {
      case 'indexed':
        this.handleIndexed(event);
        break;
      case 'skipped':
        output.json({ event: 'skipped', name: event.name, reason: event.reason });
        this.warn(`${event.name}: not offered: ${event.reason}`);
        break;
      case 'changed':
        output.json({ event: 'changed', name: event.name });
        output.line(escapeControls(`${event.name} has changed; it is indexed again`));
        break;
      case 'unservable':
        output.json({ event: 'unservable', name: event.name, reason: event.reason });
        this.warn(`${event.name} cannot be fetched now: ${event.reason}`);
        break;
      case 'unsaved':
        output.json({ event: 'unsaved', name: event.name, reason: event.reason });
        this.warn(`${event.name}: its index was not saved: ${event.reason}`);
        break;
      case 'connect':
      case 'refused':
        this.handleAsk(event);
        break;
      case 'turned-away':
        this.handleTurnedAway(event);
        break;
      case 'invited':
        // Printed once its key is saved.
        break;
      case 'progress':
        this.showProgress(event.clients, event.indexing);
        break;
      case 'end':
        this.handleEnd(event.name, event.outcome, event.contentSizeBytes);
        break;
      case 'fault':
      case 'send-error':
        printOddity(output, event, this.options.isVerbose);
        break;
    }
  }

  private warn(text: string): void {
    if (!this.output.isJson) this.output.warn(escapeControls(text));
  }

  private handleIndexed(event: EventOf<'indexed'>): void {
    const { name, contentRoot, contentSizeBytes, fileCount, hashedBytes, elapsedMs } = event;
    this.output.json({
      ...{ event: 'indexed', name, contentRoot, bytes: contentSizeBytes, files: fileCount },
      ...{ hashedBytes, seconds: elapsedMs / 1000 },
    });
    const facts = [
      formatPlural(fileCount, 'file'),
      formatBytes(contentSizeBytes),
      ...(hashedBytes === 0 ? [] : [`indexed in ${formatSeconds(elapsedMs / 1000)}`]),
      `content root ${contentRoot}`,
    ];
    this.output.line(escapeControls(`Offering ${name}: ${facts.join(', ')}`));
  }

  private handleAsk(event: EventOf<'connect' | 'refused'>): void {
    const { output, options } = this;
    const { client, name, clientKey } = event;
    const key = fingerprint(clientKey);
    if (event.type === 'refused') {
      const { reason, unreported } = event;
      output.json({ event: 'refused', client, name, fingerprint: key, reason, unreported });
      this.warn(`${client}: refused: ${reason} ${formatUnreported(unreported)}`.trimEnd());
      return;
    }
    output.json({ event: 'connect', client, name, fingerprint: key });
    const text = escapeControls(`${name} to ${client}: key ${key}`);
    // A log shows when each fetch starts.
    if (output.isLog) output.line(text);
    else if (options.isVerbose && !output.isJson) output.detail(text);
  }

  private handleTurnedAway(event: EventOf<'turned-away'>): void {
    const { output } = this;
    const { from, clientKey, cause, reason, unreported } = event;
    const { authorizedPath } = this.options;
    const client = formatAddress(from);
    const key = fingerprint(clientKey);
    const line = formatAuthorizedKey(['fetch'], clientKey, from.host);
    const isUntrusted = cause === 'untrusted' && authorizedPath !== undefined;
    output.json({
      ...{ event: 'turned-away', client, cause, fingerprint: key, reason, unreported },
      ...(isUntrusted ? { listFile: authorizedPath, line } : {}),
    });
    const others = formatUnreported(unreported);
    this.warn(
      isUntrusted
        ? `${client}: refused: its key ${key} may not fetch according to ${authorizedPath}. ${others}To let it fetch, compare the key with the output of "p2mp keygen --show" on that host, then add this line: ${line}`
        : `${client}: refused: ${reason} ${others}`.trimEnd(),
    );
  }

  private handleEnd(name: string, outcome: ClientOutcome, contentSizeBytes: number): void {
    const { output } = this;
    const { status, reason, receiver, receivedBytes, elapsedMs } = outcome;
    if (status === 'complete') this.completeCount++;
    else this.incompleteCount++;
    this.receivedBytes += receivedBytes;
    output.json({
      ...{ event: 'client-result', ...clientJson({ ...outcome, name, contentSizeBytes }) },
      ...{ status, ...withoutUndefined({ reason }), ...benefitJson(outcome) },
    });
    const why = reason === undefined ? '' : `: ${reason}`;
    const goodput = bytesPerSec(receivedBytes, elapsedMs);
    const facts = [
      `${formatBytes(receivedBytes)} sent`,
      formatSeconds(elapsedMs / 1000),
      ...(goodput === undefined || receivedBytes === 0 ? [] : [formatRate(goodput)]),
      ...describePaths(outcome),
    ];
    const line = [`${name} to ${receiver}: `, toned(statusTone(status), status)];
    if (status === 'complete') output.line(join([...line, `, ${facts.join(', ')}`]));
    else this.warn(`${name} to ${receiver}: ${status}${why}`);
  }

  private showProgress(
    clients: readonly ClientStatus[],
    indexing: readonly OfferedPathStatus[],
  ): void {
    const { output } = this;
    if (output.isJson) {
      for (const { name, indexing: progress } of indexing) {
        const { doneBytes = 0, totalBytes = 0 } = progress ?? {};
        output.json({ event: 'indexing', name, doneBytes, bytes: totalBytes });
      }
      for (const client of clients) output.json({ event: 'progress', ...clientJson(client) });
    } else if (!output.hasProgress) {
      return;
    } else if (clients.length + indexing.length > 0) {
      const rates = this.ratesOf(clients, indexing);
      const { completeCount } = this;
      const { isVerbose: showsPaths } = this.options;
      output.progress((area) =>
        servingTable({ clients, indexing, rates, completeCount, showsPaths }, area),
      );
    } else {
      output.endProgress();
    }
  }

  /** @returns the current rate of each client, and then of each index */
  private ratesOf(
    clients: readonly ClientStatus[],
    indexing: readonly OfferedPathStatus[],
  ): (number | undefined)[] {
    const nowMs = performance.now();
    const counts = [
      ...clients.map(
        ({ receiver, name, receivedBytes }) => [`${receiver} ${name}`, receivedBytes] as const,
      ),
      ...indexing.map(({ name, indexing: each }) => [`/${name}`, each?.doneBytes ?? 0] as const),
    ];
    this.rates.update(
      nowMs,
      counts.map(([key, bytes]) => [key, bytes]),
    );
    return counts.map(([key]) => this.rates.perSec(nowMs, key));
  }
}

/** @returns the fields of `progress` and `client-result`, a stable interface (docs/COMMANDS.md) */
function clientJson(status: ClientStatus) {
  return {
    client: status.receiver,
    name: status.name,
    bytes: status.contentSizeBytes,
    activity: status.activity,
    ...deliveryJson(status, status.datagramsSent),
    repairs: status.repairs,
    ...pathsJson(status.paths),
  };
}
