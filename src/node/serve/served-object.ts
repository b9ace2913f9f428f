/** One state of a served path, open until nobody uses it any more. */
import { assert } from '../../base/assert.js';
import type { IndexedObject } from '../disk/index/object-index.js';
import { DiskContent } from '../disk/source/disk-content.js';
import type { OfferedObject } from './object-catalogue.js';

export class ServedObject implements OfferedObject {
  private users = 0;
  private isRetired = false;

  constructor(
    readonly name: string,
    readonly index: IndexedObject,
  ) {}

  get terms() {
    const { index } = this;
    const { source } = index.listed;
    return {
      label: this.name,
      manifest: index.manifestBytes,
      manifestDigest: index.manifestDigest,
      contentSizeBytes: source.manifest.contentSizeBytes,
      digestTree: index.digestTree,
      listedAtMs: source.listedAtMs,
    };
  }

  get fileCount(): number {
    return this.index.listed.source.files.length;
  }

  /** Whether the path has another state by now. */
  get isOutdated(): boolean {
    return this.isRetired;
  }

  /**
   * The content, for one session; `release` when the session has ended. Whatever is read belongs to this state.
   * @param handleFailure gets a P2mpError, SOURCE_CHANGED if the files have changed; or anything else if the error is a bug
   */
  open(handleFailure: (error: unknown) => void): DiskContent {
    assert(!this.isRetired, 'a current object is served');
    this.users++;
    return new DiskContent(this.index.listed, handleFailure);
  }

  release(): void {
    assert(this.users > 0, 'an open object is released');
    this.users--;
    this.closeIfUnused();
  }

  /** The path has another state now, or is not served any more. */
  retire(): void {
    if (this.isRetired) return;
    this.isRetired = true;
    this.closeIfUnused();
  }

  private closeIfUnused(): void {
    if (this.isRetired && this.users === 0) void this.index.listed.close();
  }
}
