/** Receivers on case-insensitive disks: no session reports success with missing bytes. */
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import t, { type Test } from 'tap';
import { SessionHost, sendTo } from '../support/session-host.js';
import { type FoldingDisk, foldingDisks, mountFoldingDisk, whyNoDisk } from './folding-disk.js';

type Tree = Readonly<Record<string, string>>;

class Trial {
  private sentCount = 0;

  private constructor(
    /** The folder for objects to send. */
    readonly root: string,
    readonly host: SessionHost,
  ) {}

  static async open(t: Test, kind: FoldingDisk): Promise<Trial> {
    return new Trial(
      t.testdir({ outside: {} }),
      await SessionHost.open(t, mountFoldingDisk(t, kind)),
    );
  }

  get dir(): string {
    return this.host.dir;
  }

  /** Names in the target folder, except those of the disk itself. */
  get names(): string[] {
    return readdirSync(this.dir).filter((name) => name !== 'System Volume Information');
  }

  /** Sends files with these names and contents. @returns the outcome */
  async send(tree: Tree): Promise<{ status: string; reason?: string }> {
    const folder = join(this.root, `sent ${this.sentCount++}`);
    for (const [name, content] of Object.entries(tree)) {
      mkdirSync(join(folder, dirname(name)), { recursive: true });
      writeFileSync(join(folder, name), content);
    }
    const { receivers } = await sendTo([this.host], [`${folder}/.`]);
    const [{ status, reason } = { status: 'none' }] = receivers;
    return { status, ...(reason === undefined ? {} : { reason }) };
  }

  isAt(tree: Tree): boolean {
    return Object.entries(tree).every(
      ([name, content]) =>
        existsSync(join(this.dir, name)) && readFileSync(join(this.dir, name), 'utf8') === content,
    );
  }
}

for (const [name, { hasLinks }] of Object.entries(foldingDisks)) {
  const kind = name as FoldingDisk;
  const skip = whyNoDisk(kind);

  t.test(
    `${kind}: names of one object that the disk treats as equal are refused`,
    { skip },
    async (t) => {
      const trial = await Trial.open(t, kind);
      const objects: Tree[] = [
        { A: 'large', a: 'small' },
        { 'd/F': 'one', 'd/f': 'other' },
        { 'D/x': 'one', 'd/y': 'other' },
        { N: '', 'n/x': 'y' },
        { É: 'one', é: 'other' },
      ];
      for (const object of objects) {
        const { status, reason } = await trial.send(object);
        t.equal(status, 'refused', Object.keys(object).join(' '));
        t.match(reason, /are the same name on this disk; rename one at the sender/);
        t.same(trial.names, [], 'nothing was created');
      }
      t.match(await trial.send({ A: 'large', b: 'small' }), { status: 'complete' });
    },
  );

  t.test(
    `${kind}: a name that is a folder of an earlier session is refused`,
    { skip },
    async (t) => {
      const trial = await Trial.open(t, kind);
      const photos = { 'Photos/p': 'picture' };
      t.match(await trial.send(photos), { status: 'complete' });
      t.match(await trial.send({ PHOTOS: 'text' }), { status: 'refused', reason: /is a folder/ });
      t.ok(trial.isAt(photos));
      const note = { Note: 'text' };
      t.match(await trial.send(note), { status: 'complete' });
      t.match(await trial.send({ 'NOTE/x': 'y' }), {
        status: 'refused',
        reason: /is not a folder/,
      });
      t.ok(trial.isAt(note));
    },
  );

  t.test(`${kind}: of concurrent sessions, a complete one has its bytes`, { skip }, async (t) => {
    const trial = await Trial.open(t, kind);
    for (let round = 0; round < 5; round++) {
      const file = { [`Data${round}`]: 'x'.repeat(100_000) };
      const folder = { [`data${round}/x`]: 'y'.repeat(100_000) };
      const [first, second] = await Promise.all([trial.send(file), trial.send(folder)]);
      t.ok(
        first.status !== 'complete' || second.status !== 'complete',
        'at most one of them is complete',
      );
      if (first.status === 'complete') t.ok(trial.isAt(file));
      if (second.status === 'complete') t.ok(trial.isAt(folder));
    }
  });

  t.test(`${kind}: a file whose name differs in case is replaced`, { skip }, async (t) => {
    const trial = await Trial.open(t, kind);
    t.match(await trial.send({ Readme: 'first' }), { status: 'complete' });
    for (const content of ['other', 'longer than that']) {
      t.match(await trial.send({ README: content }), { status: 'complete' });
      t.ok(trial.isAt({ README: content }));
    }
    t.equal(trial.names.length, 1);
  });

  t.test(`${kind}: the folder of parts cannot be reached by another name`, { skip }, async (t) => {
    const trial = await Trial.open(t, kind);
    for (const object of [{ '.P2MP-Part': 'x' }, { '.P2mp-parT/x': 'y' }]) {
      const { status, reason } = await trial.send(object);
      t.match({ status, reason }, { status: 'refused', reason: /this name is reserved for/ });
    }
    t.same(trial.names, []);
  });

  const skipLinks = skip || (!hasLinks && 'the disk has no links');
  t.test(
    `${kind}: a link is not followed through a name in another case`,
    { skip: skipLinks },
    async (t) => {
      const trial = await Trial.open(t, kind);
      const outside = join(trial.root, 'outside');
      symlinkSync(outside, join(trial.dir, 'a'));
      t.match(await trial.send({ 'A/x': 'y' }), {
        status: 'refused',
        reason: /is a symbolic link/,
      });
      t.same(readdirSync(outside), []);
    },
  );
}
