/** Receivers that verify each block as it arrives, against leaf digests that the sender knows beforehand. */
import t from 'tap';
import { createRandom } from '../../src/base/random.js';
import { DigestTree } from '../../src/object/digest-tree.js';
import { sizeOfBlock } from '../../src/object/geometry.js';
import { hashLeaf } from '../../src/object/hash-tree.js';
import { LeafDigests } from '../../src/object/leaf-digests.js';
import { BlockSeal } from '../../src/security/block-seal.js';
import { SessionSender } from '../../src/session/sender.js';
import { createSimulatedCrypto } from '../../src/simulator/session-crypto.js';
import { createContent } from '../../src/simulator/transfer.js';
import {
  sessionField,
  sessionHeaderSizeBytes,
  sessionKind,
  writeBlockHeader,
} from '../../src/wire/header.js';
import { encodeMessage } from '../../src/wire/messages.js';
import { objectOf } from '../support/incoming-stages.js';
import type { Passing, WireOptions } from '../support/session-wire.js';
import { receiverAddress, SessionWire, senderAddress } from '../support/session-wire.js';

const { hash, ...crypto } = createSimulatedCrypto('leaves', 'any');
const blockSizeBytes = 784;

function treeOf(content: Uint8Array): DigestTree {
  const tree = new DigestTree(hash, Math.ceil(content.length / blockSizeBytes));
  for (let block = 0; block < tree.blockCount; block++) {
    const start = block * blockSizeBytes;
    tree.set(block, hashLeaf(hash, content.subarray(start, start + blockSizeBytes)));
  }
  return tree;
}

/** All leaf digests of a content. */
function knownLeaves(tree: DigestTree): LeafDigests {
  const leaves = LeafDigests.create(hash, tree.blockCount, tree.root()) as LeafDigests;
  for (;;) {
    const group = leaves.next(0, () => false);
    if (group === undefined) return leaves;
    leaves.take(group, tree.nodes(group.height, group.firstNode, group.count));
  }
}

const usualTree = treeOf(createContent('leaves', 60_000));

interface Setup extends WireOptions {
  /** Changes what the sender knows. */
  readonly spoil?: (tree: DigestTree) => void;
  /** Where the receivers collect leaves; in a new set by default. */
  readonly leaves?: LeafDigests;
  readonly wantsLeaves?: boolean;
}

/** A session whose sender knows the leaf digests, and whose receivers want them. */
function createWire({ spoil, leaves, wantsLeaves = true, ...options }: Setup = {}) {
  const { seed = 'leaves', sizeBytes = 60_000 } = options;
  const digestTree = treeOf(createContent(seed, sizeBytes));
  spoil?.(digestTree);
  const sets: LeafDigests[] = [];
  const wire = new SessionWire({
    ...options,
    ...{ seed, sizeBytes },
    sender: { digestTree },
    receiver: {
      leavesOf: (root, blockCount) => {
        if (!wantsLeaves) return undefined;
        const set = leaves ?? LeafDigests.create(hash, blockCount, root);
        if (set !== undefined) sets.push(set);
        return set;
      },
    },
  });
  return { wire, sets, digestTree };
}

/** Lets the sender send other bytes than it knows the digests of. */
function lie(wire: SessionWire, isLie: (block: number, count: number) => boolean): void {
  const { sender } = wire;
  const counts = new Map<number, number>();
  const { manifestBlockCount } = sender.geometry;
  // The sender does not notice it.
  const { tree } = sender['delivery'];
  const unaware: Pick<DigestTree, 'has' | 'set'> = { has: () => false, set: () => undefined };
  Object.defineProperty(sender['delivery'], 'tree', {
    value: Object.assign(Object.create(tree), unaware),
  });
  sender.provideBlock = (nowMs, block, bytes) => {
    const index = block - manifestBlockCount;
    const count = counts.get(index) ?? 0;
    counts.set(index, count + 1);
    const sent = isLie(index, count) ? bytes.map((byte) => byte ^ 0x11) : bytes;
    SessionSender.prototype.provideBlock.call(sender, nowMs, block, sent);
  };
}

/** Seals a wrong block of the content with the group key, as another receiver could. @returns its datagrams */
function forgeBlock({ sender, receivers }: SessionWire, block: number): Uint8Array[] {
  const { geometry, session } = sender;
  const key = objectOf(receivers[0]?.machine.find(session))?.offer.groupKey as Uint8Array;
  const seal = new BlockSeal(createSimulatedCrypto('any', 'any'), key);
  const index = geometry.manifestBlockCount + block;
  const sealed = seal.seal(index, 1, new Uint8Array(sizeOfBlock(geometry, index)).fill(0xbb));
  const datagrams: Uint8Array[] = [];
  for (let from = 0; from < sealed.length; from += geometry.mssBytes) {
    const header = new Uint8Array(sessionHeaderSizeBytes);
    const segment = from / geometry.mssBytes;
    const fields = { session, generation: 1, block: index, segment, flags: 0, burst: 0 };
    writeBlockHeader(header, 0, false, fields);
    datagrams.push(
      Uint8Array.from([...header, ...sealed.subarray(from, from + geometry.mssBytes)]),
    );
  }
  return datagrams;
}

/** Whether this is an answer with many digests. Its content is sealed. */
const hasDigests = ({ to, bytes }: Passing) =>
  to !== 'sender' && bytes[sessionField.kind] === sessionKind.control && bytes.length > 600;

t.test('every block of an honest sender is accepted, and all leaves become known', (t) => {
  for (const sizeBytes of [0, 1, 784, 785, 60_000]) {
    const { wire, sets } = createWire({ sizeBytes, receiverCount: 2, hasGroup: true });
    wire.run();
    t.match(wire.outcomes, [{ status: 'complete' }, { status: 'complete' }], `${sizeBytes} bytes`);
    for (const { faults, results } of wire.receivers) {
      t.equal(faults['bad-block'], undefined);
      t.equal(faults['bad-digests'], undefined);
      t.equal(results[0]?.contentRoot, wire.result?.contentRoot);
    }
    t.equal(sets.length, 2);
    t.ok(sets.every(({ isComplete }) => isComplete));
    t.equal(wire.result?.faults['bad-message'], undefined);
  }
  t.end();
});

t.test('a receiver that does not want leaves asks for none', (t) => {
  const sizeBytes = 60_000;
  const digestTree = treeOf(createContent('plain', sizeBytes));
  const wire = new SessionWire({ seed: 'plain', sizeBytes, sender: { digestTree } }).run();
  t.equal(wire.receivers[0]?.isIdentical, true);
  t.notOk(wire.log.some(hasDigests));
  t.end();
});

t.test('a sender that reads what its digests are not of stops', (t) => {
  const { wire } = createWire();
  wire.content[1000] = 1 ^ (wire.content[1000] as number);
  wire.run(20_000);
  t.ok(wire.senderEvents.some((event) => event.type === 'source-changed'));
  t.end();
});

t.test('a forged block is counted, not stored, and received again', (t) => {
  const { wire } = createWire({ leaves: knownLeaves(usualTree) });
  const { sender, receivers } = wire;
  const [receiver] = receivers;
  for (
    let atMs = 1;
    objectOf(receiver?.machine.find(sender.session))?.blocks.isContentKnown !== true;
  ) {
    wire.run(atMs++);
  }
  for (const datagram of forgeBlock(wire, 70)) wire.inject(0, senderAddress, datagram);
  wire.run();
  t.equal(receiver?.faults['bad-block'], 1);
  t.match(receiver?.results, [{ status: 'complete', badBlocks: 1 }]);
  t.equal(receiver?.isIdentical, true);
  const writes = receiver?.events.filter(
    (event) => event.type === 'write' && event.offsetBytes === 70 * blockSizeBytes,
  );
  t.equal(writes?.length, 1, 'only the right one');
  t.end();
});

t.test('a block whose leaf becomes known later is dropped then', (t) => {
  let isHeldUp = true;
  const { wire } = createWire({
    attack: (passing) => (hasDigests(passing) && isHeldUp ? [] : [passing.bytes]),
  });
  lie(wire, (block, count) => block === 5 && count === 0);
  wire.run(80);
  const [receiver] = wire.receivers;
  t.equal(receiver?.faults['bad-block'], undefined, 'not noticed yet');
  isHeldUp = false;
  wire.run(20_000);
  t.equal(receiver?.faults['bad-block'], 1);
  t.ok(receiver?.events.some((event) => event.type === 'forget'));
  t.equal(receiver?.isIdentical, true);
  t.end();
});

t.test('a sender that always sends a wrong block fails, and nothing of it is stored', (t) => {
  const { wire } = createWire({ leaves: knownLeaves(usualTree) });
  lie(wire, (block) => block === 5);
  wire.run(600_000);
  const [receiver] = wire.receivers;
  t.match(receiver?.results, [{ status: 'failed', reason: /do not belong to the object/ }]);
  const written = receiver?.events.filter(
    (event) => event.type === 'write' && event.offsetBytes === 5 * blockSizeBytes,
  );
  t.strictSame(written, []);
  t.ok((receiver?.faults['bad-block'] ?? 0) > 100);
  t.end();
});

t.test('digests that do not lead to the offered root end the session', (t) => {
  for (const lieAt of [0, 1, 2]) {
    let answers = 0;
    const { wire } = createWire({
      spoil: (tree) => {
        const { nodes } = tree;
        tree.nodes = (...place) => {
          const digests = nodes.apply(tree, place);
          if (answers++ === lieAt) digests[40] = 1 ^ (digests[40] as number);
          return digests;
        };
      },
    });
    wire.run(20_000);
    const [receiver] = wire.receivers;
    t.equal(receiver?.faults['bad-digests'], 1);
    t.match(receiver?.results, [{ status: 'failed', reason: /do not lead to its content root/ }]);
    t.match(wire.outcomeOf(0), { status: 'failed', reason: /do not lead to its content root/ });
  }
  t.end();
});

t.test('a sender whose root is not the one that it offered fails', (t) => {
  const { wire } = createWire({
    spoil: (tree) => {
      const { root } = tree;
      let count = 0;
      tree.root = () => (count++ === 0 ? hash(Uint8Array.of(1)) : root.call(tree));
    },
    wantsLeaves: false,
  });
  wire.run(20_000);
  t.match(wire.receivers[0]?.results, [
    { status: 'failed', reason: /not the one that it offered/ },
  ]);
  t.equal(wire.receivers[0]?.faults['bad-digests'], 1);
  t.end();
});

t.test('lost requests and answers are repeated', (t) => {
  let completeCount = 0;
  for (let seed = 0; seed < 20; seed++) {
    const random = createRandom(`lossy ${seed}`);
    const { wire, sets } = createWire({
      seed: `lossy ${seed}`,
      attack: ({ bytes }) => (random() < 0.25 ? [] : [bytes]),
    });
    wire.run(120_000);
    t.equal(wire.receivers[0]?.isIdentical, true, `seed ${seed}`);
    if (sets[0]?.isComplete === true) completeCount++;
    t.equal(wire.receivers[0]?.faults['bad-block'], undefined);
  }
  // Sessions can end before the last leaves are known, because the root is.
  t.ok(completeCount >= 10, `${completeCount} complete sets`);
  t.end();
});

t.test('blocks that the disk holds are compared with their leaves at once', (t) => {
  const wrong = [4, 40, 70];
  const content = createContent('leaves', 60_000);
  const held = Array.from({ length: usualTree.blockCount }, (_, block): [number, Uint8Array] => {
    const start = block * blockSizeBytes;
    const bytes = content.slice(start, start + blockSizeBytes);
    return [block, wrong.includes(block) ? bytes.fill(9) : bytes];
  });
  for (const isKnownBefore of [false, true]) {
    const leaves = isKnownBefore ? { leaves: knownLeaves(usualTree) } : {};
    const { wire } = createWire({ ...leaves, initialContent: () => ({ blocks: held }) });
    const [receiver] = wire.receivers;
    if (receiver === undefined) throw new Error('no receiver');
    wire.run(20_000);
    t.match(receiver.results, [{ status: 'complete', receivedBytes: 3 * blockSizeBytes }]);
    const forgotten = receiver.events.flatMap((event) =>
      event.type === 'forget' ? event.block : [],
    );
    t.strictSame(forgotten, wrong);
    t.equal(receiver.isIdentical, true);
    t.equal(receiver.faults['bad-block'], undefined, 'the sender is not to blame');
    // One round of data; the search for differences took none.
    t.notOk(receiver.events.some((event) => event.type === 'fault'));
  }
  t.end();
});

t.test('receivers of several senders complete one set of leaves', (t) => {
  const leaves = LeafDigests.create(hash, usualTree.blockCount, usualTree.root()) as LeafDigests;
  const { wire } = createWire({ leaves, receiverCount: 3 });
  wire.run();
  t.ok(leaves.isComplete);
  t.ok(wire.receivers.every(({ isIdentical }) => isIdentical));
  const answers = wire.log.filter(hasDigests).length;
  t.ok(answers <= 9, `${answers} answers`);
  t.end();
});

t.test('a request for too many or for missing nodes is refused and counted', (t) => {
  const requests = [
    { height: 0, firstNode: 0, count: 33 },
    { height: 0, firstNode: 0, count: 255 },
    { height: 0, firstNode: 0, count: 0 },
    { height: 0, firstNode: 76, count: 2 },
    { height: 0, firstNode: 2 ** 40, count: 1 },
    { height: 8, firstNode: 0, count: 1 },
    { height: 255, firstNode: 0, count: 1 },
  ];
  for (const request of requests) {
    const { wire } = createWire();
    wire.run(8);
    const channel = wire.receivers[0]?.machine.find(wire.sender.session)?.secureChannel;
    const message = encodeMessage({ kind: 'nodes-request', tree: 'content', ...request });
    wire.inject('sender', receiverAddress(0), channel?.seal(message) as Uint8Array);
    wire.run();
    t.equal(wire.result?.faults['bad-message'], 1, JSON.stringify(request));
    t.equal(wire.receivers[0]?.isIdentical, true);
  }
  t.end();
});

t.test('a tree that is not one of the content is refused', (t) => {
  const options = (sizeBytes: number, treeBytes: number) => ({
    ...{
      receivers: [{ name: 'a', address: receiverAddress(0) }],
      label: 'x',
      crypto: { hash, ...crypto },
    },
    ...{ manifest: new Uint8Array(9), contentSizeBytes: sizeBytes, blockSizeBytes, mssBytes: 200 },
    digestTree: treeOf(new Uint8Array(treeBytes)),
  });
  t.doesNotThrow(() => new SessionSender(options(784, 784)));
  t.throws(() => new SessionSender(options(785, 784)), { code: 'INVALID_ARGUMENT' });
  const incomplete = { ...options(784, 784), digestTree: new DigestTree(hash, 1) };
  t.throws(() => new SessionSender(incomplete), { code: 'INVALID_ARGUMENT' });
  t.end();
});
