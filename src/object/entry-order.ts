/**
 * The order of a manifest's entries. A folder is followed directly by its contents, and the names within a
 * folder ascend byte by byte. Comparing a name with the previous one is therefore enough to detect a repeated
 * name. The next entry's parent can only be the previous entry or a folder that contains the previous entry.
 */

const slash = 0x2f;

/** Compares two UTF-8 names byte by byte. A slash sorts before every other byte. */
export function compareNames(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    if (a[i] !== b[i]) return rankOf(a[i] as number) - rankOf(b[i] as number);
  }
  return a.length - b.length;
}

function rankOf(byte: number): number {
  return byte === slash ? 0 : byte;
}

/** Checks, entry by entry, that the entries of a manifest are in this order. */
export class EntryOrder {
  private last: Uint8Array = new Uint8Array(0);
  /**
   * The folders that contain the previous entry, outermost first, and that entry itself if it is a folder.
   */
  private readonly open: string[] = [];

  /**
   * @param nameBytes `name` in UTF-8; the bytes must not change later
   * @returns the fault in the entry's position; undefined if the position is valid
   */
  check(
    nameBytes: Uint8Array,
    name: string,
    isFolder: boolean,
  ): 'not-in-order' | 'name-conflict' | undefined {
    const order = compareNames(this.last, nameBytes);
    if (order === 0) return 'name-conflict';
    if (order > 0) return 'not-in-order';
    this.last = nameBytes;
    const parentLength = name.lastIndexOf('/');
    // A folder is closed for good here, because all of its contents sort before this entry's name.
    while (this.open.length > 0 && !this.isParent(name, parentLength)) this.open.pop();
    if (parentLength !== -1 && this.open.length === 0) return 'name-conflict';
    if (isFolder) this.open.push(name);
    return undefined;
  }

  private isParent(name: string, parentLength: number): boolean {
    const parent = this.open.at(-1);
    return parent?.length === parentLength && name.startsWith(parent);
  }
}
