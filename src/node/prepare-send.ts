/** The steps of `send` before its first datagram. A dry run consists of only these steps. */
import { basename, resolve } from 'node:path';
import type { Address } from '../base/address.js';
import { P2mpError } from '../base/errors.js';
import { withoutUndefined } from '../base/without-undefined.js';
import { encodeInSteps, manifestLimits } from '../object/manifest.js';
import { hashInSteps } from '../security/crypto.js';
import { SessionSender } from '../session/sender.js';
import type { ReceiverSpec } from '../transfer/receiver-spec.js';
import { Exclusions } from './disk/source/exclusions.js';
import { ObjectSource } from './disk/source/object-source.js';
import { SparedEntries } from './disk/source/spared-entries.js';
import { runInTurns } from './in-turns.js';
import { parseInvitation } from './keys/invitation-code.js';
import { generateKeyPair } from './keys/key-files.js';
import { createNodeCrypto } from './keys/node-crypto.js';
import { chooseGroup, groupSource } from './net/groups/group-address.js';
import { PathFit } from './net/path-fit.js';
import type { LocalPath } from './net/paths/local-paths.js';
import { chooseLocalPaths, hostsOf, pathFinder } from './net/paths/local-paths.js';
import type { FoundReceiver } from './net/resolve-receivers.js';
import { resolveReceivers, withLocalHosts } from './net/resolve-receivers.js';
import type { PlanOptions } from './send-options.js';

/** @param localHosts where paths begin; those of the start by default */
export type CreateSender = (mssBytes: number, localHosts?: readonly string[]) => SessionSender;

export interface PreparedSend {
  /** The open source. The caller must close it. */
  readonly source: ObjectSource;
  readonly receivers: readonly FoundReceiver[];
  /** From where to send. */
  readonly paths: readonly LocalPath[];
  /** As of `SocketRunner`. */
  readonly findPaths: (() => readonly LocalPath[]) | undefined;
  readonly group: Address | undefined;
  /** Source address of multicast datagrams. */
  readonly groupFrom: string | undefined;
  readonly label: string;
  readonly fit: PathFit;
  /**
   * The sender. Its segment size is `mssBytes`, if given. Otherwise, it is the largest size that the paths
   * carry, as far as the system knows.
   */
  readonly sender: SessionSender;
  /** Creates another sender of the same object, with a different segment size. */
  readonly createSender: CreateSender;
}

/**
 * @throws P2mpError INVALID_ARGUMENT, UNKNOWN_HOST, SOURCE_UNREADABLE, or the reason of the signal if it
 *   aborts before the source is open
 */
export async function prepareSend(options: PlanOptions): Promise<PreparedSend> {
  const exclusions = await Exclusions.load(options.exclusions ?? {});
  const source = await openSource(options, exclusions);
  try {
    const { mssBytes = 'auto' } = options;
    const found = await resolveReceivers(options.receivers);
    const addresses = found.map(({ address }) => address);
    const paths = chooseLocalPaths(options.networkPaths, { peers: addresses });
    const findPaths = pathFinder(options.networkPaths, paths, { peers: addresses });
    const localHosts = hostsOf(paths);
    const receivers = await withLocalHosts(found, localHosts);
    const group = chooseGroup(options.multicast ?? 'auto', addresses);
    const groupFrom = group === undefined ? undefined : await groupSource(group, addresses);
    const fit = new PathFit({ receivers: addresses, group, groupFrom });
    const label = labelOf(options);
    const ends = { receivers, localHosts, group };
    const createSender = await prepareSender(options, { source, exclusions }, ends);
    const sender = createSender(mssBytes === 'auto' ? fit.mssBytes() : mssBytes);
    return {
      ...{ source, receivers, paths, findPaths, group, groupFrom, label, fit, sender },
      createSender,
    };
  } catch (error) {
    await source.close();
    throw error;
  }
}

async function prepareSender(
  options: PlanOptions,
  { source, exclusions }: { readonly source: ObjectSource; readonly exclusions: Exclusions },
  ends: {
    readonly receivers: readonly ReceiverSpec[];
    readonly localHosts: readonly string[];
    readonly group: Address | undefined;
  },
): Promise<CreateSender> {
  const { signal } = options;
  const { receivers, localHosts, group } = ends;
  const manifest = await runInTurns(encodeInSteps(source.manifest), signal);
  if (manifest.length > manifestLimits.sizeBytes) {
    throw new P2mpError(
      'INVALID_ARGUMENT',
      `${source.manifest.entries.length} entries exceed the limit of a session; send the entries in several sessions`,
    );
  }
  const invitations = options.invitations?.map(parseInvitation);
  const { keyPair, livenessTimeoutMs, rateBytesPerSec, existing = 'quick' } = options;
  const { deletion = 'none' } = options;
  const spared =
    deletion === 'none' ? undefined : SparedEntries.create(source, exclusions, existing);
  const crypto = await createNodeCrypto(keyPair ?? (await generateKeyPair()));
  const manifestDigest = await runInTurns(hashInSteps(crypto, manifest), signal);
  return (mssBytes, hosts = localHosts) =>
    new SessionSender({
      ...{ receivers, localHosts: hosts },
      label: labelOf(options),
      manifest,
      manifestDigest,
      contentSizeBytes: source.manifest.contentSizeBytes,
      crypto,
      mssBytes,
      ...withoutUndefined({ group, livenessTimeoutMs, rateBytesPerSec, invitations }),
      ...{ existing, deletion },
      isSpared: (name: string, isFolder: boolean) => spared?.has(name, isFolder) ?? true,
      listedAtMs: source.listedAtMs,
      // The manifest of standard input contains the current time, so every `send` creates a different object.
      isUnrepeatable: pathsOf(options).includes('-'),
    });
}

async function openSource(options: PlanOptions, exclusions: Exclusions): Promise<ObjectSource> {
  const { input, inputName, dest, signal } = options;
  const paths = pathsOf(options);
  if (paths.length === 0) {
    throw new P2mpError('INVALID_ARGUMENT', 'nothing to send: name a file or a folder');
  }
  return ObjectSource.open({
    paths,
    exclusions,
    ...withoutUndefined({ input, inputName, dest, signal }),
  });
}

/** The label that users of receivers see. */
function labelOf(options: PlanOptions): string {
  const { inputName } = options;
  const paths = pathsOf(options);
  const [first = ''] = paths;
  const name = first === '-' ? (inputName ?? 'stdin') : basename(resolve(first));
  return paths.length === 1 ? name : `${name} and ${paths.length - 1} more`;
}

function pathsOf({ paths }: PlanOptions): readonly string[] {
  return [paths].flat();
}
