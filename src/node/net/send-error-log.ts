/** Reports the first send error of each kind. The protocol retransmits data that was not sent. */
import { noRouteReason } from './routes.js';

export class SendErrorLog {
  private readonly codes = new Set<string>();

  constructor(private readonly tell: (message: string) => void) {}

  add(error: NodeJS.ErrnoException & { address?: string }): void {
    const code = error.code ?? error.message;
    if (this.codes.has(code)) return;
    this.codes.add(code);
    this.tell(describe(error));
  }
}

function describe(error: NodeJS.ErrnoException & { address?: string }): string {
  const { code, address, message } = error;
  if (address === undefined) return message;
  if (code === 'EPERM')
    return `to ${address}: a firewall on this host blocks the datagrams (EPERM)`;
  if (code === 'EMSGSIZE')
    return `to ${address}: the interface that leads there does not carry such large datagrams (EMSGSIZE); a smaller --mss lets it be used`;
  const reason = noRouteReason(error, { host: address, port: 0 });
  return reason === undefined ? message : `${reason} (${code})`;
}
