/** Checks the options of the library's functions at run time, for callers without a type checker. */
import { didYouMean } from '../did-you-mean.js';
import { P2mpError } from '../errors.js';

/** Checks a value. @returns what is wrong with it, with its name; undefined if nothing is */
export type Check = (value: unknown, name: string) => string | undefined;

/** The check of an option that must be given. */
export interface Required {
  readonly required: Check;
}

/** A check for each option of `T`, so that no option can be forgotten here. */
export type Checks<T> = {
  readonly [K in keyof T]-?: object extends Pick<T, K> ? Check : Required;
};

/**
 * An option whose value is `undefined` counts as not given.
 * @throws P2mpError INVALID_ARGUMENT
 */
export function checkOptions<T extends object>(options: T, checks: Checks<T>): void {
  const problem = isObject(options)
    ? findProblem(options, checks, '')
    : `options: must be an object, not ${show(options)}`;
  if (problem !== undefined) throw new P2mpError('INVALID_ARGUMENT', problem);
}

export function required(check: Check): Required {
  return { required: check };
}

/** @param expected completes "must be" */
export function check(expected: string, accepts: (value: unknown) => boolean): Check {
  return (value, name) =>
    accepts(value) ? undefined : `${name}: must be ${expected}, not ${show(value)}`;
}

export const text = check('a string', (value) => typeof value === 'string');
export const flag = check('true or false', (value) => typeof value === 'boolean');
export const callback = check('a function', (value) => typeof value === 'function');
/** A number whose range is checked where it is used. */
export const number = check('a number', (value) => typeof value === 'number');
export const amount = check(
  'a number of at least 0',
  (value) => typeof value === 'number' && value >= 0,
);
export const anything: Check = () => undefined;

/** @param sizeBytes any, if omitted */
export function bytes(sizeBytes?: number): Check {
  const size = sizeBytes === undefined ? '' : ` of ${sizeBytes} bytes`;
  return check(
    `a Uint8Array${size}`,
    (value) => value instanceof Uint8Array && (sizeBytes ?? value.length) === value.length,
  );
}

export function wholeNumber(from: number, to: number): Check {
  return check(
    `a whole number from ${from} to ${to}`,
    (value) => Number.isInteger(value) && Number(value) >= from && Number(value) <= to,
  );
}

/** A word out of a few. */
export function oneOf<T extends string>(...words: readonly T[]): Check {
  const expected = words.map((word) => `'${word}'`).join(', ');
  return (value, name) => {
    if (words.some((word) => word === value)) return undefined;
    const hint = typeof value === 'string' ? didYouMean(value, words) : '';
    return `${name}: must be one of ${expected}, not ${show(value)}${hint}`;
  };
}

export function listOf(each: Check): Check {
  return (value, name) => {
    if (!Array.isArray(value)) return `${name}: must be a list, not ${show(value)}`;
    for (const [i, item] of value.entries()) {
      const problem = each(item, `${name}[${i}]`);
      if (problem !== undefined) return problem;
    }
    return undefined;
  };
}

/** @param example what such an object looks like */
export function objectOf<T extends object>(checks: Checks<T>, example?: string): Check {
  const such = example === undefined ? '' : ` such as ${example}`;
  return (value, name) =>
    isObject(value)
      ? findProblem(value, checks, `${name}.`)
      : `${name}: must be an object${such}, not ${show(value)}`;
}

/** An object whose other properties depend on the word in one of them. */
export function variantOf(
  key: string,
  variants: Readonly<Record<string, Readonly<Record<string, Check | Required>>>>,
): Check {
  const words = oneOf(...Object.keys(variants));
  return (value, name) => {
    if (!isObject(value)) return `${name}: must be an object, not ${show(value)}`;
    const word = Reflect.get(value, key);
    const problem = words(word, `${name}.${key}`);
    if (problem !== undefined) return problem;
    const others = Object.entries(variants).find(([each]) => each === word)?.[1];
    return findProblem(value, { ...others, [key]: anything }, `${name}.`);
  };
}

function findProblem(
  options: object,
  checks: Readonly<Record<string, Check | Required>>,
  prefix: string,
): string | undefined {
  for (const name of Object.keys(options)) {
    if (Object.hasOwn(checks, name)) continue;
    return `${prefix}${name}: there is no such option${didYouMean(name, Object.keys(checks))}`;
  }
  for (const [name, each] of Object.entries(checks)) {
    const value = Reflect.get(options, name);
    const isRequired = typeof each !== 'function';
    if (value === undefined) {
      if (isRequired) return `${prefix}${name}: this option is required`;
      continue;
    }
    const problem = (isRequired ? each.required : each)(value, `${prefix}${name}`);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

function isObject(value: unknown): value is object {
  const isList = Array.isArray(value) || ArrayBuffer.isView(value);
  return typeof value === 'object' && value !== null && !isList;
}

/** Shows a value, but not its content: it could be a secret. */
function show(value: unknown): string {
  if (typeof value === 'string') return value.length <= 40 ? `'${value}'` : 'a long string';
  if (value instanceof Uint8Array) return `a Uint8Array of ${value.length} bytes`;
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'function') return 'a function';
  return typeof value === 'object' && value !== null ? 'an object' : String(value);
}
