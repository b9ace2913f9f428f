/** The coordinator of an exchange, over real sockets. */
import { setImmediate, setTimeout } from 'node:timers/promises';
import type { Address } from '../../base/address.js';
import { formatAddress } from '../../base/address.js';
import { withoutUndefined } from '../../base/without-undefined.js';
import type { CoordinatorMachineEvent } from '../../roles/exchange/coordinator-machine.js';
import { CoordinatorMachine } from '../../roles/exchange/coordinator-machine.js';
import type { RosterPeer } from '../../roles/exchange/roster.js';
import type { InvitationTerms } from '../../security/invitations.js';
import { standardBlockSizeBytes } from '../../wire/sizes.js';
import { checkInvitationTerms, formatInvitation } from '../keys/invitation-code.js';
import { createWarmCrypto } from '../keys/node-crypto.js';
import { refusalOf } from '../keys/trust-answer.js';
import { SendErrorLog } from '../net/send-error-log.js';
import { SocketRunner } from '../net/socket-runner.js';
import type {
  CoordinateExchangeEvent,
  CoordinateExchangeOptions,
  CoordinateExchangeResult,
  ExchangePeerStatus,
} from './coordinate-options.js';
import { CoordinatorLog } from './coordinator-log.js';
import { describePeer } from './exchange-facts.js';
import { statusesOf } from './peer-statuses.js';

type EndEvent = Extract<CoordinatorMachineEvent, { type: 'end' }>;

const untrusted = 'the coordinator does not let its key take part';

const farewellCheckMs = 5;

/**
 * A running coordinator. `coordinateExchange` makes it.
 * @example
 * ```ts
 * import { coordinateExchange, generateKeyPair } from 'p2mp';
 *
 * const coordinating = await coordinateExchange({
 *   peers: 2,
 *   port: 0,
 *   bind: ['127.0.0.1'],
 *   keyPair: await generateKeyPair(),
 *   trustPeer: () => true,
 * });
 * coordinating.end('done');
 * console.log((await coordinating.result).status); // incomplete
 * ```
 */
export class Coordinating {
  /** Resolves when the exchange is over, and the peers know that. */
  readonly result: Promise<CoordinateExchangeResult>;
  private runner: SocketRunner<CoordinatorMachineEvent> | undefined;
  private readonly sendErrors = new SendErrorLog((message) =>
    this.emit({ type: 'send-error', message }),
  );
  private handleEnd: (end: EndEvent) => void = () => undefined;
  private crash: (error: unknown) => void = () => undefined;

  private constructor(
    private readonly options: CoordinateExchangeOptions,
    private readonly machine: CoordinatorMachine,
    private readonly log: CoordinatorLog | undefined,
  ) {
    const ended = new Promise<EndEvent>((resolve, reject) => {
      this.handleEnd = resolve;
      this.crash = reject;
    });
    this.result = this.run(ended);
    // The caller might not look at the result before it is rejected.
    this.result.catch(() => undefined);
  }

  /** @throws P2mpError TARGET_UNWRITABLE, PORT_UNAVAILABLE */
  static async open(options: CoordinateExchangeOptions): Promise<Coordinating> {
    const { peers, deadlineMs: startAfterMs, stalledAfterMs, keyPair, trustPeer } = options;
    const { logFolder, port, bind, rejoinWithinMs } = options;
    const machine = new CoordinatorMachine({
      ...{ expectedPeers: peers, blockSizeBytes: standardBlockSizeBytes },
      crypto: await createWarmCrypto(keyPair),
      refuseAsker: (key) => refusalOf(trustPeer(key), untrusted),
      // Its clock continues if this process is started again.
      clockOffsetMs: performance.timeOrigin,
      ...withoutUndefined({ startAfterMs, stalledAfterMs, rejoinWithinMs }),
    });
    const log = logFolder === undefined ? undefined : await CoordinatorLog.open(logFolder);
    const coordinating = new Coordinating(options, machine, log);
    try {
      coordinating.runner = await SocketRunner.open<CoordinatorMachineEvent>({
        ...{ machine, port, ...withoutUndefined({ bind }) },
        handleEvent: (event) => coordinating.handleEvent(event),
        handleSendError: (error) => coordinating.sendErrors.add(error),
      });
      coordinating.runner.drain();
    } catch (error) {
      coordinating.crash(error);
      await coordinating.result.catch(() => undefined);
      throw error;
    }
    return coordinating;
  }

  /** The addresses that the coordinator listens on. */
  get addresses(): Address[] {
    return this.runner?.addresses ?? [];
  }

  /** All peers that were in the exchange; each once. */
  get peers(): ExchangePeerStatus[] {
    return statusesOf(this.machine.coordinator.roster);
  }

  /**
   * Invites hosts that `trustPeer` refuses. An `invited` event reports each host that comes.
   * @returns a code for the `invitations` of a peer. It is a secret: anyone who has it can take part.
   * @throws P2mpError INVALID_ARGUMENT
   */
  invite(terms: InvitationTerms): string {
    checkInvitationTerms(terms);
    const secret = this.machine.invite(this.nowMs, terms);
    return formatInvitation({ inviterKey: this.options.keyPair.publicKey, secret });
  }

  /** Ends the exchange for all peers. They keep what they have. */
  end(reason: string): void {
    // Later, because this call can come from an event handler.
    void setImmediate().then(() => {
      this.machine.end(this.nowMs, reason);
      this.runner?.drain();
    });
  }

  private async run(ended: Promise<EndEvent>): Promise<CoordinateExchangeResult> {
    const { progressIntervalMs = 1000, onEvent } = this.options;
    const progress =
      onEvent === undefined ? undefined : setInterval(() => this.report(), progressIntervalMs);
    try {
      const { reason, elapsedMs } = await ended;
      this.log?.noteEnd(this.clockTimes(), elapsedMs, reason);
      this.report();
      while (!this.machine.coordinator.isDone) await setTimeout(farewellCheckMs);
      const isWhole = reason === '';
      const result: CoordinateExchangeResult = {
        status: isWhole ? 'complete' : 'incomplete',
        ...(isWhole ? {} : { reason }),
        ...{ peers: this.peers, elapsedMs },
      };
      await this.log?.conclude(this.machine.coordinator.roster, result, this.options.link);
      return result;
    } finally {
      clearInterval(progress);
      await this.runner?.close();
      await this.log?.close();
    }
  }

  private get nowMs(): number {
    return this.runner?.nowMs ?? performance.now();
  }

  private emit(event: CoordinateExchangeEvent): void {
    this.log?.write(this.clockTimes(), event);
    this.options.onEvent?.(event);
  }

  private clockTimes() {
    const { startMs } = this.machine.coordinator;
    const { nowMs } = this;
    const unixMs = performance.timeOrigin + nowMs;
    return { unixMs, sinceStartMs: startMs === undefined ? undefined : nowMs - startMs };
  }

  private report(): void {
    const { startMs } = this.machine.coordinator;
    const elapsedMs = startMs === undefined ? undefined : Math.max(0, this.nowMs - startMs);
    this.emit({ type: 'progress', peers: this.peers, elapsedMs });
  }

  private reportJoined({ name, address, objects }: RosterPeer): void {
    this.emit({
      ...{ type: 'joined', name, address: formatAddress(address) },
      objects: objects.map(({ name: objectName, content, fileCount }) => {
        const { contentSizeBytes } = content;
        return { name: objectName, contentSizeBytes, fileCount };
      }),
    });
  }

  private handleEvent(event: CoordinatorMachineEvent): void {
    switch (event.type) {
      case 'joined':
        this.reportJoined(event.peer);
        break;
      case 'absent': {
        const { name, presence } = event.peer;
        this.emit({ type: 'absent', name, presence: presence === 'left' ? 'left' : 'silent' });
        break;
      }
      case 'back':
        this.emit({ type: 'back', name: event.peer.name });
        break;
      case 'awaited': {
        const peers = event.peers.map(({ name }) => name);
        this.emit({ type: 'awaited', peers, forMs: event.forMs });
        break;
      }
      case 'start': {
        const { roster } = this.machine.coordinator;
        const there = [...roster.peers.values()].filter(({ isPresent }) => isPresent);
        const peers = there.map((peer) => describePeer(peer).name);
        this.emit({ type: 'start', inMs: event.atMs - this.nowMs, peers });
        break;
      }
      case 'held':
        this.log?.noteHeld(event);
        break;
      case 'stored': {
        const { peer, object, atMs: elapsedMs } = event;
        const { content } = object;
        const owner = content.owners[0]?.name ?? '';
        this.log?.noteStored(event);
        this.emit({
          ...{ type: 'stored', name: peer.name, owner, object: object.name, elapsedMs },
          contentSizeBytes: content.contentSizeBytes,
        });
        break;
      }
      case 'end':
        this.handleEnd(event);
        break;
      case 'asker-invited': {
        const { from, askerKey: peerKey, usesLeft } = event;
        this.emit({ type: 'invited', from, peerKey, usesLeft });
        break;
      }
      case 'asker-turned-away': {
        const { cause, from, askerKey: peerKey, reason, unreported } = event;
        this.emit({ type: 'turned-away', cause, from, peerKey, reason, unreported });
        break;
      }
      case 'fault':
        this.emit(event);
        break;
    }
  }
}
