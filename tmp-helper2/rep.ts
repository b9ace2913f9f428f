import { drawSessionScenario } from '../test/support/session-scenario.js';
import { runSessionScenario } from '../test/support/session-scenario-run.js';
import { ReportClock } from '../src/session/report-clock.js';
const P: any = ReportClock.prototype;
if (process.argv[2] === 'fix') P.nextTurnMs = function (fromMs: number) {
  const { intervalMs, turnAtMs, reportedAtMs } = this;
  if (intervalMs < 10) return Math.max(fromMs, reportedAtMs + intervalMs);
  const turn = Math.ceil((fromMs - turnAtMs) / intervalMs);
  const atMs = turnAtMs + turn * intervalMs;
  return Math.max(fromMs, atMs > reportedAtMs ? atMs : atMs + intervalMs);
};
const over: any = {}; let calmRepairs: any[] = []; let calm = 0;
for (let n = 1; n <= 1500; n++) { const s = drawSessionScenario(n); const r = runSessionScenario(s);
 const k = s.reportsPerSec + ' ' + (s.receivers.length === 30 ? 30 : 'few'); const o = r.maxReportsPerSec - s.reportsPerSec;
 if (!(over[k]?.[0] >= o)) over[k] = [o, n, s.receivers.length];
 const isQuiet = s.senderIncidents.length === 0 && s.receivers.every(x => x.incidents.length === 0 && (x.forwardLink.loss?.model ?? 'none') === 'none' && !x.forwardLink.jitterMs && !x.forwardLink.reorderProbability && !x.forwardLink.corruptProbability && !x.forwardLink.rateBytesPerSec&& !x.forwardLink.duplicateProbability && x.bufferBytes > 1e6);
 if (isQuiet) { calm++; if (r.sender[0]!.repairs) calmRepairs.push([n, r.sender[0]!.repairs, r.sender[0]!.datagramsSent, s.sendTimeMs]); }
}
console.log(over, calm, JSON.stringify(calmRepairs));
