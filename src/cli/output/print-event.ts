/** Prints events that several commands have in common, such as send errors and refused ports. */

import { P2mpError } from '../../base/errors.js';
import { formatPlural } from '../../base/format.js';
import type { RefusedEvent } from '../../base/refusal.js';
import type { DiagnosisEvent } from '../../classic/diagnosis/packet-diagnosis.js';
import type { OtherAddressEvent } from '../../path/candidate-addresses.js';
import type { FaultEvent } from '../../wire/faults.js';
import type { ExitCode } from '../exit-code.js';
import { exitCode } from '../exit-code.js';
import type { Output } from './output.js';

export interface SendErrorEvent {
  readonly type: 'send-error';
  readonly message: string;
}

export function printOddity(
  output: Output,
  event: FaultEvent | SendErrorEvent,
  isVerbose: boolean,
): void {
  if (event.type === 'send-error') {
    const { message } = event;
    output.json({ event: 'send-error', message });
    if (!output.isJson) output.warn(`cannot send: ${message}`);
  } else {
    const { kind, from, packet } = event;
    output.json({ event: 'fault', kind, from, packet });
    if (isVerbose && !output.isJson) output.detail(`${kind} from ${from}: ${packet}`);
  }
}

export interface NoGroupEvent {
  readonly type: 'no-group';
  readonly group: string;
  readonly reason: string;
}

/** Reports that this host cannot join the group of a session. */
export function printNoGroup(output: Output, { type, group, reason }: NoGroupEvent): void {
  output.json({ event: type, group, reason });
  const text = `cannot join multicast group ${group}: ${reason}; receiving by unicast instead`;
  if (!output.isJson) output.warn(text);
}

/** Reports that a receiver answered at its second address (IPv4 or IPv6), not at the first one. */
export function printOtherAddress(output: Output, event: OtherAddressEvent): void {
  const { type, receiver, address, insteadOf } = event;
  output.json({ event: type, receiver, address, insteadOf });
  if (!output.isJson) output.warn(`${receiver}: answers at ${address}, not at ${insteadOf}`);
}

/**
 * Reports that datagrams do not reach a port.
 * @param whatNext by default, what a sender does: it keeps trying until the liveness timeout
 */
export function printRefused(
  output: Output,
  event: RefusedEvent,
  whatNext = `still trying for ${event.livenessTimeoutMs / 1000} s`,
): void {
  const { type, receiver, reason } = event;
  output.json({ event: type, receiver, reason });
  if (!output.isJson) output.warn(`${receiver}: ${reason}; ${whatNext}`);
}

/** Explains why another implementation's packets are rejected, to help its developer. */
export function printDiagnosis(output: Output, event: DiagnosisEvent): void {
  const { from, kind, arrived, required, cause } = event;
  output.json({ event: 'diagnosis', sender: from, kind, arrived, required, cause });
  if (output.isJson) return;
  output.warn(
    [
      `${from}: packets are rejected (${kind})`,
      `  arrived:      ${arrived}`,
      `  required:     ${required}`,
      `  likely cause: ${cause}`,
    ].join('\n'),
  );
}

/** Prints that a sender was interrupted before it sent anything. @returns the exit code */
export function printInterrupted(output: Output, command: string, what = 'sent'): ExitCode {
  const message = `interrupted before anything was ${what}`;
  output.json({ event: 'result', error: { code: 'INTERRUPTED', message } });
  output.error(`${command}: ${message}`);
  output.flush();
  return exitCode.interrupted;
}

/** Prints what SIGHUP has changed. @param noun what was read again */
export async function printReload(
  output: Output,
  noun: 'source' | 'receiver',
  reloaded: Promise<readonly string[]>,
): Promise<void> {
  try {
    const names = await reloaded;
    const named = noun === 'source' ? { sources: names } : { receivers: names };
    output.json({ event: 'reloaded', ...named });
    output.line(`${formatPlural(names.length, noun)} after SIGHUP`);
  } catch (error) {
    if (!(error instanceof P2mpError)) throw error;
    output.json({ event: 'reloaded', reason: error.message });
    if (!output.isJson) output.warn(`the ${noun}s stay as they are: ${error.message}`);
  }
}

/** What to say about refusals that were not reported; ends with a space unless it is empty. */
export function formatUnreported(unreported: number): string {
  return unreported === 0
    ? ''
    : `(${formatPlural(unreported, 'more refusal')} since the last report) `;
}
