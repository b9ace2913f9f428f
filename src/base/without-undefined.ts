/** Objects without properties whose value is `undefined`: an optional property is either set or absent. */

/** `T`, but each property whose value may be `undefined` is optional instead. */
export type WithoutUndefined<T extends object> = {
  [K in keyof T as undefined extends T[K] ? K : never]?: Exclude<T[K], undefined>;
} & {
  [K in keyof T as undefined extends T[K] ? never : K]: T[K];
};

/**
 * Omits the properties whose value is `undefined`, so that the object fits a type with optional properties
 * (`exactOptionalPropertyTypes`) and prints without those properties.
 * @returns a new object with the remaining own properties in the same order
 */
export function withoutUndefined<const T extends object>(object: T): WithoutUndefined<T> {
  const present = Object.entries(object).filter(([, value]) => value !== undefined);
  return Object.fromEntries(present) as WithoutUndefined<T>;
}
