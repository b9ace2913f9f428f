/** What a peer brings, as records: its objects in order, each followed by its files (SESSIONS 11.3). */
import type { ExchangeRecord } from '../../wire/exchange-records.js';
import { exchangeLimits } from '../../wire/exchange-records.js';
import type { RosterPeer } from './roster.js';

export function* listingOf({ number, objects }: RosterPeer): Iterable<ExchangeRecord> {
  for (const { owner, object, name, fileCount, content, files } of objects) {
    const { contentRoot, manifestDigest, contentSizeBytes } = content;
    const facts = { name, contentSizeBytes, manifestDigest, contentRoot, fileCount };
    yield { kind: 'object', owner, object, ...facts };
    for (let i = 0; i < files.length; i += exchangeLimits.filesPerRecord) {
      const digests = files.slice(i, i + exchangeLimits.filesPerRecord);
      yield { kind: 'files', owner, object, firstFile: i, digests };
    }
  }
  yield { kind: 'listed', peer: number };
}
