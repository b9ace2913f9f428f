// npm run bench runs everything; npm run bench -- peers | stop-and-wait | render runs one part.
import { parseArgs } from 'node:util';
import { contenders } from './contenders.mjs';
import { benchCrowd } from './crowd.mjs';
import { benchExchange } from './exchange.mjs';
import { benchMultipath } from './multipath.mjs';
import { benchPeers, WrongArguments } from './peers.mjs';
import { benchRelay } from './relay.mjs';
import { benchRelayLoss } from './relay-loss.mjs';
import { render } from './render.mjs';
import { benchSources } from './sources.mjs';
import { benchStopAndWait } from './stop-and-wait.mjs';

const help = `npm run bench -- [peers | sources | crowd | exchange | multipath | relay | relay-loss | stop-and-wait | render] [options]

  peers           sessions against UFTP, udpcast, TCP and bare GSO, in network namespaces
  sources         p2mp fetch against aria2c, from three servers at 100, 60 and 40 Mbit/s: steady, with a server that
                  dies, slows down or lies, and with a client that is killed
  crowd           what 8 clients that fetch the same cost the link of one server, with and without multicast
  exchange        p2mp exchange among four peers against BitTorrent (libtorrent), with links of equal and of different
                  rates, and with a peer that dies
  multipath       p2mp send by two paths of different rates against one of them, and kernel MPTCP beside it; and a path
                  that is cut
  relay           p2mp fetch through relays against the same without them, and nginx as a caching proxy beside it
  relay-loss      p2mp send through a relay to 8 receivers that lose 5 %, and UFTP with its proxies: what the origin sends
  stop-and-wait   P2MP-FTP over loopback against bare dgram
  render          tables and picture of peers anew, from results.json

  --runs 5            of each contender in each scene (stop-and-wait: 7)
  --size-mb 200       of the object, in 10^6 bytes
  --receivers 1,3,8   with any of these four, every combination is run,
  --loss 0            in per cent, in place of the usual selection
  --link 0            of the sender, in Mbit/s; 0: unlimited
  --wire ...          batches, datagrams; batches without loss, else datagrams
  --only p2mp,uftp    contenders: ${contenders.map(({ id }) => id).join(', ')}
  --scene 1,2         of exchange; grid,long,cut of multipath
  --limit-s 180       after which a run is killed
  --skip-start        leaves out the time to the first data
  --resume            goes on with an interrupted run: scenes that are done stay as they are
  --skip-memory       stop-and-wait: leaves out the table of memory
  --out bench/results folder of results
`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    runs: { type: 'string' },
    'size-mb': { type: 'string' },
    receivers: { type: 'string' },
    loss: { type: 'string' },
    link: { type: 'string' },
    wire: { type: 'string' },
    only: { type: 'string' },
    scene: { type: 'string' },
    'limit-s': { type: 'string' },
    'skip-start': { type: 'boolean' },
    resume: { type: 'boolean' },
    'skip-memory': { type: 'boolean' },
    out: { type: 'string' },
    help: { type: 'boolean' },
  },
});
const runs = values.runs === undefined ? undefined : Number(values.runs);
const numbers = (list) => list?.split(',').map(Number);

const parts = {
  'stop-and-wait': () => benchStopAndWait({ runs, skipMemory: values['skip-memory'] }),
  peers: () =>
    benchPeers({
      runs,
      sizeMb: values['size-mb'] && Number(values['size-mb']),
      receiverCounts: numbers(values.receivers),
      lossPercents: numbers(values.loss),
      ratesMbit: numbers(values.link),
      wires: values.wire?.split(','),
      only: values.only?.split(','),
      limitS: values['limit-s'] && Number(values['limit-s']),
      skipStart: values['skip-start'],
      resume: values.resume,
      out: values.out,
    }),
  sources: () =>
    benchSources({
      runs,
      sizeMb: values['size-mb'] && Number(values['size-mb']),
      only: values.only?.split(','),
    }),
  crowd: () =>
    benchCrowd({
      runs,
      sizeMb: values['size-mb'] && Number(values['size-mb']),
      clientCounts: numbers(values.receivers),
      losses: numbers(values.loss),
    }),
  exchange: () =>
    benchExchange({
      runs,
      sizeMb: values['size-mb'] && Number(values['size-mb']),
      only: values.only?.split(','),
      scene: numbers(values.scene),
    }),
  multipath: () =>
    benchMultipath({
      runs,
      only: values.only?.split(','),
      scene: values.scene?.split(','),
    }),
  relay: () =>
    benchRelay({
      runs,
      sizeMb: values['size-mb'] && Number(values['size-mb']),
      only: values.only?.split(','),
    }),
  'relay-loss': () =>
    benchRelayLoss({
      runs,
      sizeMb: values['size-mb'] && Number(values['size-mb']),
      only: values.only?.split(','),
    }),
  render: () => render(values.out),
};
const named = positionals.length === 0 ? ['stop-and-wait', 'peers'] : positionals;
const isKnown = (wanted) =>
  contenders.some(({ id }) => id === wanted) ||
  ['aria2c', 'nginx', 'libtorrent', 'mptcp'].includes(wanted);
const unknown = values.only?.split(',').filter((id) => !isKnown(id)) ?? [];
if (values.help || unknown.length > 0 || named.some((name) => !(name in parts))) {
  console.log(help);
  process.exitCode = values.help ? 0 : 2;
} else {
  try {
    for (const name of named) await parts[name]();
  } catch (error) {
    if (!(error instanceof WrongArguments)) throw error;
    console.error(`bench: ${error.message}`);
    process.exitCode = 2;
  }
}
