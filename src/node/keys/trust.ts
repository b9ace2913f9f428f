/** Trust policies for `send` and `receive`, based on key files. */
import { P2mpError } from '../../base/errors.js';
import type { ReceivedInvitation } from '../../security/invitations.js';
import { secretFor } from '../../security/invitations.js';
import type { TrustReceiver } from '../send-options.js';
import { type AuthorizedKeys, formatAuthorizedKey } from './authorized-keys.js';
import { fingerprint } from './key-files.js';
import type { KnownReceivers, ReceiverCheck } from './known-receivers.js';
import { knownReceiverLine } from './known-receivers.js';
import type { TrustAnswer } from './trust-answer.js';

/** A receiver whose key is not known yet. */
export interface UnknownReceiver {
  /** `host:port` as given by the caller. */
  readonly name: string;
  readonly receiverKey: Uint8Array;
  /** The fingerprint of the receiver's key. On the receiver's host, `p2mp keygen --show` prints it. */
  readonly fingerprint: string;
}

/**
 * Asks the user which of these receivers to trust.
 * @returns for each receiver, in order, whether it is trusted
 */
export type AskAboutReceivers = (
  receivers: readonly UnknownReceiver[],
) => Promise<readonly boolean[]>;

/** Options of `trustKnownReceivers`. */
export interface TrustKnownOptions {
  /**
   * This host's invitations. A new receiver is trusted without a question if one of them names its key, or that of the relay
   * that it is behind.
   */
  readonly invitations?: readonly ReceivedInvitation[];
  /** What the other hosts are, for messages; `receiver` by default. */
  readonly role?: 'receiver' | 'server' | 'coordinator';
  /** Whether the user of this host can give it an invitation, which the reason of a refusal then advises; true by default. */
  readonly takesInvitations?: boolean;
  /** The number of receivers. Once all of them have answered, the question waits for no others. */
  readonly receiverCount?: number;
}

const invitingCommands = {
  receiver: 'p2mp receive',
  server: 'p2mp serve',
  coordinator: 'p2mp exchange coordinate',
} as const;

/** How long a question waits for further receivers, so that one question covers all of them. */
const gatherMs = 500;

/**
 * Trusts known receivers, but never a changed key.
 * @param ask decides about unknown receivers, several at once; if undefined, they are refused
 * @example
 * ```ts
 * import { generateKeyPair, KnownReceivers, trustKnownReceivers } from 'p2mp';
 *
 * const known = await KnownReceivers.load('known_receivers');
 * // Accepts any new receiver; a program would ask its user.
 * const trustReceiver = trustKnownReceivers(known, async (receivers) => receivers.map(() => true));
 * const { publicKey } = await generateKeyPair();
 * console.log(await trustReceiver('localhost:7735', publicKey)); // true
 * ```
 */
export function trustKnownReceivers(
  known: KnownReceivers,
  ask: AskAboutReceivers | undefined,
  options: TrustKnownOptions = {},
): TrustReceiver {
  const trust = new FirstUseTrust(known, ask, options);
  return async (name, receiverKey) => (await trust.decide(name, receiverKey)) ?? true;
}

interface PendingReceiver extends UnknownReceiver {
  readonly resolve: (isTrusted: boolean) => void;
  readonly reject: (error: unknown) => void;
}

function idOf({ name, fingerprint: shown }: UnknownReceiver): string {
  return `${name} ${shown}`;
}

class FirstUseTrust {
  private readonly answered = new Set<string>();
  /** The hosts whose keys invitations name. */
  private readonly invited = new Set<string>();
  private pending: PendingReceiver[] = [];
  /** The answers that are awaited or being saved, by name and key. A host can connect again meanwhile. */
  private readonly awaited = new Map<string, Promise<boolean>>();
  private isAsking = false;
  /** Ends the wait for further receivers. */
  private stopGathering: () => void = () => undefined;
  /** Keys are added to the file one after another, so that each check sees the keys added before. */
  private saves: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly known: KnownReceivers,
    private readonly ask: AskAboutReceivers | undefined,
    private readonly options: TrustKnownOptions,
  ) {}

  /** @returns why the receiver is refused; undefined if it is trusted */
  async decide(name: string, receiverKey: Uint8Array): Promise<string | undefined> {
    const { known } = this;
    this.answered.add(name);
    if (this.isInvited(receiverKey)) this.invited.add(name);
    if (this.isGathered) this.stopGathering();
    const shown = fingerprint(receiverKey);
    const line = knownReceiverLine(name, receiverKey);
    let check = known.check(name, receiverKey);
    if (check.status === 'changed' || (check.status === 'unknown' && this.ask === undefined)) {
      // Somebody may have replaced or added the line while this process runs.
      await known.reload();
      check = known.check(name, receiverKey);
    }
    if (check.status === 'unknown') {
      const receiver = { name, receiverKey, fingerprint: shown };
      const refusal = await this.approve(receiver);
      if (refusal !== undefined) return refusal;
      try {
        check = await this.save(name, receiverKey);
      } catch (error) {
        if (error instanceof P2mpError) {
          return `its key ${shown} could not be saved: ${error.message}; add this line yourself: ${line}`;
        }
        throw error;
      } finally {
        this.awaited.delete(idOf(receiver));
      }
    }
    if (check.status !== 'changed') return undefined;
    return `its key has changed to ${shown}: another host may be impersonating it. If that host was reinstalled, replace line ${check.lineNumber} of ${known.path} with: ${line}`;
  }

  /** Whether all receivers have answered. */
  private get isGathered(): boolean {
    return this.answered.size >= (this.options.receiverCount ?? Infinity);
  }

  private isInvited(receiverKey: Uint8Array): boolean {
    return secretFor(this.options.invitations ?? [], receiverKey) !== undefined;
  }

  private async approve(receiver: UnknownReceiver): Promise<string | undefined> {
    const { known, ask } = this;
    const { invitations = [], role = 'receiver', takesInvitations = true } = this.options;
    const { name, receiverKey, fingerprint: shown } = receiver;
    // An invited relay answers for the receivers behind it, whose names begin with its own.
    const [relay = '', ...behind] = name.split('/');
    if (behind.length > 0 && this.invited.has(relay)) return undefined;
    if (this.isInvited(receiverKey)) return undefined;
    if (invitations.length > 0) {
      const [{ inviterKey: expected }] = invitations as readonly [ReceivedInvitation];
      const invited =
        invitations.length === 1
          ? `the key of the invitation, ${fingerprint(expected)}`
          : `that of any of the ${invitations.length} invitations`;
      return `its key ${shown} is not ${invited}: the invitation is from another ${role}, or another host answers at this address`;
    }
    if (ask === undefined) {
      const others = known.namesOf(receiverKey).join(', ');
      const alias = others === '' ? '' : ` (it is the key of ${others})`;
      const line = knownReceiverLine(name, receiverKey);
      const command = invitingCommands[role];
      // An invitation of a receiver behind a relay is one for the relay.
      const invite =
        takesInvitations && behind.length === 0
          ? `run "${command} --invite" on that host and here the line that it prints; or `
          : '';
      return `its key ${shown} is not known here${alias}; ${invite}compare the key with the output of "p2mp keygen --show" on that host, then use --accept-new or add this line to ${known.path}: ${line}`;
    }
    return (await this.askWithOthers(receiver)) ? undefined : `its key ${shown} was not accepted`;
  }

  private askWithOthers(receiver: UnknownReceiver): Promise<boolean> {
    const key = idOf(receiver);
    const awaited = this.awaited.get(key);
    if (awaited !== undefined) return awaited;
    const answer = new Promise<boolean>((resolve, reject) => {
      this.pending.push({ ...receiver, resolve, reject });
      if (!this.isAsking) void this.askAll();
    });
    this.awaited.set(key, answer);
    const forget = () => void this.awaited.delete(key);
    answer.then((isTrusted) => isTrusted || forget(), forget);
    return answer;
  }

  /** Asks about all pending receivers in one question, then about those that have come since. */
  private async askAll(): Promise<void> {
    this.isAsking = true;
    await this.gather();
    while (this.pending.length > 0) {
      const batch = this.pending;
      this.pending = [];
      try {
        const answers = (await this.ask?.(batch)) ?? [];
        for (const [i, { resolve }] of batch.entries()) resolve(answers[i] === true);
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
    }
    this.isAsking = false;
  }

  private async gather(): Promise<void> {
    if (this.isGathered) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, gatherMs);
      this.stopGathering = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  private save(name: string, receiverKey: Uint8Array): Promise<ReceiverCheck> {
    const saved = this.saves.then(() => this.known.add(name, receiverKey));
    this.saves = saved.catch(() => undefined);
    return saved;
  }
}

/**
 * Accepts only senders whose keys have the right `send`.
 * @example
 * ```ts
 * import { writeFileSync } from 'node:fs';
 * import { AuthorizedKeys, generateKeyPair, trustAuthorizedSenders } from 'p2mp';
 *
 * writeFileSync('authorized_keys', '');
 * const trustSender = trustAuthorizedSenders(await AuthorizedKeys.load('authorized_keys'));
 * const { publicKey } = await generateKeyPair();
 * console.log(String(trustSender(publicKey)).startsWith('the receiver does not trust')); // true
 * ```
 */
export function trustAuthorizedSenders(
  authorized: AuthorizedKeys,
): (senderKey: Uint8Array) => TrustAnswer {
  return (senderKey) =>
    authorized.may(senderKey, 'send') ||
    `the receiver does not trust the key ${fingerprint(senderKey)}; add to its authorized_keys (a relay needs relay): ${formatAuthorizedKey(['send'], senderKey, '')}`;
}

/**
 * Accepts only relays whose keys have the right `relay`.
 * @example
 * ```ts
 * import { writeFileSync } from 'node:fs';
 * import { AuthorizedKeys, formatAuthorizedKey, generateKeyPair, trustAuthorizedRelays } from 'p2mp';
 *
 * const { publicKey } = await generateKeyPair();
 * writeFileSync('authorized_keys', formatAuthorizedKey(['relay'], publicKey, 'site-a'));
 * const trustRelay = trustAuthorizedRelays(await AuthorizedKeys.load('authorized_keys'));
 * console.log(trustRelay(publicKey)); // true
 * ```
 */
export function trustAuthorizedRelays(
  authorized: AuthorizedKeys,
): (relayKey: Uint8Array) => TrustAnswer {
  return (relayKey) =>
    authorized.may(relayKey, 'relay') ||
    `the receiver takes nothing through a relay with this key ${fingerprint(relayKey)}; add this line to its authorized_keys: ${formatAuthorizedKey(['relay'], relayKey, '')}`;
}

/**
 * Accepts only clients whose keys have the right `fetch`.
 * @example
 * ```ts
 * import { writeFileSync } from 'node:fs';
 * import { AuthorizedKeys, formatAuthorizedKey, generateKeyPair, trustAuthorizedClients } from 'p2mp';
 *
 * const { publicKey } = await generateKeyPair();
 * writeFileSync('authorized_keys', formatAuthorizedKey(['fetch'], publicKey, 'alice'));
 * const trustClient = trustAuthorizedClients(await AuthorizedKeys.load('authorized_keys'));
 * console.log(trustClient(publicKey)); // true
 * ```
 */
export function trustAuthorizedClients(
  authorized: AuthorizedKeys,
): (clientKey: Uint8Array) => TrustAnswer {
  return (clientKey) =>
    authorized.may(clientKey, 'fetch') ||
    `the server does not let this key ${fingerprint(clientKey)} fetch; add this line to its authorized_keys: ${formatAuthorizedKey(['fetch'], clientKey, '')}`;
}

/**
 * Accepts only peers of an exchange whose keys have the right `exchange`.
 * @example
 * ```ts
 * import { writeFileSync } from 'node:fs';
 * import { AuthorizedKeys, formatAuthorizedKey, generateKeyPair, trustAuthorizedPeers } from 'p2mp';
 *
 * const { publicKey } = await generateKeyPair();
 * writeFileSync('authorized_keys', formatAuthorizedKey(['exchange'], publicKey, 'alice'));
 * const trustPeer = trustAuthorizedPeers(await AuthorizedKeys.load('authorized_keys'));
 * console.log(trustPeer(publicKey)); // true
 * ```
 */
export function trustAuthorizedPeers(
  authorized: AuthorizedKeys,
): (peerKey: Uint8Array) => TrustAnswer {
  return (peerKey) =>
    authorized.may(peerKey, 'exchange') ||
    `the coordinator does not let this key ${fingerprint(peerKey)} take part; add this line to its authorized_keys: ${formatAuthorizedKey(['exchange'], peerKey, '')}`;
}
