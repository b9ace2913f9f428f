/** A relay that sends on what it receives, over real sockets. */
import { formatAddress } from '../../base/address.js';
import { P2mpError } from '../../base/errors.js';
import type { TimeMs } from '../../base/machine.js';
import { withoutUndefined } from '../../base/without-undefined.js';
import { ForwardMachine } from '../../roles/forward/forward-machine.js';
import type { ForwardEvent } from '../../roles/forward/forwarder.js';
import type { ForwardRoute } from '../../roles/forward/forwarding.js';
import type { SessionCrypto } from '../../security/crypto.js';
import { SessionParts } from '../disk/parts/session-parts.js';
import { PlacedIndex } from '../disk/store/placed-files.js';
import { parseInvitation } from '../keys/invitation-code.js';
import { createWarmCrypto } from '../keys/node-crypto.js';
import { refusalOf } from '../keys/trust-answer.js';
import { chooseGroup, groupSource } from '../net/groups/group-address.js';
import { NarrowPaths } from '../net/narrow-paths.js';
import { createOwnAddressCheck } from '../net/own-address.js';
import { PathFit } from '../net/path-fit.js';
import { chooseLocalPaths, hostsOf, pathFinder } from '../net/paths/local-paths.js';
import type { ServerSpec } from '../net/resolve-receivers.js';
import { resolveReceivers, withLocalHosts } from '../net/resolve-receivers.js';
import { findUnreachable } from '../net/routes.js';
import { machineOptionsOf, prepareFolder, ReceivingHost } from '../receive/receiving-host.js';
import { LateHost } from '../serve/serving-port.js';
import type { SendOnOptions } from './send-on-options.js';

/** Where a relay sends objects on. */
interface Route extends ForwardRoute {
  readonly fit: PathFit;
  /** The source address of group datagrams. */
  readonly groupFrom: string | undefined;
}

/** This host, as a sender. */
interface Own {
  readonly crypto: SessionCrypto;
  /** From where it sends; none if the system chooses. They change with the addresses of the host. */
  localHosts: readonly string[];
}

/** @throws P2mpError INVALID_ARGUMENT, UNKNOWN_HOST */
async function findRoute(
  options: SendOnOptions,
  own: Own,
  to: readonly ServerSpec[],
): Promise<Route> {
  const { multicast = 'auto', livenessTimeoutMs, rateBytesPerSec } = options;
  const invitations = options.invitations?.map(parseInvitation);
  // Hosts behind one address differ in the port.
  const named = to.map((spec) => ({ ...spec, name: formatAddress(spec) }));
  const receivers = await withLocalHosts(await resolveReceivers(named), own.localHosts);
  const addresses = receivers.map(({ address }) => address);
  const createGroup = () => chooseGroup(multicast, addresses);
  const group = createGroup();
  const groupFrom = group === undefined ? undefined : await groupSource(group, addresses);
  const fit = new PathFit({ receivers: addresses, group, groupFrom });
  return {
    ...{ receivers, fit, groupFrom },
    createTerms: (mssBytes = fit.mssBytes()) => ({
      ...{ crypto: own.crypto, mssBytes, localHosts: own.localHosts },
      ...withoutUndefined({ group: createGroup(), invitations }),
      ...withoutUndefined({ livenessTimeoutMs, rateBytesPerSec }),
    }),
  };
}

type EventOf<Type extends ForwardEvent['type']> = Extract<ForwardEvent, { type: Type }>;

/**
 * A running relay that sends on what it receives. `relay()` makes it.
 * @example
 * ```ts
 * import { generateKeyPair, relay } from 'p2mp';
 *
 * const relaying = await relay({
 *   to: [{ host: '127.0.0.1', port: 7735 }],
 *   dir: 'spool',
 *   port: 0,
 *   bind: ['127.0.0.1'],
 *   keyPair: await generateKeyPair(),
 *   trustSender: () => true,
 *   trustReceiver: () => true,
 * });
 * console.log(relaying.addresses.length, relaying.activeCount); // 1 0
 * await relaying.close('done');
 * ```
 */
export class SendingOn extends ReceivingHost<ForwardEvent> {
  private readonly narrowPaths = new Map<number, NarrowPaths>();
  private fit: PathFit | undefined;

  private constructor(
    private readonly options: SendOnOptions,
    private readonly machine: ForwardMachine,
    private readonly parts: SessionParts,
    private readonly own: Own,
  ) {
    super(options, machine.receiver, 'relay');
  }

  /** @throws P2mpError INVALID_ARGUMENT, UNKNOWN_HOST, TARGET_UNWRITABLE, PORT_UNAVAILABLE */
  static async open(options: SendOnOptions): Promise<SendingOn> {
    const { dir, keyPair } = options;
    const paths = chooseLocalPaths(options.networkPaths);
    const crypto = await createWarmCrypto(keyPair);
    const own = { crypto, localHosts: hostsOf(paths) };
    const route = await findRoute(options, own, options.to);
    const folder = await prepareFolder(options);
    const parts = new SessionParts({
      ...{ dir, verifiesDisk: false, sharesParts: false, comparesAll: false, updatesModes: false },
      fileBudget: folder.fileBudget,
      placed: await PlacedIndex.open(undefined),
      protectedPaths: [],
      handleBadBlock: () => undefined,
    });
    const host = new LateHost();
    const machine = new ForwardMachine({
      ...machineOptionsOf(options, folder),
      ...{ crypto, host, stores: parts, ...route },
    });
    const sendingOn = new SendingOn(options, machine, parts, own);
    const runner = await sendingOn.listen({
      ...{ machine, paths, findPaths: pathFinder(options.networkPaths, paths) },
      receivesBatches: true,
      handleEvent: (event) => sendingOn.handleEvent(event),
      handleSendError: (error) => sendingOn.handleSendError(error),
    });
    host.runner = runner;
    runner.watchPorts(
      () => machine.forwarder.awaited(),
      (...refusal) => machine.handleRefusal(...refusal),
    );
    try {
      sendingOn.setRoute(route);
    } catch (error) {
      await sendingOn.close('this relay failed to start');
      throw error;
    }
    return sendingOn;
  }

  /**
   * Sends the objects that come from now on to these receivers. Those that are passing go where they went before.
   * @throws P2mpError INVALID_ARGUMENT, UNKNOWN_HOST; then all stay as they are
   */
  async setReceivers(to: readonly ServerSpec[]): Promise<void> {
    this.setRoute(await findRoute(this.options, this.own, to));
  }

  private setRoute(route: Route): void {
    const { runner, options, machine } = this;
    const isOwn = createOwnAddressCheck(() => this.addresses);
    const own = route.receivers.find(({ address }) => isOwn(address));
    if (own !== undefined) {
      const message = `${own.name} is this relay itself; name the receivers behind it`;
      throw new P2mpError('INVALID_ARGUMENT', message);
    }
    this.fit = route.fit;
    machine.forwarder.setRoute(route);
    if (route.groupFrom !== undefined)
      runner?.sockets?.sendGroupsBy(route.groupFrom, options.multicastTtl ?? 1);
  }

  protected async release(): Promise<void> {
    this.machine.forwarder.stop();
    await this.parts.settle();
  }

  // --- Events

  private handleEvent(event: ForwardEvent): void {
    if (event.type === 'identify') void this.decide(event);
    else if (event.type === 'behind') this.handleBehind(event);
    else {
      this.handleReceived(event.event);
      if (event.event.type === 'end') this.narrowPaths.delete(event.event.result.session);
    }
  }

  private handleBehind({ info, event }: EventOf<'behind'>): void {
    const { onEvent } = this.options;
    if (event.type === 'receiver') onEvent?.({ type: 'receiver', info, outcome: event.outcome });
    else if (
      event.type === 'fault' ||
      event.type === 'port-refused' ||
      event.type === 'unreachable'
    )
      onEvent?.(event);
    else if (event.type === 'narrow-path')
      this.narrowPathsOf(info.session)?.handleSuspicion(event.index);
  }

  private async decide(event: EventOf<'identify'>): Promise<void> {
    const { sender, index, receiver, receiverKey } = event;
    const refusal = await this.refusalOf(receiver, receiverKey);
    const { runner, machine } = this;
    if (runner === undefined || sender.isDone) return;
    machine.trust(runner.nowMs, sender, index, receiverKey, refusal);
    runner.drain();
  }

  private async refusalOf(name: string, receiverKey: Uint8Array): Promise<string | undefined> {
    try {
      const answer = await this.options.trustReceiver(name, receiverKey);
      return refusalOf(answer, 'its key is not trusted at the relay');
    } catch (error) {
      return `its key could not be checked: ${error instanceof Error ? error.message : error}`;
    }
  }

  // --- Paths

  protected override handleMove(nowMs: TimeMs): void {
    super.handleMove(nowMs);
    const hosts = hostsOf(this.runner?.pathAddresses ?? []);
    if (hosts.length === 0) return;
    this.own.localHosts = hosts;
    for (const { sender } of this.machine.forwarder.forwardings) sender.setLocalHosts(nowMs, hosts);
  }

  private narrowPathsOf(session: number): NarrowPaths | undefined {
    const known = this.narrowPaths.get(session);
    const forwarding = this.machine.forwarder.find(session);
    const { fit, runner, options } = this;
    if (known !== undefined || forwarding === undefined || fit === undefined) return known;
    const paths = new NarrowPaths({
      ...{ sender: () => forwarding.sender, fit, isAuto: true },
      restart: (mssBytes) => forwarding.restart(mssBytes),
      nowMs: () => runner?.nowMs ?? 0,
      drain: () => runner?.drain(),
      handleResize: (mssBytes, reason) => options.onEvent?.({ type: 'resize', mssBytes, reason }),
      handleHopeless: () => undefined,
    });
    this.narrowPaths.set(session, paths);
    return paths;
  }

  protected override handleSendError(error: NodeJS.ErrnoException): void {
    const { runner } = this;
    let isFound = false;
    for (const { sender, info } of this.machine.forwarder.forwardings) {
      if (error.code === 'EMSGSIZE') {
        isFound = this.narrowPathsOf(info.session)?.handleRefusal(error) === true || isFound;
        continue;
      }
      const found = findUnreachable(sender.peers, error);
      if (found === undefined || runner === undefined) continue;
      isFound = true;
      sender.failReceiver(runner.nowMs, found.index, found.reason);
    }
    if (isFound) runner?.drain();
    else super.handleSendError(error);
  }
}
