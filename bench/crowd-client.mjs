// Fetches from one server, from a given moment on, so that the time that Node takes to start does not count.
// Arguments: the moment in milliseconds since 1970, the server, the name of the object, the folder.
import { setTimeout as sleep } from 'node:timers/promises';
import { fetch } from '../dist/index.js';

const [startAt, server, name, dir] = process.argv.slice(2);
await sleep(Number(startAt) - Date.now());
const result = await fetch({
  ...{ name, dir },
  sources: [{ host: server, port: 7735 }],
  trustSource: () => true,
});
console.log(
  JSON.stringify({ status: result.status, reason: result.reason, elapsedMs: result.elapsedMs }),
);
process.exitCode = result.status === 'complete' ? 0 : 1;
