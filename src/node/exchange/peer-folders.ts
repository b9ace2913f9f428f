/** Where a peer keeps what others bring: a folder for each of them, called like it. */
import { join } from 'node:path';
import type { ExchangeStores } from '../../roles/exchange/objects/remote-object.js';
import { SessionParts } from '../disk/parts/session-parts.js';
import type { FileBudget } from '../disk/store/file-budget.js';
import { PlacedIndex } from '../disk/store/placed-files.js';
import { PlacedContent } from './placed-content.js';

/**
 * How long blocks wait for others before they are written. Several objects arrive at once, each at a part of the speed
 * of the link, and starting a write costs more than writing a block.
 */
const gatherMs = 128;

export interface PeerFoldersOptions {
  readonly dir: string;
  readonly fileBudget: FileBudget;
  /** Gets an error that is a bug. */
  readonly crash: (error: unknown) => void;
}

export class PeerFolders {
  private readonly byOwner = new Map<string, { parts: SessionParts; stores: ExchangeStores }>();
  private readonly opened = new Set<PlacedContent>();
  /** What the others bring, as far as it is known. */
  private arrivingBytes = 0;

  private constructor(
    private readonly options: PeerFoldersOptions,
    private readonly placed: PlacedIndex,
  ) {}

  static async open(options: PeerFoldersOptions): Promise<PeerFolders> {
    return new PeerFolders(options, await PlacedIndex.open(undefined));
  }

  /** The folder of the peer with this name. */
  of(owner: string): ExchangeStores {
    const known = this.byOwner.get(owner) ?? this.createFor(owner);
    this.byOwner.set(owner, known);
    return known.stores;
  }

  private createFor(owner: string) {
    const { fileBudget, crash } = this.options;
    const dir = join(this.options.dir, owner);
    const parts = new SessionParts({
      ...{ dir, fileBudget, placed: this.placed, protectedPaths: [], updatesModes: false },
      // Each block is verified, so it does not matter which peer sent it.
      ...{ verifiesDisk: false, sharesParts: true, comparesAll: true, gatherMs },
      arrivingBytes: () => this.arrivingBytes,
      handleBadBlock: () => undefined,
    });
    const stores: ExchangeStores = {
      create: (request, handleFailure) => {
        this.arrivingBytes += request.manifest.contentSizeBytes;
        return parts.create(request, handleFailure);
      },
      drop: (object) => parts.drop(object),
      openStored: ({ manifest }) => {
        const content = new PlacedContent(dir, manifest, fileBudget, crash);
        this.opened.add(content);
        return content;
      },
    };
    return { parts, stores };
  }

  /** Resolves once nothing is written any more, and everything is closed. */
  async close(): Promise<void> {
    for (const { parts } of this.byOwner.values()) await parts.settle();
    await Promise.all([...this.opened].map((content) => content.close()));
    this.placed.close();
  }
}
