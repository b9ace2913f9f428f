/** What a store-and-forward relay sends: nothing of an object before it has all of it. */
import type { ContentSource } from '../../object/content-source.js';
import type { RelayedObject } from '../../roles/relay/relayed-object.js';

export class WholeObjectSource implements ContentSource {
  private readonly waiting: (() => void)[] = [];

  constructor(readonly object: RelayedObject) {}

  read(offsetBytes: number, sizeBytes: number, take: (bytes: Uint8Array) => void): void {
    const read = () => this.object.read(offsetBytes, sizeBytes, take);
    if (this.object.isWhole) {
      read();
      return;
    }
    this.waiting.push(read);
    this.object.makePlace();
  }

  check(handleUnchanged: () => void): void {
    this.object.check(handleUnchanged);
  }

  /** Call it when an object has been filled. */
  advance(): void {
    if (!this.object.isWhole) return;
    for (const read of this.waiting.splice(0)) read();
  }
}
