// A virtual machine may give memory that has been idle for a second or two back to its host, and whoever
// touches it next waits until it is there again: for 200 MB, as long as a whole run of the fastest takes. Then
// a contender would pay for the pause before it, and its neighbours would not. So before each run, as much
// as a run takes is touched, and freed.
import { open, rm } from 'node:fs/promises';

const chunk = Buffer.alloc(4 * 1024 * 1024);

/** @param path of a file in memory, removed at once */
export async function warmMemory(path, bytes) {
  const file = await open(path, 'w');
  try {
    for (let written = 0; written < bytes; written += chunk.length) await file.write(chunk);
  } finally {
    await file.close();
    await rm(path);
  }
}
