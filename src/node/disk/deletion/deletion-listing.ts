/** The store of a session that only lists what it would delete. Nothing is written. */
import { assert } from '../../../base/assert.js';
import type { ContentStore, FoundContent, StoreRequest } from '../../../object/content-store.js';
import { TargetFolder } from '../store/target-folder.js';
import { listExtras } from './extra-entries.js';

export interface DeletionListingOptions {
  readonly dir: string;
  /** Files and folders that no sender may delete. */
  readonly protectedPaths: readonly string[];
}

export class DeletionListing implements ContentStore {
  private readonly abort = new AbortController();

  constructor(
    private readonly options: DeletionListingOptions,
    private readonly request: StoreRequest,
    private readonly handleFailure: (error: unknown) => void,
  ) {}

  open(handleFound: (found: FoundContent) => void): void {
    this.list()
      .then(handleFound)
      .catch((error: unknown) => {
        if (!this.abort.signal.aborted) this.handleFailure(error);
      });
  }

  private async list(): Promise<FoundContent> {
    const { dir, protectedPaths } = this.options;
    const { manifest } = this.request;
    const { signal } = this.abort;
    const target = await TargetFolder.open(dir);
    const { entries } = await listExtras({ target, manifest, protectedPaths, signal });
    signal.throwIfAborted();
    return { held: [], kept: [], unchangedFiles: 0, extras: entries.keys() };
  }

  end(): void {
    this.abort.abort();
  }

  write(): void {
    assert(false, 'a listing receives no content');
  }

  withdraw(): void {
    assert(false, 'a listing receives no content');
  }

  forget(): void {
    assert(false, 'a listing receives no content');
  }

  verify(): void {
    assert(false, 'a listing receives no content');
  }

  complete(): void {
    assert(false, 'a listing receives no content');
  }

  read(_offsetBytes: number, _sizeBytes: number, take: (bytes: undefined) => void): void {
    take(undefined);
  }

  check(handleUnchanged: () => void): void {
    handleUnchanged();
  }
}
