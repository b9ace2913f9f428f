/** The content of files on disk, as a source for a session. */
import type { ContentSource } from '../../../object/content-source.js';
import type { ObjectSource } from './object-source.js';

export class DiskContent implements ContentSource {
  /** @param handleFailure gets a P2mpError, or anything else if the error is a bug */
  constructor(
    private readonly source: Pick<ObjectSource, 'peek' | 'read' | 'verify'>,
    private readonly handleFailure: (error: unknown) => void,
  ) {}

  read(offsetBytes: number, sizeBytes: number, take: (bytes: Uint8Array) => void): void {
    const ready = this.source.peek(offsetBytes, sizeBytes);
    if (ready !== undefined) take(ready);
    else this.source.read(offsetBytes, sizeBytes).then(take).catch(this.handleFailure);
  }

  check(handleUnchanged: () => void): void {
    this.source.verify().then(handleUnchanged).catch(this.handleFailure);
  }
}
