/** A windowed minimum or maximum in constant space: the best of the current and the previous half window. */
import type { TimeMs } from '../base/machine.js';

export class WindowedExtreme {
  private current: number | undefined;
  private earlier: number | undefined;
  private beganAtMs: TimeMs = -Infinity;

  constructor(
    private readonly which: 'least' | 'greatest',
    /** Length of the window. A value stays valid for at least half of this time and at most all of it. */
    private readonly windowMs: number,
  ) {}

  /** The minimum or maximum; undefined before the first value. */
  get value(): number | undefined {
    if (this.current === undefined) return this.earlier;
    if (this.earlier === undefined) return this.current;
    return this.isBetter(this.earlier, this.current) ? this.earlier : this.current;
  }

  add(nowMs: TimeMs, value: number): void {
    if (nowMs - this.beganAtMs >= this.windowMs / 2) {
      this.earlier = this.current;
      this.current = undefined;
      this.beganAtMs = nowMs;
    }
    if (this.current !== undefined && this.isBetter(this.current, value)) return;
    this.current = value;
  }

  private isBetter(a: number, b: number): boolean {
    return this.which === 'least' ? a < b : a > b;
  }
}
