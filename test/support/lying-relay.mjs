// A relay that lies: in one of so many blocks that it passes on, a bit is wrong. No option of p2mp does that. A relay
// compares what it passes on with its digests, so this program changes the bytes between that comparison and the
// encryption.
//
//   node lying-relay.mjs pull PORT-OF-SERVER CACHE-FOLDER BLOCKS
//   node lying-relay.mjs push PORT-OF-RECEIVER FOLDER BLOCKS
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const [kind, port, folder, lieBlocks] = process.argv.slice(2);
const dist = process.env.P2MP_DIST ?? join(import.meta.dirname, '../../dist');
const load = (file) => import(pathToFileURL(join(dist, file)));
const { generateKeyPair, relay } = await load('index.js');
const { BlockSeal } = await load('security/block-seal.js');

const { seal } = BlockSeal.prototype;
let passedBlocks = 0;

BlockSeal.prototype.seal = function (block, generation, content) {
  passedBlocks++;
  if (passedBlocks % Number(lieBlocks) !== 0) return seal.call(this, block, generation, content);
  console.log(`lied about block ${block}`);
  const wrong = Uint8Array.from(content);
  wrong[0] ^= 1;
  return seal.call(this, block, generation, wrong);
};

const hosts = [{ host: '127.0.0.1', port: Number(port) }];
const common = { port: 0, bind: ['127.0.0.1'], keyPair: await generateKeyPair() };
const { addresses } = await relay(
  kind === 'pull'
    ? {
        ...common,
        ...{ upstreams: hosts, cacheFolder: folder, cacheLimitBytes: 1e9 },
        ...{ trustUpstream: () => true, trustClient: () => true },
      }
    : { ...common, to: hosts, dir: folder, trustSender: () => true, trustReceiver: () => true },
);
console.log(`listening on port ${addresses[0].port}`);
