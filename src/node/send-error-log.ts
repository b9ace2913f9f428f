/** Datagrams that the system refused: the first of each kind is told, the protocol repeats what matters. */
export class SendErrorLog {
  private readonly codes = new Set<string>();

  constructor(private readonly tell: (message: string) => void) {}

  add(error: NodeJS.ErrnoException): void {
    const code = error.code ?? error.message;
    if (this.codes.has(code)) return;
    this.codes.add(code);
    this.tell(error.message);
  }
}
