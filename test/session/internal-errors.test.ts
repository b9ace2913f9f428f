/** An internal error in one session ends that session alone. */
import t from 'tap';
import type { SessionCrypto } from '../../src/security/crypto.js';
import { createSimulatedCrypto } from '../../src/simulator/session-crypto.js';
import { SessionWire } from '../support/session-wire.js';

/** Larger than any message or key, so it must be a block of content. */
const largeBytes = 700;

/** Crypto with a planted defect: hashing a block of content throws. */
function brokenCrypto(name: string, isBroken: boolean): SessionCrypto {
  const sound = createSimulatedCrypto('wire', name);
  const hash: SessionCrypto['hash'] = (...parts) => {
    const sizeBytes = parts.reduce((sum, { length }) => sum + length, 0);
    if (isBroken && sizeBytes >= largeBytes) throw new TypeError('a planted defect');
    return sound.hash(...parts);
  };
  return { ...sound, hash };
}

t.test('an internal error ends its session and is reported on both sides', (t) => {
  const wire = new SessionWire({
    receiverCount: 2,
    sizeBytes: 200_000,
    cryptoOf: (name) => brokenCrypto(name, name === 'r0'),
  }).run();
  const [broken, sound] = wire.receivers;
  t.match(wire.result?.receivers, [
    { status: 'failed', reason: /internal error in the receiver; see its log/ },
    { status: 'complete' },
  ]);
  t.ok(sound?.isIdentical);
  t.match(broken?.results, [{ status: 'failed' }]);
  const errors = broken?.events.filter(({ type }) => type === 'internal-error');
  t.match(errors, [{ label: 'wired', stack: /a planted defect\n.*internal-errors\.test/s }]);
  t.equal(broken?.machine.result().internalErrors, 1, 'the error is counted');
  t.equal(broken?.machine.activeCount, 0);
  t.equal(broken?.machine.refusal, undefined, 'the receiver accepts the next session');
  t.end();
});
