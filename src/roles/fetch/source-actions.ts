import type { RefusedEvent } from '../../base/refusal.js';
import type { OtherAddressEvent } from '../../path/candidate-addresses.js';
import type { FaultEvent } from '../../wire/faults.js';
import type { Nodes } from '../../wire/tree-nodes.js';
import type { DeferredEvent, GroupEvent, SharedEvent } from './fetch-result.js';
import type { Source } from './source.js';

/** What has happened to a source. */
export type SourceAction =
  | { readonly type: 'offer'; readonly source: Source }
  /** It has not been heard of for a while, but may come back. */
  | { readonly type: 'silent'; readonly source: Source }
  /** It has come back, and its session continues. */
  | { readonly type: 'heard'; readonly source: Source }
  /** Nothing can be asked of it any more. It is asked again later if `isRetried`. */
  | {
      readonly type: 'lost';
      readonly source: Source;
      readonly reason: string;
      readonly isRetried: boolean;
    }
  | {
      readonly type: 'manifest-part';
      readonly source: Source;
      readonly offsetBytes: number;
      readonly bytes: Uint8Array;
    }
  | { readonly type: 'nodes'; readonly source: Source; readonly nodes: Nodes }
  | {
      readonly type: 'block';
      readonly source: Source;
      readonly session: number;
      readonly block: number;
      readonly bytes: Uint8Array;
    }
  /** The source has shown its key. */
  | {
      readonly type: 'identify';
      readonly source: Source;
      readonly ask: number;
      readonly serverKey: Uint8Array;
    }
  | DeferredEvent
  | SharedEvent
  | GroupEvent
  | OtherAddressEvent
  | RefusedEvent
  | FaultEvent;
