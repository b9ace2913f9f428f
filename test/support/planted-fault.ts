/** Replaces correct code by a fault, to check that tests detect it. */
import { assert } from '../../src/base/assert.js';

/** @returns a function that restores the original method or getter */
export function replace(prototype: object, name: string, replacement: unknown): () => void {
  const own = Object.getOwnPropertyDescriptor(prototype, name);
  assert(own !== undefined, `there is no ${name} to replace`);
  const planted = own.get === undefined ? { value: replacement } : { get: replacement };
  Object.defineProperty(prototype, name, { ...own, ...planted } as PropertyDescriptor);
  return () => {
    Object.defineProperty(prototype, name, own);
  };
}
