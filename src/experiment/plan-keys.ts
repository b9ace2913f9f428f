/** The keys that a plan can have, for suggestions when a key is misspelled. */
import { didYouMean, findSimilar } from '../base/did-you-mean.js';
import { planJsonSchema } from './plan-schema.js';

interface SchemaNode {
  readonly $ref?: string;
  readonly properties?: Readonly<Record<string, SchemaNode>>;
  readonly anyOf?: readonly SchemaNode[];
  readonly oneOf?: readonly SchemaNode[];
  readonly $defs?: Readonly<Record<string, SchemaNode>>;
}

/** @returns the path of every key, with the keys of ranges: `loss`, `loss.from`, `link`, `link.rttMs`, ... */
function listPaths(node: SchemaNode, root: SchemaNode, outer = ''): string[] {
  const target = root.$defs?.[node.$ref?.replace('#/$defs/', '') ?? ''] ?? node;
  const paths = Object.entries(target.properties ?? {}).flatMap(([key, inner]) => {
    const path = `${outer}${key}`;
    return [path, ...listPaths(inner, root, `${path}.`)];
  });
  const alternatives = [...(target.anyOf ?? []), ...(target.oneOf ?? [])];
  return [...paths, ...alternatives.flatMap((inner) => listPaths(inner, root, outer))];
}

let keyPaths: readonly string[] | undefined;

/** Listed when the first plan needs them: that takes longer than checking a plan. */
function listKeyPaths(): readonly string[] {
  if (keyPaths === undefined) {
    const schema = planJsonSchema() as SchemaNode;
    keyPaths = listPaths(schema, schema);
  }
  return keyPaths;
}

/**
 * @param path of the unknown key
 * @returns `; did you mean X?`, or nothing if no key is similar. If the suggested key belongs to another
 *   object, the suggestion is its full path: `link.rttMs`.
 */
export function suggestPlanKey(path: readonly (string | number)[]): string {
  const all = listKeyPaths();
  const key = String(path.at(-1));
  const outer = path
    .slice(0, -1)
    .map((step) => `${step}.`)
    .join('');
  const beside = all
    .filter((each) => each.startsWith(outer) && !each.slice(outer.length).includes('.'))
    .map((each) => each.slice(outer.length));
  const elsewhere = all.find((each) => each.endsWith(`.${key}`) && !isOfRange(each));
  if (elsewhere !== undefined && findSimilar(key, beside) === undefined) {
    return `; did you mean ${elsewhere}?`;
  }
  return didYouMean(key, beside);
}

function isOfRange(path: string): boolean {
  return /\.(from|to|step|factor)$/.test(path);
}
