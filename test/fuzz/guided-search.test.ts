/** The coverage-guided search: counters are correct, and it finds what random inputs do not. */
import t from 'tap';
import ts from 'typescript';
import type { CountedBlock, CountedTargets } from './counted-blocks.js';
import { countBlocks } from './counted-blocks.js';
import { search } from './guided.js';
import type { Target } from './targets.js';

t.test('code with counters behaves as before, and shows which blocks ran', (t) => {
  const text = `
    class Box { double(n: number): number { return 2 * n; } }
    function run(n: number, other?: number): unknown {
      const list: number[] = [];
      for (let i = 0; i < n; i++) if (i % 2 === 0) list.push(i); else list.push(-i);
      for (const one of list) switch (one) { case 2: return 'two'; default: break; }
      return n > 0 ? (other ?? new Box().double(n)) : n === 0 && 'none';
    }
    run`;
  const blocks: CountedBlock[] = [];
  const counted = countBlocks(text, 'box.ts', blocks);
  const compile = (code: string, hits: Uint32Array) => {
    const { outputText } = ts.transpileModule(code, {});
    // Compares the results of the original and the instrumented code.
    return new Function('p2mpBlockHits', `return eval(${JSON.stringify(outputText)})`)(hits);
  };
  const hits = new Uint32Array(blocks.length);
  const [plain, made] = [compile(text, hits), compile(counted, hits)];
  for (const given of [[0], [1], [2, 7], [3], [-1]]) {
    t.same(made(...given), plain(...given), `of ${given}`);
  }
  const ran = blocks.filter((_, i) => (hits[i] as number) > 0);
  t.equal(ran.length, blocks.length, 'each block ran');
  t.ok(blocks.length >= 11, `${blocks.length} blocks`);
  hits.fill(0);
  made(-1);
  const lines = blocks.filter((_, i) => hits[i] === 1).map(({ line }) => line);
  t.same(lines, [7, 3], 'blocks that run once have their positions in the source');
  t.end();
});

t.test('guided search climbs a long chain of rare steps, and random search does not', async (t) => {
  const marks = [2, 4, 6, 8, 10];
  const hits = new Uint32Array(marks.length);
  const target: Target = { name: 'stairs', share: 1, run: () => 1 };
  const module = {
    runInput: async (_: Target, tape: Uint8Array) => {
      const count = tape.slice(0, 100).filter((byte) => byte === 0xee).length;
      for (const [i, mark] of marks.entries()) if (count >= mark) hits[i] = 1;
      return { datagrams: 1, digest: 0, seen: {} };
    },
  };
  const blocks = marks.map((mark) => ({ file: 'stairs', line: mark }));
  const counted = { blocks, hits, module } as unknown as CountedTargets;
  const count = 5000;
  const guided = await search(counted, target, { seed: 1, count, isGuided: true });
  const random = await search(counted, target, { seed: 1, count, isGuided: false });
  t.equal(guided.reached.length, marks.length, 'guided search reaches the top');
  t.ok(random.reached.length < marks.length - 1, `at random, ${random.reached.length} steps`);
  t.same([guided.inputs, random.inputs], [count, count]);
});
