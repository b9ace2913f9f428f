import { drawSessionScenario } from '../test/support/session-scenario.js';
import { runSessionScenario } from '../test/support/session-scenario-run.js';
import { complaintsAboutSession, completionBoundMs } from '../test/support/session-scenario-check.js';
const [a, b] = process.argv.slice(2).map(Number) as [number, number];
const t0 = Date.now();
for (let n = a; n <= b; n++) { const s = drawSessionScenario(n);
 const r = runSessionScenario(s); const c = complaintsAboutSession(s, r);
 const last = Math.max(0, ...r.settled.filter(x=>x.outcome.status==='complete').map(x => x.atMs));
 const bs = s.mssBytes*s.segmentsPerBlock-16; const size = s.contentSizeBytes+40*s.fileCount; const blocks = 1+Math.ceil(size/bs);
 const R = s.receivers.length;
 console.log(JSON.stringify({n, last: Math.round(last), bound: Math.round(completionBoundMs(s)), inc: s.lastIncidentMs, blocks, segs: Math.ceil(size/s.mssBytes), R, away: s.receivers.filter(r=>!r.returns).length, rps: s.reportsPerSec, max: r.maxReportsPerSec, rate: s.rateBytesPerSec, src: s.sourceTimeMs, disk: Math.max(...s.receivers.map(x=>blocks*x.writeTimeMs+x.storeTimeMs)), sinc: s.senderIncidents.length, buf: Math.min(...s.receivers.map(r=>r.bufferBytes)), minLink: Math.min(...s.receivers.map(r=>(r.forwardLink as any).rateBytesPerSec??1e9)), loss: Math.max(...s.receivers.map(r=>{const l:any=r.forwardLink.loss; return l?.probability??l?.lossInBad??0})), delay: s.receivers[0]!.forwardLink.delayMs, size, c: c.length?c:undefined}));
}
console.error('ms', Date.now()-t0);
