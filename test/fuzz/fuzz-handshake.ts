/**
 * The handshake with the library that hosts use; the bytes of a stranger arrive first. Ephemeral
 * keys come from the system, so a tape determines the actions but not every byte.
 */
import { generateKeyPair } from '../../src/node/keys/key-files.js';
import { createNodeCrypto } from '../../src/node/keys/node-crypto.js';
import type { SessionCrypto } from '../../src/security/crypto.js';
import { hostileBytes } from './hostile-bytes.js';
import type { Tape } from './tape.js';
import { toHex } from './tape.js';
import { demand } from './watch.js';

let sides: Promise<readonly [SessionCrypto, SessionCrypto]> | undefined;

async function createSides(): Promise<readonly [SessionCrypto, SessionCrypto]> {
  const [one, other] = await Promise.all([generateKeyPair(), generateKeyPair()]);
  return [await createNodeCrypto(one), await createNodeCrypto(other)];
}

/** With these points, every shared secret is publicly known (RFC 7748, 6.1). */
const weakPoints = [0, 1].map((first) => Uint8Array.of(first, ...new Uint8Array(31)));

export async function fuzzHandshake(tape: Tape): Promise<number> {
  sides ??= createSides();
  const [one, other] = await sides;
  const prologue = tape.fill(tape.below(40));
  const initiator = one.startHandshake('initiator', prologue);
  const responder = other.startHandshake('responder', prologue);
  let isChanged = false;
  let [from, to] = [initiator, responder];
  for (let step = 0; step < 3; step++) {
    const right = from.write();
    const isHostile = tape.isOneIn(3);
    const isWeak = step === 0 && tape.isOneIn(8);
    const bytes = isWeak ? tape.pick(weakPoints) : isHostile ? hostileBytes(tape, right) : right;
    isChanged ||= toHex(bytes) !== toHex(right);
    const isTaken = to.read(bytes);
    demand(!(isWeak && isTaken), () => 'a point of low order was taken');
    // A change to the first message is detected with the second, since all later ones depend on it.
    demand(!(isTaken && isChanged && step > 0), () => `message ${step} was changed, and taken`);
    demand(isTaken || isChanged, () => `message ${step} is right, and was not taken`);
    demand(!to.read(bytes), () => 'a message was taken twice');
    if (!isTaken) return step + 1;
    [from, to] = [to, from];
  }
  demand(initiator.keys !== undefined, () => 'a handshake without keys');
  const isSame =
    toHex(initiator.keys?.send ?? prologue) === toHex(responder.keys?.receive ?? prologue);
  demand(isSame, () => 'two sides with different keys');
  return 3;
}
