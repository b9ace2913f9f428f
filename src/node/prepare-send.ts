/** Everything that a send does before its first datagram; a dry run does the same and no more. */
import { basename, resolve } from 'node:path';
import type { Address } from '../base/address.js';
import { P2mpError } from '../base/errors.js';
import { encodeInSteps, manifestLimits } from '../object/manifest.js';
import { hashInSteps } from '../security/crypto.js';
import { SessionSender } from '../session/sender.js';
import type { ReceiverSpec } from '../transfer/receiver-spec.js';
import { ObjectSource } from './disk/source/object-source.js';
import { runInTurns } from './in-turns.js';
import { generateKeyPair } from './keys/key-files.js';
import { createNodeCrypto } from './keys/node-crypto.js';
import { chooseGroup, groupSource } from './net/group-address.js';
import { PathFit } from './net/path-fit.js';
import type { FoundReceiver } from './net/resolve-receivers.js';
import { resolveReceivers } from './net/resolve-receivers.js';
import type { SendOptions } from './send-options.js';

export interface PreparedSend {
  /** Open: the caller closes it. */
  readonly source: ObjectSource;
  readonly receivers: readonly FoundReceiver[];
  readonly group: Address | undefined;
  /** The local address that datagrams to the group leave from. */
  readonly groupFrom: string | undefined;
  readonly label: string;
  readonly fit: PathFit;
  /** Its segments are as large as the system says that the paths carry, unless a size is given. */
  readonly sender: SessionSender;
  /** Makes a sender of this object with segments of another size. */
  readonly createSender: (mssBytes: number) => SessionSender;
}

/**
 * @throws P2mpError INVALID_ARGUMENT, UNKNOWN_HOST, SOURCE_UNREADABLE; the signal's reason, if it is aborted while
 *   the source is opened
 */
export async function prepareSend(options: SendOptions): Promise<PreparedSend> {
  const source = await openSource(options);
  try {
    const { mssBytes = 'auto' } = options;
    const receivers = await resolveReceivers(options.receivers);
    const addresses = receivers.map(({ address }) => address);
    const group = chooseGroup(options.multicast ?? 'auto', addresses);
    const groupFrom = group === undefined ? undefined : await groupSource(group, addresses);
    const fit = new PathFit({ receivers: addresses, group, groupFrom });
    const label = labelOf(options);
    const createSender = await prepareSender(options, source, receivers, group);
    const sender = createSender(mssBytes === 'auto' ? fit.mssBytes() : mssBytes);
    return { source, receivers, group, groupFrom, label, fit, sender, createSender };
  } catch (error) {
    await source.close();
    throw error;
  }
}

async function prepareSender(
  options: SendOptions,
  source: ObjectSource,
  receivers: readonly ReceiverSpec[],
  group: Address | undefined,
): Promise<(mssBytes: number) => SessionSender> {
  const { signal } = options;
  const manifest = await runInTurns(encodeInSteps(source.manifest), signal);
  if (manifest.length > manifestLimits.sizeBytes) {
    throw new P2mpError(
      'INVALID_ARGUMENT',
      `${source.manifest.entries.length} entries exceed the limit of a session; send them in parts`,
    );
  }
  const { keyPair, giveUpAfterMs, rateBytesPerSec, existing } = options;
  const crypto = await createNodeCrypto(keyPair ?? (await generateKeyPair()));
  const manifestDigest = await runInTurns(hashInSteps(crypto, manifest), signal);
  return (mssBytes) =>
    new SessionSender({
      receivers,
      label: labelOf(options),
      manifest,
      manifestDigest,
      contentSizeBytes: source.manifest.contentSizeBytes,
      crypto,
      mssBytes,
      ...(group === undefined ? {} : { group }),
      ...(giveUpAfterMs === undefined ? {} : { giveUpAfterMs }),
      ...(rateBytesPerSec === undefined ? {} : { rateBytesPerSec }),
      ...(existing === undefined ? {} : { existing }),
      // Standard input has its time in its manifest: it is another object each time.
      isUnrepeatable: options.paths.includes('-'),
    });
}

function openSource({ paths, input, inputName, signal }: SendOptions): Promise<ObjectSource> {
  if (paths.length === 0) {
    throw new P2mpError('INVALID_ARGUMENT', 'nothing to send: name a file or a folder');
  }
  return ObjectSource.open({
    paths,
    ...(input === undefined ? {} : { input }),
    ...(inputName === undefined ? {} : { inputName }),
    ...(signal === undefined ? {} : { signal }),
  });
}

/** What people at the other end read. */
function labelOf({ paths, inputName }: SendOptions): string {
  const [first = ''] = paths;
  const name = first === '-' ? (inputName ?? 'stdin') : basename(resolve(first));
  return paths.length === 1 ? name : `${name} and ${paths.length - 1} more`;
}
