/** What the library says of the peers and objects of an exchange. */
import { formatAddress } from '../../base/address.js';
import type { RemoteObject } from '../../roles/exchange/objects/remote-object.js';
import type { RosterPeer } from '../../roles/exchange/roster.js';
import { toHex } from '../../wire/byte-codec.js';
import type { FileDigests } from '../../wire/exchange-records.js';
import { standardBlockSizeBytes } from '../../wire/sizes.js';
import type { ExchangeFile, ExchangeObject, ExchangeObjectStatus } from './join-options.js';
import type { OwnFile } from './own-objects.js';

export function describeObject({ ownerName, name, content }: RemoteObject): ExchangeObject {
  return { owner: ownerName, name, contentSizeBytes: content.contentSizeBytes };
}

export function describePeer({ name, address, objects }: RosterPeer) {
  return {
    name,
    address: formatAddress(address),
    objects: objects.map(({ name: objectName, content: { contentSizeBytes } }) => {
      return { name: objectName, contentSizeBytes };
    }),
  };
}

export function describeFile(
  name: string,
  sizeBytes: number,
  digests: FileDigests | undefined,
): ExchangeFile {
  const [md5, sha256] = [digests?.md5, digests?.sha256].map((each) => toHex(each ?? noBytes));
  return { name, sizeBytes, md5: md5 ?? '', sha256: sha256 ?? '' };
}

const noBytes = new Uint8Array();

export function filesOf(files: readonly OwnFile[]): ExchangeFile[] {
  return files.map(({ name, sizeBytes, digests }) => describeFile(name, sizeBytes, digests));
}

/** The digests that the first owner of an object lists for its files, in the order of the manifest. */
export function digestsOf({ content }: RemoteObject): readonly FileDigests[] {
  for (const { objects } of content.owners)
    for (const { content: own, files } of objects) if (own === content) return files;
  return [];
}

export function heldBytesOf({ content, shared }: RemoteObject): number {
  return Math.min(content.contentSizeBytes, shared.held.count * standardBlockSizeBytes);
}

export function stateOf({ isStored, fetch }: RemoteObject): ExchangeObjectStatus['state'] {
  if (isStored) return 'stored';
  const activity = fetch?.activity;
  if (activity === 'storing') return 'storing';
  return activity === 'fetching' ? 'fetching' : 'waiting';
}
