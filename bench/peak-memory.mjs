// Sends a file and prints the seconds it took and the peak resident memory of this process, in KiB.
//   node peak-memory.mjs <port> <file> <MSS>
import { sendFile } from '../dist/index.js';

const [port, path, mssBytes] = process.argv.slice(2);
const result = await sendFile({
  servers: [{ host: '127.0.0.1', port: Number(port) }],
  path,
  mssBytes: Number(mssBytes),
});
if (result.receivers[0].status !== 'complete') throw new Error(result.receivers[0].reason);
process.stdout.write(`${result.elapsedMs / 1000}\n${process.resourceUsage().maxRSS}\n`);
