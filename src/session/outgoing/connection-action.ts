/** What the connections to receivers ask of their session. */
import type { SessionMember } from './member.js';

/** What the session must do for its connections. */
export type ConnectionAction =
  /** The receiver has shown its key: decide whether to trust that key. */
  | { readonly type: 'identify'; readonly member: SessionMember }
  /** The receiver's first answer came from a candidate address other than the first one. */
  | { readonly type: 'other-address'; readonly member: SessionMember }
  /** The receiver answers only small hellos. Full-size hellos might exceed the path MTU. */
  | { readonly type: 'narrow-path'; readonly member: SessionMember }
  /** The receiver has not been heard of for a while. The other receivers need not wait for its reports. */
  | { readonly type: 'late'; readonly member: SessionMember }
  /** The receiver has fallen silent. It might have restarted. */
  | { readonly type: 'silent'; readonly member: SessionMember }
  /** Fail the receiver. `isReachable` says whether to send it the reason. */
  | {
      readonly type: 'fail';
      readonly member: SessionMember;
      readonly reason: string;
      readonly isReachable: boolean;
    };
