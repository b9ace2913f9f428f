/** `--path`: the interfaces and addresses of this host by which several paths go at once. */
import type { NetworkPaths } from '../node/net/paths/local-paths.js';
import { listOption } from './command.js';

export const networkPathsOption = {
  path: {
    ...listOption,
    value: 'IFACE|ADDRESS,...',
    describe:
      'Interfaces or own addresses to use at once for each transfer, separated by commas, at most 4; or auto',
    defaultDescription: 'one path, chosen by the system',
  },
} as const;

/** The option of the library, if the option is given. The library checks it. */
export function networkPathsOf({ path }: { readonly path: readonly string[] | undefined }): {
  readonly networkPaths?: NetworkPaths;
} {
  if (path === undefined) return {};
  const names = path.flatMap((each) => each.split(',')).map((each) => each.trim());
  return { networkPaths: names.length === 1 && names[0] === 'auto' ? 'auto' : names };
}
