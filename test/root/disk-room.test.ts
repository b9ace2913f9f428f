/**
 * Small real disks: objects that do not fit are refused before data is sent, or fail by name later.
 */
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { parseResult } from '../support/processes.js';
import { type ReceiverProgram, SessionPlace, waitForNote } from '../support/session-commands.js';
import { mountSmallDisk } from './small-disk.js';

async function send(place: SessionPlace, { name }: ReceiverProgram, ...words: string[]) {
  const exit = await place.send([...words, '--to', name, '--open', '--json']).exited;
  return { exit, receiver: parseResult(exit)['receivers'][0] };
}

function writeFiles(place: SessionPlace, name: string, count: number, sizeBytes: number): string {
  const folder = join(place.sent, name);
  mkdirSync(folder);
  for (let i = 0; i < count; i++) writeFileSync(join(folder, `${i}`), Buffer.alloc(sizeBytes, i));
  return folder;
}

/** Starts a receiver in a folder of the small disk. */
async function receiveOn(t: Test, options: string) {
  const disk = mountSmallDisk(t, options);
  const place = new SessionPlace(t);
  const receiver = await place.receive(['--open', '--json', '--dir', disk]);
  return { disk, place, receiver: { ...receiver, dir: disk } };
}

t.test('100 small files need more than their bytes', async (t) => {
  const { place, receiver } = await receiveOn(t, 'size=240k');
  const many = writeFiles(place, 'many', 100, 100);
  const refused = await send(place, receiver, many);
  t.equal(refused.exit.code, 1);
  t.match(refused.receiver, { status: 'refused', reason: /needs 410 kB, \d+ kB free; make room/ });
  const few = writeFiles(place, 'few', 10, 100);
  t.equal((await send(place, receiver, few)).exit.code, 0, 'the receiver keeps running');
});

t.test('a disk with too few inodes', async (t) => {
  const { place, receiver } = await receiveOn(t, 'size=10m,nr_inodes=40');
  const many = writeFiles(place, 'many', 100, 100);
  const refused = await send(place, receiver, many);
  t.match(refused.receiver, {
    status: 'refused',
    reason: /needs 101 inodes, \d+ free: the disk has no free inodes/,
  });
  const few = writeFiles(place, 'few', 10, 100);
  t.equal((await send(place, receiver, few)).exit.code, 0, 'the receiver keeps running');
});

t.test('a disk whose inodes are used up midway', async (t) => {
  const { disk, place, receiver } = await receiveOn(t, 'size=30m,nr_inodes=40');
  const folder = writeFiles(place, 'slow', 8, 1_000_000);
  const sender = place.send([folder, '--to', receiver.name, '--open', '--json', '--rate', '2MB']);
  await waitForNote(receiver);
  const fillers: string[] = [];
  try {
    for (let i = 0; ; i++) {
      const path = join(disk, `filler ${i}`);
      writeFileSync(path, '');
      fillers.push(path);
    }
  } catch {
    // All inodes are in use.
  }
  const exit = await sender.exited;
  t.equal(exit.code, 1);
  t.match(parseResult(exit)['receivers'], [
    { status: 'failed', reason: /the disk has no free inodes; delete files there/ },
  ]);
  for (const path of fillers) rmSync(path);
  t.equal((await send(place, receiver, folder)).exit.code, 0, 'with free inodes, the rest arrives');
  t.same(readdirSync(disk), ['slow']);
});
