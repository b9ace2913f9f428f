/** `p2mp send --dry-run`: shows what would be sent to whom. */
import type { Address } from '../../base/address.js';
import { formatAddress } from '../../base/address.js';
import { escapeControls } from '../../base/control-characters.js';
import { formatBytes, formatPlural } from '../../base/format.js';
import { withoutUndefined } from '../../base/without-undefined.js';
import { planSend } from '../../node/send.js';
import type { SendOptions } from '../../node/send-options.js';
import type { SessionReceiverOutcome } from '../../session/sender-events.js';
import type { ExitCode } from '../exit-code.js';
import { exitCode, sendExitCode } from '../exit-code.js';
import type { Output } from '../output/output.js';
import { printInterrupted } from '../output/print-event.js';
import type { SendOutput } from '../output/send-output.js';
import { printSkipped } from '../output/send-output.js';
import type { ChosenReceivers } from '../receivers/chosen-receivers.js';
import { announcedFingerprint } from '../receivers/chosen-receivers.js';
import { listDeletions, printDeletions } from './list-deletions.js';

type Plan = Awaited<ReturnType<typeof planSend>>;

/** What would become of one receiver, as far as a dry run finds out. */
interface Prospect {
  readonly name: string;
  readonly address: Address;
  /** `planned`: nothing is known that prevents sending. */
  readonly status: 'planned' | Exclude<SessionReceiverOutcome['status'], 'complete'>;
  readonly reason?: string;
  /** What it says that it would delete. */
  readonly deletion?: Pick<SessionReceiverOutcome, 'deletedEntries' | 'deletedNames'>;
}

/** @param events handles the events while receivers say what they would delete; undefined without --delete */
export async function dryRun(
  output: Output,
  options: SendOptions,
  chosen: ChosenReceivers,
  events?: SendOutput,
): Promise<ExitCode> {
  const plan = await planSend(options);
  const listed = events && (await listDeletions(output, options, events));
  if (options.signal?.aborted === true) return printInterrupted(output, 'p2mp send');
  const prospects = plan.receivers.map((receiver, i) => prospectOf(receiver, listed?.receivers[i]));
  output.json({
    event: 'result',
    status: 'dry-run',
    entries: plan.entryNames.length,
    names: plan.entryNames,
    bytes: plan.contentSizeBytes,
    skipped: plan.skipped,
    receivers: prospects.map(({ name, address, status, reason, deletion }) => ({
      receiver: name,
      address: formatAddress(address),
      status,
      ...withoutUndefined({ reason, fingerprint: announcedFingerprint(chosen, name) }),
      ...(deletion === undefined
        ? {}
        : { toDelete: deletion.deletedEntries, toDeleteNames: deletion.deletedNames ?? [] }),
    })),
    ...withoutUndefined({ group: plan.group }),
    mssBytes: plan.mssBytes,
  });
  printPlan(output, plan, prospects, listed !== undefined);
  if (listed !== undefined) printDeletions(output, listed);
  output.flush();
  if (listed === undefined) return plannedExitCode(plan, prospects);
  if (listed.error !== undefined) output.error(`p2mp send: ${listed.error.message}`);
  return sendExitCode(listed, false);
}

function prospectOf(
  { name, address, noRoute }: Plan['receivers'][number],
  outcome: SessionReceiverOutcome | undefined,
): Prospect {
  if (outcome === undefined) {
    if (noRoute === undefined) return { name, address, status: 'planned' };
    return { name, address, status: 'failed', reason: noRoute };
  }
  const { status, reason } = outcome;
  if (status === 'complete') return { name, address, status: 'planned', deletion: outcome };
  return { name, address, status, ...withoutUndefined({ reason }) };
}

/** @param hasReasons whether the reasons of failures have already been printed */
function printPlan(
  output: Output,
  plan: Plan,
  prospects: readonly Prospect[],
  hasReasons: boolean,
): void {
  const { entryNames, contentSizeBytes, skipped, group, mssBytes } = plan;
  for (const name of entryNames) output.line(escapeControls(name));
  for (const entry of skipped) printSkipped(output, entry);
  const entries = formatPlural(entryNames.length, 'entry', 'entries');
  const planned = prospects.filter(({ status }) => status === 'planned').length;
  const of = planned === prospects.length ? '' : `${planned} of `;
  output.line(
    `${entries}, ${formatBytes(contentSizeBytes)}, would be sent to ${of}${formatPlural(prospects.length, 'receiver')}:`,
  );
  for (const { name, address, status, reason = status } of prospects) {
    const why = status === 'planned' ? '' : `: ${hasReasons ? status : reason}`;
    output.line(`  ${name}: ${address.host}, port ${address.port}${why}`);
  }
  if (group !== undefined)
    output.line(
      `  by multicast to ${group}; by unicast to receivers that multicast does not reach`,
    );
  output.line(`  in segments of ${formatPlural(mssBytes, 'byte')}`);
}

/** The exit code of sending, if all receivers that a route leads to are complete in the end. */
function plannedExitCode({ skipped }: Plan, prospects: readonly Prospect[]): ExitCode {
  const planned = prospects.filter(({ status }) => status === 'planned').length;
  if (planned < prospects.length) return planned === 0 ? exitCode.none : exitCode.some;
  return skipped.length === 0 ? exitCode.ok : exitCode.skipped;
}
