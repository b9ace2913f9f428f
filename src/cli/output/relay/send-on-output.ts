/** Output of `p2mp relay --to`: what `p2mp receive` prints of its senders, and the outcome of each receiver. */
import { formatAddress } from '../../../base/address.js';
import { escapeControls } from '../../../base/control-characters.js';
import type { ServerSpec } from '../../../node/net/resolve-receivers.js';
import type { SendOnEvent } from '../../../node/relay/send-on-options.js';
import type { Output } from '../output.js';
import { benefitJson } from '../paths/path-figures.js';
import { printRefused, printReload } from '../print-event.js';
import { receiverName } from '../progress/receiver-name.js';
import { ReceiveOutput, type ReceiveOutputOptions } from '../receive-output.js';
import { receiverJson } from '../send-output.js';

export class SendOnOutput {
  private readonly received: ReceiveOutput;

  constructor(
    private readonly output: Output,
    private readonly options: ReceiveOutputOptions,
  ) {
    this.received = new ReceiveOutput(output, options);
  }

  handleEvent(event: SendOnEvent): void {
    switch (event.type) {
      case 'resize':
        this.output.json({ event: 'resize', mssBytes: event.mssBytes, reason: event.reason });
        break;
      case 'port-refused':
      case 'unreachable':
        printRefused(this.output, event);
        break;
      case 'receiver':
        this.handleOutcome(event);
        break;
      default:
        this.received.handleEvent(event);
    }
  }

  private handleOutcome({ info, outcome }: Extract<SendOnEvent, { type: 'receiver' }>): void {
    const { output } = this;
    output.json({
      event: 'receiver-result',
      label: info.label,
      ...receiverJson(outcome),
      ...benefitJson(outcome),
    });
    if (output.isJson) return;
    const { status, reason } = outcome;
    const why = reason === undefined ? '' : `: ${reason}`;
    const text = escapeControls(`${info.label} to ${receiverName(outcome)}: ${status}${why}`);
    if (status !== 'complete') output.error(text);
    else if (output.isLog) output.line(text);
    else if (this.options.isVerbose) output.detail(text);
  }

  /** The receivers are read again after SIGHUP. */
  async handleReload(reloaded: Promise<readonly ServerSpec[]>): Promise<void> {
    const names = reloaded.then((receivers) => receivers.map(formatAddress));
    await printReload(this.output, 'receiver', names);
  }

  end(): Promise<void> {
    return this.received.end();
  }
}
