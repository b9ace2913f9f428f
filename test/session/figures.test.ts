/** Both sides count the same things: bytes already held, sent, repaired, lost. */
import t from 'tap';
import type { LinkOptions } from '../../src/simulator/link.js';
import { simulateSession } from '../../src/simulator/session-transfer.js';
import type { SimulatedSessionOptions } from '../../src/simulator/session-transfer-options.js';

const segmentsPerBlock = 8;
const mssBytes = 1400;
const blockSizeBytes = segmentsPerBlock * mssBytes - 16;
const contentSizeBytes = 100 * blockSizeBytes;
const link: LinkOptions = { delayMs: 1 };

function run(options: Partial<SimulatedSessionOptions>) {
  const result = simulateSession({
    seed: 'figures',
    receiverCount: 2,
    contentSizeBytes,
    blockSizeBytes,
    mssBytes,
    forwardLink: link,
    backwardLink: link,
    ...options,
  });
  const sender = result.sender.at(-1);
  const views = result.receivers.map(({ name, results }) => {
    const atSender = sender?.receivers.find(({ receiver }) => receiver === name);
    return { name, atSender, own: results.at(-1) };
  });
  return { result, sender, views };
}

for (const hasGroup of [false, true]) {
  const by = hasGroup ? 'by multicast' : 'by unicast';
  t.test(`no loss: each receiver misses different blocks, ${by}`, async (t) => {
    const missingBlocks = [[40], [40, 7], [3, 99], [], [50, 51, 52]];
    const { result, sender, views } = run({
      hasGroup,
      receiverCount: missingBlocks.length,
      receivers: missingBlocks.map((missing) => ({ missingBlocks: missing })),
    });
    t.equal(result.links.lost, 0);
    t.equal(sender?.repairs, 0);
    for (const [i, { atSender, own }] of views.entries()) {
      const receivedBytes = (missingBlocks[i]?.length ?? 0) * blockSizeBytes;
      const figures = {
        heldBytes: contentSizeBytes,
        heldBeforeBytes: contentSizeBytes - receivedBytes,
        receivedBytes,
        datagramsLost: 0,
        lossRatio: 0,
      };
      t.match(atSender, { ...figures, repairs: 0 }, `at the sender, receiver ${i}`);
      t.match(own, figures, `at receiver ${i}`);
    }
  });

  t.test(`blocks that rot on disk are sent again: no repairs, no loss, ${by}`, async (t) => {
    const { sender, views } = run({
      hasGroup,
      checkpointMs: 1,
      rot: 0.2,
      rateBytesPerSec: 200_000,
      livenessTimeoutMs: 3000,
      incidents: [
        { atMs: 3000, host: 'sender', fault: 'kill' },
        { atMs: 3001, host: 0, fault: 'kill' },
        { atMs: 3002, host: 0, fault: 'start' },
        { atMs: 3003, host: 'sender', fault: 'start' },
      ],
    });
    const [{ atSender, own } = { atSender: undefined, own: undefined }] = views;
    t.ok((own?.updatedBlocks ?? 0) > 0, `${own?.updatedBlocks} blocks rotted`);
    t.match(own, { status: 'complete', datagramsLost: 0 });
    t.match(atSender, { datagramsLost: 0, receivedBytes: own?.receivedBytes });
    t.equal(sender?.repairs, 0);
  });

  t.test(`a late receiver counts no loss, ${by}`, async (t) => {
    const { sender, views } = run({
      hasGroup,
      rateBytesPerSec: 200_000,
      livenessTimeoutMs: 30_000,
      incidents: [
        { atMs: 0, host: 0, fault: 'kill' },
        { atMs: 2500, host: 0, fault: 'start' },
      ],
    });
    for (const { name, atSender, own } of views) {
      t.match(own, { status: 'complete', heldBeforeBytes: 0, datagramsLost: 0 }, name);
      t.match(atSender, { datagramsLost: 0, receivedBytes: contentSizeBytes }, name);
    }
    t.equal(sender?.repairs, 0);
  });

  t.test(`with loss, both sides agree on the number of lost datagrams, ${by}`, async (t) => {
    const lossy = { ...link, loss: { model: 'bernoulli', probability: 0.05 } } as const;
    const { sender, views } = run({ hasGroup, receivers: [{ forwardLink: lossy }, {}] });
    const [lossyView, cleanView] = views;
    const lost = lossyView?.own?.datagramsLost ?? 0;
    t.equal(lossyView?.atSender?.datagramsLost, lost);
    // 5 % of 800 segments and their repairs; control messages are counted separately.
    t.ok(lost > 20 && lost < 70, `${lost} lost`);
    const repairs = lossyView?.atSender?.repairs ?? 0;
    t.ok(repairs >= lost && repairs < 1.3 * lost, `${repairs} repairs`);
    t.equal(sender?.repairs, repairs, 'the other receiver needed none');
    t.match(cleanView, { atSender: { repairs: 0, datagramsLost: 0 }, own: { datagramsLost: 0 } });
  });
}
