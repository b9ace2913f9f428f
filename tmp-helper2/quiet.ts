import { drawSessionScenario } from '../test/support/session-scenario.js';
import { runSessionScenario } from '../test/support/session-scenario-run.js';
let quiet = 0; let few = 0;
for (let n = 1; n <= 3000; n++) { const s = drawSessionScenario(n); 
 const isQuiet = s.senderIncidents.length === 0 && s.receivers.every(x => x.incidents.length === 0 && (x.forwardLink.loss?.model ?? 'none') === 'none' && (x.backwardLink.loss?.model ?? 'none') === 'none' && [x.forwardLink, x.backwardLink].every(l => !l.jitterMs && !l.reorderProbability && !l.corruptProbability && !l.rateBytesPerSec&& !l.duplicateProbability));
 if (!isQuiet) continue; quiet++;
 const r = runSessionScenario(s);
 const isRoomy = s.receivers.every(x => x.bufferBytes > 1e6);
 const d = r.receivers.map(x => x.results.reduce((a, y) => a + y.duplicates, 0)); const l = r.receivers.map(x => Math.max(0,...x.results.map(y => y.lossRatio)));
 if (d.some(x => x > 0) || l.some(x => x > 0)) console.log(n, isRoomy, 'dup', d.join(), 'loss', l.map(x=>x.toFixed(3)).join(), 'sent', r.sender[0]!.datagramsSent, 'rep', r.sender[0]!.repairs, 'group', s.hasGroup, s.receivers.map(x=>+x.isReachedByGroup).join(''), 'delay', s.receivers[0]!.forwardLink.delayMs, 'send', s.sendTimeMs, 'rps', s.reportsPerSec, 'buf', s.receivers.map(x=>x.bufferBytes).join()); else few++;
}
console.log(quiet, 'clean', few);
