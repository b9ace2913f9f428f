/** What both commands tell of odd datagrams and of datagrams that were not sent. */

import type { PortRefusedEvent } from '../../base/refusal.js';
import type { DiagnosisEvent } from '../../classic/packet-diagnosis.js';
import type { OtherAddressEvent } from '../../path/candidate-addresses.js';
import type { FaultEvent } from '../../wire/faults.js';
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
  const { type, ...fields } = event;
  output.json({ event: type, ...fields });
  if (output.isJson) return;
  if (event.type === 'send-error') output.warn(`not sent: ${event.message}`);
  else if (isVerbose) output.detail(`${event.kind} from ${event.from}: ${event.packet}`);
}

/** Of a name with addresses of both versions of IP, the first was called in vain. */
export function printOtherAddress(output: Output, event: OtherAddressEvent): void {
  const { type, receiver, address, insteadOf } = event;
  output.json({ event: type, receiver, address, insteadOf });
  if (!output.isJson) output.warn(`${receiver}: answers at ${address}, not at ${insteadOf}`);
}

/** A receiver's port refuses datagrams, and is tried on. */
export function printPortRefused(output: Output, event: PortRefusedEvent): void {
  const { type, receiver, reason, livenessTimeoutMs } = event;
  output.json({ event: type, receiver, reason });
  if (!output.isJson)
    output.warn(`${receiver}: ${reason}; still trying for ${livenessTimeoutMs / 1000} s`);
}

/** What is likely wrong with a program whose packets are rejected; it is for people who write one. */
export function printDiagnosis(output: Output, event: DiagnosisEvent): void {
  const { type, ...fields } = event;
  output.json({ event: type, ...fields });
  if (output.isJson) return;
  const { from, kind, arrived, required, cause } = event;
  output.warn(
    [
      `${from}: packets are rejected (${kind})`,
      `  arrived:      ${arrived}`,
      `  required:     ${required}`,
      `  likely cause: ${cause}`,
    ].join('\n'),
  );
}
