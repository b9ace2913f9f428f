/**
 * The order of a manifest's entries. Each folder is followed by its contents, and names within one folder ascend
 * byte by byte. One comparison with the last name therefore shows that a name is new, and only the folders around
 * the last entry can contain the next one.
 */

const slash = 0x2f;

/** Compares names in UTF-8; the slash comes before all other characters. */
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

/** Checks the names of entries one after another. */
export class EntryOrder {
  private last: Uint8Array = new Uint8Array(0);
  /** The folders that contain the last entry, outermost first, and the entry itself if it is a folder. */
  private readonly open: string[] = [];

  /**
   * @param nameBytes the name in UTF-8, which must not change later
   * @returns what is wrong with the entry's place; undefined if nothing is
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
    // A folder that was left cannot return: all of its contents sort before this name.
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
