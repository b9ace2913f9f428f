/** Describes this machine for a report. */
import { arch, cpus, release, totalmem, type } from 'node:os';
import { packageVersion } from '../package-version.js';

/** Name and value, in display order. */
export function machineFacts(): [string, string][] {
  const processors = cpus();
  const model = processors[0]?.model.trim() ?? 'unknown processor';
  return [
    ['Processor', `${processors.length} × ${model}`],
    ['Memory', `${(totalmem() / 2 ** 30).toFixed(1)} GiB`],
    ['System', `${type()} ${release()}, ${arch()}`],
    ['Node', process.version],
    ['p2mp', packageVersion()],
  ];
}
