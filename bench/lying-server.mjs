// Serves a file, and lies: in one of every 1,000 blocks that it sends, a bit is wrong. No option of p2mp does that. A file
// that was changed would not do, because a server compares what it reads with its digests, so this program changes the
// bytes between that comparison and the encryption.
// Arguments: the file, and a folder for the index.
import { generateKeyPair, serve } from '../dist/index.js';
import { BlockSeal } from '../dist/security/block-seal.js';
import { firstLieBlocks, lieBlocks } from './lies.mjs';

const [, , path, indexFolder] = process.argv;
const { seal } = BlockSeal.prototype;
let sentBlocks = 0;

BlockSeal.prototype.seal = function (block, generation, content) {
  sentBlocks++;
  const isLie = sentBlocks % lieBlocks === firstLieBlocks;
  const bytes = isLie ? content.with(0, content[0] ^ 1) : content;
  if (isLie) console.log(JSON.stringify({ event: 'lied', block }));
  return seal.call(this, block, generation, bytes);
};

await serve({
  paths: [path],
  port: 7735,
  keyPair: await generateKeyPair(),
  indexFolder,
  trustClient: () => true,
  onEvent: (event) => console.log(JSON.stringify({ event: event.type })),
});
