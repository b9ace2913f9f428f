/** Reads which receivers did not complete, from the output of an earlier `p2mp send --json`. */
import { P2mpError } from '../../base/errors.js';
import { withoutUndefined } from '../../base/without-undefined.js';
import type { ServerSpec } from '../../node/net/resolve-receivers.js';
import { readTextFile } from '../../node/read-text-file.js';
import { parseServer } from '../arguments.js';

interface EarlierReceiver {
  readonly receiver: string;
  readonly address: string;
  readonly status: string;
  /** The relays that it is behind, the nearest first. */
  readonly via?: readonly string[];
  /** Fingerprint of the key that the receiver announced, if `@lan` found the receiver. */
  readonly fingerprint?: string;
}

/** A receiver to send to again. */
export interface FailedReceiver {
  readonly spec: ServerSpec;
  /** Fingerprint of the key that the receiver must have, if `@lan` found the receiver. */
  readonly fingerprint?: string;
}

/**
 * @param path a file with all lines of the output, or only its last one
 * @returns the receivers to send to again; none if all were complete
 * @throws P2mpError SOURCE_UNREADABLE, INVALID_ARGUMENT
 */
export async function readFailedReceivers(path: string): Promise<FailedReceiver[]> {
  const receivers = (await readTextFile(path))
    .split(/\r?\n/)
    .map(readResult)
    .findLast((each) => each !== undefined);
  if (receivers === undefined) {
    throw new P2mpError(
      'INVALID_ARGUMENT',
      `--retry-failed ${path}: contains no result of p2mp send; save the output of p2mp send --json and name that file`,
    );
  }
  const failed = receivers.filter(({ status }) => status !== 'complete');
  // What is behind a relay is reached through it.
  const relays = new Set(failed.map(({ via = [] }) => via[0]));
  return receivers
    .filter(
      (each) => each.via === undefined && (failed.includes(each) || relays.has(each.receiver)),
    )
    .map(({ receiver, address, fingerprint }) => {
      const port = Number(address.slice(address.lastIndexOf(':') + 1));
      return { spec: parseServer(receiver, port), ...withoutUndefined({ fingerprint }) };
    });
}

/** @returns the receivers of a result of `p2mp send`; undefined if the line is not such a result */
function readResult(line: string): readonly EarlierReceiver[] | undefined {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return undefined;
  }
  const { event, manifestDigest, receivers } = (value ?? {}) as Record<string, unknown>;
  const isSent = event === 'result' && typeof manifestDigest === 'string';
  if (!isSent || !Array.isArray(receivers)) return undefined;
  return receivers.every(isReceiver) ? receivers : undefined;
}

function isReceiver(value: unknown): value is EarlierReceiver {
  const { receiver, address, status, fingerprint } = (value ?? {}) as Record<string, unknown>;
  const isComplete = [receiver, address, status].every((field) => typeof field === 'string');
  const { via } = (value ?? {}) as Record<string, unknown>;
  const isPath =
    via === undefined || (Array.isArray(via) && via.every((each) => typeof each === 'string'));
  return isComplete && isPath && (fingerprint === undefined || typeof fingerprint === 'string');
}
