// The contenders that are compared. A contender has
//   id, name, about   for --only, tables and the text below them
//   hasFile           whether it sends a file rather than bytes from memory
//   runShare          share of a scene's runs, for contenders that are slow and far off
//   needs             commands and packages, see tools.mjs
//   version(results)  the version that its program printed at the sender
//   unfit(scene)      why it does not take part in a scene, or undefined
//   plan(context)     { receivers: [{ words, env?, isReady(texts) }], senders: [{ words, env? }],
//                       copies?: files to compare, or isWhole?(results) if there are none,
//                       endsItself?: receivers end after one transfer,
//                       isReversed?: the program started first sends, and the timed one receives,
//                       transferS?(results): the transfer phase alone, as the program reports it }
import { bareGso } from './contenders/bare-gso.mjs';
import { p2mp, plainP2mp } from './contenders/p2mp.mjs';
import { tcp } from './contenders/tcp.mjs';
import { udpcast } from './contenders/udpcast.mjs';
import { openUftp, uftp } from './contenders/uftp.mjs';

export const contenders = [p2mp, plainP2mp, uftp, openUftp, udpcast, tcp, bareGso];
