/**
 * A malicious receiver: it holds the group key, as every receiver does (SECURITY, "A receiver that
 * turns bad").
 */
import t, { type Test } from 'tap';
import { createRandom } from '../../src/base/random.js';
import { sizeOfBlock } from '../../src/object/geometry.js';
import { BlockSeal } from '../../src/security/block-seal.js';
import { createSimulatedCrypto } from '../../src/simulator/session-crypto.js';
import {
  encodeChannelPacket,
  encodeProbeHeader,
  sessionField,
  sessionHeaderSizeBytes,
  sessionKind,
  writeBlockHeader,
} from '../../src/wire/header.js';
import { encodeMessage } from '../../src/wire/messages.js';
import { objectOf } from '../support/incoming-stages.js';
import type { WireOptions } from '../support/session-wire.js';
import { SessionWire, strangerAddress } from '../support/session-wire.js';

const figures = {
  ...{ segmentsReceived: 5, segmentsLost: 2, receivedBytes: 300 },
  ...{ unchangedFiles: 4, deletedEntries: 3, undeletedEntries: 0, undeleted: [] },
};

const seeds = [1, 2, 3, 4, 5];
const isData = (bytes: Uint8Array) => {
  const kind = bytes[sessionField.kind];
  return kind === sessionKind.data || kind === sessionKind.taggedData;
};

/** Builds a seal from the group key that r0 got in its offer. */
function groupSeal({ receivers, sender }: SessionWire): BlockSeal | undefined {
  const key = objectOf(receivers[0]?.machine.find(sender.session))?.offer.groupKey;
  return key === undefined ? undefined : new BlockSeal(createSimulatedCrypto('any', 'any'), key);
}

/** Forges a block of the content. @returns its datagrams */
function forgeBlock(wire: SessionWire, seal: BlockSeal, block: number, isTagged: boolean) {
  const { geometry, session } = wire.sender;
  const plain = new Uint8Array(sizeOfBlock(geometry, block)).fill(0xbb);
  const generation = block < geometry.manifestBlockCount ? 0 : 1;
  const sealed = seal.seal(block, generation, plain);
  const datagrams: Uint8Array[] = [];
  for (let from = 0; from < sealed.length; from += geometry.mssBytes) {
    const body = sealed.subarray(from, from + geometry.mssBytes);
    const header = new Uint8Array(sessionHeaderSizeBytes);
    const segment = from / geometry.mssBytes;
    const fields = { session, generation, block, segment, flags: 0, burst: 0 };
    writeBlockHeader(header, 0, isTagged, fields);
    const tag = isTagged ? seal.tag(header, body) : new Uint8Array(0);
    datagrams.push(Uint8Array.from([...header, ...body, ...tag]));
  }
  return datagrams;
}

/** Runs a session in which r0 attacks r1; both must complete with the right content. */
function runAgainst(t: Test, seed: number, options: WireOptions): SessionWire {
  const wire = new SessionWire({
    seed: `insider ${seed}`,
    receiverCount: 2,
    sizeBytes: 8000,
    ...options,
  });
  wire.run();
  for (const index of [0, 1]) {
    t.equal(wire.receivers[index]?.isIdentical, true, `seed ${seed}: r${index} holds the content`);
    t.equal(wire.outcomeOf(index)?.status, 'complete', `the sender reports r${index} as complete`);
  }
  return wire;
}

t.test('whole blocks forged with the group key are detected and repaired', (t) => {
  for (const seed of seeds) {
    const random = createRandom('forged blocks', seed);
    let forged = 0;
    const wire = runAgainst(t, seed, {
      hasGroup: seed % 2 === 0,
      attack: ({ to, bytes }, wire) => {
        const seal = groupSeal(wire);
        if (to !== 1 || seal === undefined || !isData(bytes) || forged >= 3) return [bytes];
        const { manifestBlockCount, blockCount } = wire.sender.geometry;
        const block = manifestBlockCount + Math.floor(random() * (blockCount - manifestBlockCount));
        forged++;
        // Arrives before the true block, which is then a duplicate.
        return [...forgeBlock(wire, seal, block, false), bytes];
      },
    });
    const [, victim] = wire.receivers;
    const bad = victim?.faults['bad-block'] ?? 0;
    t.ok(bad >= 1 && bad <= forged, `${bad} of ${forged} were stored, and named`);
    const forgotten = victim?.events.filter(({ type }) => type === 'forget').length;
    t.equal(forgotten, bad, 'the forged blocks are removed from the disk');
    t.equal(wire.receivers[0]?.faults['bad-block'], undefined, 'r0 itself is not affected');
  }
  t.end();
});

t.test(
  'forged segments, with or without tags, make the sender use tags, and the session completes',
  (t) => {
    for (const seed of seeds) {
      for (const isTagged of [false, true]) {
        let forged = 0;
        const wire = runAgainst(t, seed, {
          attack: ({ to, bytes }, wire) => {
            const seal = groupSeal(wire);
            if (to !== 1 || seal === undefined || !isData(bytes) || forged >= 3) return [bytes];
            const block = wire.sender.geometry.manifestBlockCount + forged;
            forged++;
            // A single segment of a different block with the same number corrupts the true one.
            return [forgeBlock(wire, seal, block, isTagged)[0] as Uint8Array, bytes];
          },
        });
        t.ok(wire.receivers[1]?.faults['forged-data'], 'the forgery is counted');
        const tagged = wire.log.filter(({ bytes }) => bytes[4] === sessionKind.taggedData);
        t.ok(tagged.length > 0, 'the sender tags its data from then on');
      }
    }
    t.end();
  },
);

t.test('a forged manifest is requested again, and no receiver refuses the object', (t) => {
  let forged = 0;
  const wire = runAgainst(t, 1, {
    fileCount: 100,
    attack: ({ to, bytes }, wire) => {
      const seal = groupSeal(wire);
      if (to !== 1 || seal === undefined || !isData(bytes) || forged >= 1) return [bytes];
      forged++;
      return [...forgeBlock(wire, seal, 0, false), bytes];
    },
  });
  t.equal(forged, 1);
  const manifestBytes = wire.sender.geometry.manifestSizeBytes;
  t.ok(manifestBytes > 700, 'the manifest was sent in blocks');
  t.end();
});

t.test('endless forgery fails the session with the right reason; it never completes', (t) => {
  let seal: BlockSeal | undefined;
  const wire = new SessionWire({
    receiverCount: 2,
    sizeBytes: 8000,
    attack: ({ to, bytes }, wire) => {
      // r0 keeps the key after its own session ends.
      seal ??= groupSeal(wire);
      if (to !== 1 || seal === undefined || !isData(bytes)) return [bytes];
      const { manifestBlockCount } = wire.sender.geometry;
      return [...forgeBlock(wire, seal, manifestBlockCount, true), bytes];
    },
  }).run();
  t.match(wire.receivers[1]?.results.at(-1), {
    status: 'failed',
    reason: 'the digests still differ after repeated repairs',
  });
  t.match(wire.outcomeOf(1), { status: 'failed' });
  t.equal(wire.receivers[0]?.isIdentical, true, 'the other receiver completes');
  t.end();
});

t.test('a forged probe makes nobody wait for an unreachable group', (t) => {
  let forged = 0;
  const wire = runAgainst(t, 1, {
    sizeBytes: 800_000,
    hasGroup: true,
    groupReaches: (index) => index === 0,
    attack: ({ to, bytes }, wire) => {
      const seal = groupSeal(wire);
      if (to !== 1 || seal === undefined) return [bytes];
      forged++;
      const header = encodeProbeHeader(wire.sender.session);
      return [bytes, Uint8Array.from([...header, ...seal.tag(header, new Uint8Array(0))])];
    },
  });
  t.ok(forged > 3);
  t.equal(wire.outcomeOf(1)?.usesGroup, false, 'it is served by unicast after half a second');
  t.end();
});

t.test('without the group key, a probe cannot be forged', (t) => {
  const wire = runAgainst(t, 1, {
    hasGroup: true,
    groupReaches: (index) => index === 0,
    attack: ({ to, bytes }, { sender }) => {
      if (to !== 1) return [bytes];
      return [
        bytes,
        Uint8Array.from([...encodeProbeHeader(sender.session), ...new Uint8Array(16)]),
      ];
    },
  });
  t.ok((wire.receivers[1]?.faults.forged ?? 0) > 0);
  t.equal(wire.receivers[1]?.results[0]?.usesGroup, false);
  t.end();
});

t.test('a receiver cannot use its own keys to speak for another one', (t) => {
  let said = 0;
  const wire = runAgainst(t, 1, {
    sizeBytes: 40_000,
    attack: ({ from, to, bytes }, { receivers, sender }) => {
      const channel = receivers[0]?.machine.find(sender.session)?.secureChannel;
      if (to !== 'sender' || from.host !== receivers[1]?.address.host || channel === undefined) {
        return [bytes];
      }
      said++;
      // A message that would end r1's session, sealed with r0's channel under r1's number.
      const done = encodeMessage({ kind: 'done', isComplete: true, ...figures, reason: '' });
      const sealed = channel.seal(done);
      const turned = sealed.slice();
      turned[sessionField.receiver + 1] = 1;
      return [turned, bytes];
    },
  });
  t.ok(said > 5);
  const faults = wire.result?.faults ?? {};
  t.ok((faults.forged ?? 0) + (faults.replayed ?? 0) + (faults['no-session'] ?? 0) >= said);
  t.end();
});

t.test('without a channel, no address can send messages', (t) => {
  const wire = new SessionWire({ sizeBytes: 8000, receiverCount: 2 });
  const done = encodeMessage({ kind: 'done', isComplete: true, ...figures, reason: '' });
  const forged = Uint8Array.from([...done, ...new Uint8Array(16)]);
  wire.run();
  for (const receiver of [0, 1, 2, 65_535]) {
    const { session } = wire.sender;
    const packet = encodeChannelPacket('control', session, receiver, 7, forged);
    t.same(wire.ask('sender', strangerAddress, packet), [], `as receiver ${receiver}`);
  }
  for (const index of [0, 1]) t.equal(wire.receivers[index]?.isIdentical, true);
  t.end();
});
