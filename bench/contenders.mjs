// Who is compared. A contender has
//   id, name, about   for --only, tables and the text below them
//   hasFile           whether it sends a file rather than bytes of memory
//   runShare          of a scene's runs, where fewer will do: far off, and slow
//   needs             commands and packages, see tools.mjs
//   version(results)  what its program says of itself in what the senders printed
//   unfit(scene)      why it does not take part in a scene, or nothing
//   plan(context)     { receivers: [{ words, env?, isReady(texts) }], senders: [{ words, env? }],
//                       copies?: files to compare, or isWhole?(results) where there are none,
//                       endsItself?: receivers end after one transfer,
//                       isReversed?: what is started first sends, what is timed receives,
//                       transferS?(results): the phase of transfer alone, as the program tells it }
import { bareGso } from './contenders/bare-gso.mjs';
import { p2mp, plainP2mp } from './contenders/p2mp.mjs';
import { tcp } from './contenders/tcp.mjs';
import { udpcast } from './contenders/udpcast.mjs';
import { openUftp, uftp } from './contenders/uftp.mjs';

export const contenders = [p2mp, plainP2mp, uftp, openUftp, udpcast, tcp, bareGso];
