/**
 * A map for very many keys, split into small maps. A single large map would block the event loop for tens of
 * milliseconds whenever it grows.
 */

const mapCount = 256;
const mapCountOfInodes = 251n;

export class SpreadMap<Key extends string | bigint, Value> {
  private readonly maps: (Map<Key, Value> | undefined)[] = [];

  get(key: Key): Value | undefined {
    return this.maps[indexOf(key)]?.get(key);
  }

  set(key: Key, value: Value): void {
    const index = indexOf(key);
    let map = this.maps[index];
    if (map === undefined) {
      map = new Map();
      this.maps[index] = map;
    }
    map.set(key, value);
  }
}

function indexOf(key: string | bigint): number {
  // All inode numbers may be multiples of a power of two. A prime divisor spreads even such numbers.
  if (typeof key === 'bigint') return Number(key % mapCountOfInodes);
  let hash = key.length;
  for (let i = 0; i < key.length; i++) hash = (Math.imul(hash, 31) + key.charCodeAt(i)) | 0;
  return (hash ^ (hash >>> 8) ^ (hash >>> 16)) & (mapCount - 1);
}
