/** Sample means and their confidence intervals. */

/** Statistics of a sample. */
export interface Sample {
  readonly count: number;
  readonly mean: number;
  /** Undefined for fewer than two values. */
  readonly standardDeviation: number | undefined;
  /**
   * Half the width of the mean's 95 % confidence interval (Student's t). Undefined for fewer than
   * two values.
   */
  readonly ci95HalfWidth: number | undefined;
}

/**
 * Computes the statistics of a sample.
 * @param values at least one
 */
export function describeSample(values: readonly number[]): Sample {
  const count = values.length;
  const mean = values.reduce((sum, value) => sum + value, 0) / count;
  if (count < 2) return { count, mean, standardDeviation: undefined, ci95HalfWidth: undefined };
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  const standardDeviation = Math.sqrt(squares / (count - 1));
  const ci95HalfWidth = (studentQuantile(0.975, count - 1) * standardDeviation) / Math.sqrt(count);
  return { count, mean, standardDeviation, ci95HalfWidth };
}

/** @param values at least one */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = (sorted.length - 1) / 2;
  return ((sorted[Math.floor(middle)] as number) + (sorted[Math.ceil(middle)] as number)) / 2;
}

/**
 * The quantile of Student's t distribution, found by bisection.
 * @param probability 0.5 to 0.999
 */
export function studentQuantile(probability: number, degreesOfFreedom: number): number {
  let low = 0;
  let high = 1;
  while (studentProbability(high, degreesOfFreedom) < probability) high *= 2;
  // Bisect until no double lies in between.
  for (;;) {
    const middle = (low + high) / 2;
    if (middle <= low || middle >= high) return middle;
    if (studentProbability(middle, degreesOfFreedom) < probability) low = middle;
    else high = middle;
  }
}

/**
 * P(T <= t) for t >= 0 and whole degrees of freedom: the finite sums of Abramowitz and Stegun,
 * Handbook of Mathematical Functions, 26.7.3 and 26.7.4.
 */
function studentProbability(t: number, degreesOfFreedom: number): number {
  const angle = Math.atan(t / Math.sqrt(degreesOfFreedom));
  const square = Math.cos(angle) ** 2;
  const isOdd = degreesOfFreedom % 2 === 1;
  let term = isOdd ? Math.cos(angle) : 1;
  let sum = 0;
  for (let k = isOdd ? 1 : 0; k <= degreesOfFreedom - 2; k += 2) {
    sum += term;
    term *= (square * (k + 1)) / (k + 2);
  }
  const within = isOdd ? (2 / Math.PI) * (angle + Math.sin(angle) * sum) : Math.sin(angle) * sum;
  return 0.5 + within / 2;
}
