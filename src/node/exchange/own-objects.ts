/** What a peer brings to an exchange: its paths, read once before it joins. */
import { createHash } from 'node:crypto';
import { P2mpError } from '../../base/errors.js';
import type { OwnObject } from '../../roles/exchange/peer.js';
import type { ObjectHead } from '../../roles/relay/object-cache.js';
import type { FileDigests } from '../../wire/exchange-records.js';
import { exchangeLimits } from '../../wire/exchange-records.js';
import { standardBlockSizeBytes } from '../../wire/sizes.js';
import type { IndexFolder } from '../disk/index/index-folder.js';
import type { IndexedObject } from '../disk/index/object-index.js';
import { ObjectIndex } from '../disk/index/object-index.js';
import { DiskContent } from '../disk/source/disk-content.js';
import { nameOfferedPaths } from '../serve/offered-names.js';

export interface IndexOwnOptions {
  readonly folder: IndexFolder | undefined;
  readonly signal: AbortSignal | undefined;
  readonly handleIndexed: (object: IndexedOwn) => void;
  /** The files of an object cannot be read any more, or have changed. */
  readonly handleFailure: (head: ObjectHead, error: unknown) => void;
}

/** A file that a peer brings. */
export interface OwnFile {
  readonly name: string;
  readonly sizeBytes: number;
  readonly digests: FileDigests;
}

export interface IndexedOwn extends OwnObject {
  readonly listed: readonly OwnFile[];
  close(): Promise<void>;
}

/** @throws P2mpError INVALID_ARGUMENT, SOURCE_UNREADABLE, SOURCE_CHANGED; the signal's reason after it aborts */
export async function indexOwnObjects(
  paths: readonly string[],
  options: IndexOwnOptions,
): Promise<IndexedOwn[]> {
  const { folder, signal, handleIndexed, handleFailure } = options;
  const offered = paths.length === 0 ? [] : nameOfferedPaths(paths);
  const { objectsPerPeer, filesPerPeer } = exchangeLimits;
  if (offered.length > objectsPerPeer)
    throw refuse(`more than ${objectsPerPeer} paths; put them into folders`);
  const objects: IndexedOwn[] = [];
  for (const { name, path } of offered) {
    const index = new ObjectIndex(path, { ...(folder && { folder }), ...(signal && { signal }) });
    const indexed = await index.refresh();
    const fileCount = indexed.listed.source.files.length;
    const count = objects.reduce((sum, { files }) => sum + files.length, fileCount);
    if (count > filesPerPeer)
      throw refuse(`${path}: more than ${filesPerPeer} files; pack them into an archive`);
    const listed = await digestFiles(indexed, signal);
    const head = headOf(name, indexed);
    const object = {
      head,
      source: new DiskContent(indexed.listed, (error) => handleFailure(head, error)),
      ...{ files: listed.map(({ digests }) => digests), listed },
      close: () => indexed.listed.close(),
    };
    objects.push(object);
    handleIndexed(object);
  }
  return objects;
}

function headOf(
  name: string,
  { listed, manifestBytes: manifest, manifestDigest, contentRoot, digestTree }: IndexedObject,
) {
  const { contentSizeBytes } = listed.source.manifest;
  const { listedAtMs } = listed.source;
  const digests = { manifestDigest, contentRoot, digestTree };
  return { name, label: name, contentSizeBytes, manifest, listedAtMs, ...digests };
}

/** Reads the content once. MD5 serves for comparison with other programs. */
async function digestFiles(
  { listed }: IndexedObject,
  signal: AbortSignal | undefined,
): Promise<OwnFile[]> {
  const files: OwnFile[] = [];
  for (const { entry, offsetBytes } of listed.source.files) {
    const { name, sizeBytes } = entry;
    const [md5, sha256] = [createHash('md5'), createHash('sha256')];
    for (let done = 0; done < sizeBytes; done += standardBlockSizeBytes) {
      signal?.throwIfAborted();
      const size = Math.min(standardBlockSizeBytes, sizeBytes - done);
      const bytes = await listed.read(offsetBytes + done, size);
      md5.update(bytes);
      sha256.update(bytes);
    }
    files.push({ name, sizeBytes, digests: { md5: md5.digest(), sha256: sha256.digest() } });
  }
  return files;
}

function refuse(message: string): P2mpError {
  return new P2mpError('INVALID_ARGUMENT', message);
}
