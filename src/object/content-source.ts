/**
 * The port through which a sender reads the content of an object: from files, from memory, or from a store that is
 * still filling. The caller asks for any part of the content, in any order.
 *
 * Each operation ends with a call of its callback, possibly before the operation returns. If it fails, its callback is
 * never called; the owner of the source learns the reason.
 */
export interface ContentSource {
  /**
   * Reads part of the content. Any number of reads may be pending, and they may end in any order.
   * @param take gets the bytes, which must not be changed and are valid until it returns; undefined if the source
   *   does not have all of them, for example a store that has not received them yet
   */
  read(offsetBytes: number, sizeBytes: number, take: (bytes: Uint8Array | undefined) => void): void;
  /**
   * Finds out whether everything read so far is still what the source has. If not, the source fails with
   * SOURCE_CHANGED.
   */
  check(handleUnchanged: () => void): void;
}
