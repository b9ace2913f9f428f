/** A 32-bit number for each index from 0 on. Memory grows with the largest index whose number was set. */
export class IndexedNumbers {
  private values = new Int32Array(0);

  /** @param initial the number at every index that was not set */
  constructor(private readonly initial: number) {}

  get(index: number): number {
    return this.values[index] ?? this.initial;
  }

  set(index: number, value: number): void {
    if (index >= this.values.length) this.grow(index + 1);
    this.values[index] = value;
  }

  /** Sets the number at every index to the initial one. */
  reset(): void {
    this.values.fill(this.initial);
  }

  private grow(leastLength: number): void {
    const { values, initial } = this;
    this.values = new Int32Array(Math.max(leastLength, 2 * values.length)).fill(initial);
    this.values.set(values);
  }
}
