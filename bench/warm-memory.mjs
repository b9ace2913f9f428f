// A virtual machine may return idle memory to its host after a second or two, and the next process
// to touch it waits until it is back: for 200 MB, as long as a whole run of the fastest contender.
// A contender would then pay for the pause before it, and the next would not. So before each run,
// as much memory as a run needs is touched and freed.
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
