/** Lines of `sha256sum`: the digest in hexadecimal, a blank, a blank or a star, and the name. */

export interface Sha256Line {
  readonly sha256: string;
  readonly path: string;
}

/** A backslash before the digest shows that the name has escapes, as in `sha256sum` of GNU coreutils. */
export function formatSha256({ sha256, path }: Sha256Line): string {
  const escaped = path.replace(/[\\\n\r]/g, (character) => escapes[character] ?? character);
  return `${escaped === path ? '' : '\\'}${sha256}  ${escaped}`;
}

/** @returns undefined if the line has another format */
export function parseSha256(line: string): Sha256Line | undefined {
  const [, mark, sha256 = '', name = ''] = /^(\\?)([0-9a-f]{64}) [ *](.+)$/i.exec(line) ?? [];
  if (name === '') return undefined;
  const path = mark === '' ? name : name.replace(/\\([\\nr])/g, (_, code) => escaped[code as Code]);
  return { sha256: sha256.toLowerCase(), path };
}

const escapes: Readonly<Record<string, string>> = { '\\': '\\\\', '\n': '\\n', '\r': '\\r' };
const escaped = { '\\': '\\', n: '\n', r: '\r' } as const;
type Code = keyof typeof escaped;
