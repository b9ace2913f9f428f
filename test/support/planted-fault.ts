/** Puts a fault in place of what is right, to see that tests notice it. */
import { assert } from '../../src/base/assert.js';

/** @returns what puts back the method, or getter, that was there */
export function replace(prototype: object, name: string, replacement: unknown): () => void {
  const own = Object.getOwnPropertyDescriptor(prototype, name);
  assert(own !== undefined, `there is no ${name} to replace`);
  const planted = own.get === undefined ? { value: replacement } : { get: replacement };
  Object.defineProperty(prototype, name, { ...own, ...planted } as PropertyDescriptor);
  return () => {
    Object.defineProperty(prototype, name, own);
  };
}
