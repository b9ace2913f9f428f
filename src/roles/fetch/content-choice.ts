/** Which sources offer the content that a fetch has chosen, or can choose. */
import type { AskedObject } from '../../wire/asks.js';
import { isEqualBytes, toHex } from '../../wire/byte-codec.js';
import type { ContentGroup } from './fetch-result.js';
import type { FetchedObjectOptions } from './fetched-object.js';
import { FetchedObject } from './fetched-object.js';
import type { Source } from './source.js';

/** Why a source is not used, and whether it is asked again later. */
export interface Dismissal {
  readonly reason: string;
  readonly isRetried: boolean;
}

const nothing = new Uint8Array(0);
const otherContent = 'holds other content';

export interface ContentChoiceOptions extends FetchedObjectOptions {
  /** What is asked for. */
  readonly what: Partial<AskedObject>;
  /**
   * Whether the first of the sources decides if they offer different content under one name. By default, the fetch fails
   * then, because nobody has said which content is meant.
   */
  readonly prefersFirst?: boolean;
}

/** What a fetch can do with the offers that it has. */
export interface Choice {
  /** Sources that cannot be used, with the reasons. */
  readonly unfit: ReadonlyMap<Source, string>;
  /** The others, by the content that they offer. */
  readonly groups: readonly ContentGroup[];
  /** The content, if there is one group. */
  readonly object: FetchedObject | undefined;
}

/**
 * @param usable all sources that have made an offer
 * @param root the root that is wanted; undefined for any
 */
export function chooseContent(
  options: ContentChoiceOptions,
  usable: readonly Source[],
  root: Uint8Array | undefined,
): Choice {
  const first = usable.find(({ offer }) => offer?.contentRoot !== undefined)?.offer;
  const wanted = root ?? (options.prefersFirst === true ? first?.contentRoot : undefined);
  const unfit = new Map<Source, string>();
  for (const source of usable) {
    const { contentRoot, manifestDigest = nothing } = source.offer ?? {};
    const isManifest = isEqualBytes(manifestDigest, options.what.manifestDigest ?? manifestDigest);
    if (contentRoot === undefined) unfit.set(source, 'does not know the digests of its content');
    else if (!isEqualBytes(contentRoot, wanted ?? contentRoot)) unfit.set(source, otherContent);
    else if (!isManifest) unfit.set(source, 'holds other names, times or modes');
  }
  const fit = usable.filter((source) => !unfit.has(source));
  const groups = groupByContent(fit);
  for (const source of groups.length === 1 ? fit : []) {
    const object = source.offer && FetchedObject.create(options, source.offer);
    if (object !== undefined) return { unfit, groups, object };
    unfit.set(source, 'offers a root that no content of its size has');
  }
  return { unfit, groups, object: undefined };
}

function groupByContent(sources: readonly Source[]): ContentGroup[] {
  const groups = new Map<string, { contentSizeBytes: number; sources: string[] }>();
  for (const { name, offer } of sources) {
    if (offer?.contentRoot === undefined) continue;
    const { contentSizeBytes } = offer;
    const root = toHex(offer.contentRoot);
    const group = groups.get(root) ?? { contentSizeBytes, sources: [] };
    group.sources.push(name);
    groups.set(root, group);
  }
  return [...groups].map(([contentRoot, group]) => ({ contentRoot, ...group }));
}

/**
 * Decides what becomes of a source that has made an offer after the content was chosen.
 * @param usable all sources that have made an offer
 * @param isSizeProven whether it is certain that the content has the chosen size
 */
export function judgeOffer(
  source: Source,
  object: FetchedObject,
  usable: readonly Source[],
  isSizeProven: boolean,
): 'use' | 'choose-again' | Dismissal {
  const { contentRoot = nothing } = source.offer ?? {};
  if (!isEqualBytes(contentRoot, object.contentRoot))
    return { reason: otherContent, isRetried: false };
  const isOfSize = ({ offer }: Source) => offer?.contentSizeBytes === object.contentSizeBytes;
  if (isOfSize(source)) return 'use';
  if (isSizeProven) return { reason: 'offers a wrong size of the content', isRetried: false };
  // One of them lies.
  if (!usable.some(isOfSize)) return 'choose-again';
  return { reason: 'offers another size of the content', isRetried: true };
}
