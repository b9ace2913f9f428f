/** The content of an object under its final names, for other peers. Each block is compared before it is sent. */
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import type { ContentSource } from '../../object/content-source.js';
import type { Manifest } from '../../object/manifest.js';
import { ContentLayout } from '../disk/store/content-layout.js';
import type { FileBudget } from '../disk/store/file-budget.js';
import { OpenFiles } from '../disk/store/open-files.js';

export class PlacedContent implements ContentSource {
  private readonly files: OpenFiles;
  private readonly layout: Promise<ContentLayout>;

  constructor(
    private readonly folder: string,
    manifest: Manifest,
    budget: FileBudget,
    /** Gets an error that is a bug. */
    private readonly crash: (error: unknown) => void,
  ) {
    this.files = new OpenFiles(budget);
    this.layout = ContentLayout.create(manifest);
  }

  read(
    offsetBytes: number,
    sizeBytes: number,
    take: (bytes: Uint8Array | undefined) => void,
  ): void {
    this.readBytes(offsetBytes, sizeBytes)
      // The user may have moved the files.
      .catch(() => undefined)
      .then(take)
      .catch(this.crash);
  }

  check(handleUnchanged: () => void): void {
    handleUnchanged();
  }

  close(): Promise<void> {
    return this.files.end();
  }

  private async readBytes(offsetBytes: number, sizeBytes: number): Promise<Uint8Array | undefined> {
    const layout = await this.layout;
    const bytes = new Uint8Array(sizeBytes);
    let count = 0;
    for (const { file, ...piece } of layout.pieces(offsetBytes, offsetBytes + sizeBytes)) {
      const path = join(this.folder, file.entry.name);
      const part = bytes.subarray(count, count + piece.sizeBytes);
      const { bytesRead } = await this.files.use(
        path,
        () => open(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW),
        (handle) => handle.read(part, 0, part.length, piece.offsetBytes),
      );
      if (bytesRead < part.length) return undefined;
      count += part.length;
    }
    return bytes;
  }
}
