/**
 * An invitation as text that a person copies from one host's terminal to another host's shell: the key of the first, the
 * secret and a checksum. It needs no quoting and never starts with a dash.
 */
import crc32 from 'crc/calculators/crc32';
import { P2mpError } from '../../base/errors.js';
import type { InvitationTerms, ReceivedInvitation } from '../../security/invitations.js';
import { invitationLimits } from '../../security/invitations.js';
import { isEqualBytes } from '../../wire/byte-codec.js';
import { keySizeBytes } from '../../wire/sizes.js';

const prefix = 'p2mp_';
const checksumSizeBytes = 4;
const contentSizeBytes = keySizeBytes + invitationLimits.secretSizeBytes;
const codeLength = prefix.length + Math.ceil(((contentSizeBytes + checksumSizeBytes) * 8) / 6);

export function formatInvitation({ inviterKey, secret }: ReceivedInvitation): string {
  const content = Buffer.concat([inviterKey, secret]);
  return prefix + Buffer.concat([content, checksumOf(content)]).toString('base64url');
}

/**
 * Reads the code of an invitation.
 * @throws P2mpError INVALID_ARGUMENT if it is not a code, or was cut or mistyped
 * @example
 * ```ts
 * import { generateKeyPair, parseInvitation, receive } from 'p2mp';
 *
 * const keyPair = await generateKeyPair();
 * const options = { dir: 'received', port: 0, bind: ['127.0.0.1'], keyPair };
 * const receiving = await receive({ ...options, trustSender: () => 'not trusted' });
 * const code = receiving.invite({ uses: 1, lifetimeMs: 60_000 });
 * console.log(parseInvitation(code).inviterKey.length); // 32
 * await receiving.close('done');
 * ```
 */
export function parseInvitation(code: string): ReceivedInvitation {
  if (!code.startsWith(prefix)) {
    throw invalid(
      `is not an invitation, which starts with ${prefix}; copy the whole line that --invite prints there`,
    );
  }
  const text = code.slice(prefix.length);
  if (code.length !== codeLength) {
    throw invalid(
      `the code has ${code.length} characters instead of ${codeLength}; copy all of it again`,
    );
  }
  const bytes = Buffer.from(text, 'base64url');
  const content = bytes.subarray(0, contentSizeBytes);
  // Node skips characters that are not base64, so the bytes must also encode to the same text again.
  const isWhole =
    bytes.toString('base64url') === text &&
    isEqualBytes(bytes.subarray(contentSizeBytes), checksumOf(content));
  if (!isWhole) throw invalid('the code is mistyped, or a part of it is missing; copy it again');
  return {
    inviterKey: Uint8Array.from(content.subarray(0, keySizeBytes)),
    secret: Uint8Array.from(content.subarray(keySizeBytes)),
  };
}

/** The longest lifetime. It keeps a mistake in the unit from making an invitation that never ends. */
const maxLifetimeMs = 31 * 24 * 3600 * 1000;
const maxUses = 10_000;

/** @throws P2mpError INVALID_ARGUMENT */
export function checkInvitationTerms({ uses, lifetimeMs }: InvitationTerms): void {
  if (!Number.isInteger(uses) || uses < 1 || uses > maxUses) {
    throw invalid(`${uses} uses: must be a whole number from 1 to ${maxUses}`);
  }
  if (!(lifetimeMs > 0 && lifetimeMs <= maxLifetimeMs)) {
    throw invalid(`${lifetimeMs / 1000} s: must be above 0 s and at most 31 days`);
  }
}

function checksumOf(content: Uint8Array): Buffer {
  const checksum = Buffer.alloc(checksumSizeBytes);
  // The calculator's result is signed.
  checksum.writeUInt32BE(crc32(content) >>> 0);
  return checksum;
}

/** The message does not repeat the code: it could end up in a log, and be valid except for one character. */
function invalid(reason: string): P2mpError {
  return new P2mpError('INVALID_ARGUMENT', `invitation: ${reason}`);
}
