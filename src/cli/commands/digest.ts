/** `p2mp digest`: prints digests of files and folders, or compares files with a list of digests. */
import { text as readText } from 'node:stream/consumers';
import { escapeControls } from '../../base/control-characters.js';
import { P2mpError } from '../../base/errors.js';
import { formatPlural } from '../../base/format.js';
import { withoutUndefined } from '../../base/without-undefined.js';
import { digestContent, hashFile } from '../../node/content-digest.js';
import { ObjectSource } from '../../node/disk/source/object-source.js';
import { readTextFile } from '../../node/read-text-file.js';
import { createParser, flagOption, onInterrupt, parse, single, textOption } from '../command.js';
import type { ExitCode } from '../exit-code.js';
import { exitCode } from '../exit-code.js';
import { Output } from '../output/output.js';
import { formatSha256, parseSha256 } from '../sha256-list.js';

const usage = [
  '$0 PATH... [options]',
  '$0 --check FILE [options]',
  '',
  'Prints the content root of files and folders, as p2mp send and p2mp receive print it. It depends on',
  'the bytes of the files and their order, not on names, modes or times.',
].join('\n');

const digestOptions = {
  sha256: {
    ...flagOption,
    alias: 's',
    describe: 'Print the SHA-256 of each file instead, as sha256sum does',
  },
  check: {
    ...textOption,
    alias: 'c',
    value: 'FILE',
    describe: 'Compare files with the SHA-256 list in FILE; - reads it from standard input',
  },
} as const;

export function createDigestParser() {
  return createParser({
    name: 'p2mp digest',
    usage,
    groups: { Digest: digestOptions },
    examples: [
      ['$0 photos', 'the content root that p2mp send photos prints'],
      ['$0 --sha256 photos > photos.sha256', 'a list for --check and for sha256sum --check'],
      ['$0 --check photos.sha256', 'on another host, in the folder that contains photos'],
    ],
    exitCodes:
      'Exit codes: 0 success; 1 a file differs or cannot be read (with --check); 2 usage error; 4 file error; 5 some entries were skipped; 130 interrupted.',
  });
}

export async function digest(args: readonly string[]): Promise<ExitCode> {
  const argv = await parse(createDigestParser(), args);
  if (typeof argv === 'number') return argv;
  const output = new Output({ isJson: argv.json, isQuiet: argv.quiet, color: argv.color });
  const interruption = new AbortController();
  onInterrupt(() => interruption.abort());
  const { signal } = interruption;
  const paths = argv._.map(String);
  try {
    if (argv.check === undefined) return await printDigests(paths, argv.sha256, output, signal);
    if (paths.length > 0 || argv.sha256) {
      const message = '--check: takes neither paths nor --sha256; the list names the files';
      throw new P2mpError('INVALID_ARGUMENT', message);
    }
    return await checkList(single('check', argv.check), output, signal);
  } catch (error) {
    if (!signal.aborted) throw error;
    output.json({ event: 'result', status: 'interrupted' });
    return exitCode.interrupted;
  } finally {
    output.flush();
  }
}

async function printDigests(
  paths: readonly string[],
  printsFiles: boolean,
  output: Output,
  signal: AbortSignal,
): Promise<ExitCode> {
  if (paths.length === 0) {
    throw new P2mpError('INVALID_ARGUMENT', 'no path; name a file or folder');
  }
  const source = await ObjectSource.open({ paths, signal });
  try {
    const { entries, contentSizeBytes } = source.manifest;
    const { skipped } = source;
    for (const { name, reason } of skipped) {
      output.json({ event: 'skipped', name, reason });
      output.warn(`${name}: not included: ${reason}`);
    }
    const root = await digestContent(source, signal, (file) => {
      if (!printsFiles) return;
      output.json({ event: 'file', path: file.path, bytes: file.sizeBytes, sha256: file.sha256 });
      output.line(formatSha256(file));
    });
    if (!printsFiles) output.line(root);
    output.json({
      event: 'result',
      status: skipped.length === 0 ? 'complete' : 'incomplete',
      contentRoot: root,
      bytes: contentSizeBytes,
      entries: entries.length,
      ...withoutUndefined({ skipped: skipped.length === 0 ? undefined : skipped }),
    });
    return skipped.length === 0 ? exitCode.ok : exitCode.skipped;
  } finally {
    await source.close();
  }
}

async function checkList(listPath: string, output: Output, signal: AbortSignal): Promise<ExitCode> {
  const list = await (listPath === '-' ? readText(process.stdin) : readTextFile(listPath));
  const lines = list.split(/\r?\n/);
  const report = (message: string) => {
    if (!output.isJson) output.error(message);
  };
  let fileCount = 0;
  let differingCount = 0;
  let unreadableCount = 0;
  for (const [i, line] of lines.entries()) {
    if (line === '') continue;
    const listed = parseSha256(line);
    if (listed === undefined) {
      throw new P2mpError(
        'INVALID_ARGUMENT',
        `${listPath}:${i + 1}: not a line of sha256sum: 64 hexadecimal digits, two blanks, a name`,
      );
    }
    const { path } = listed;
    fileCount++;
    try {
      const isSame = (await hashFile(path, signal)) === listed.sha256;
      if (!isSame) differingCount++;
      output.json({ event: 'file', path, status: isSame ? 'same' : 'differs' });
      if (isSame) output.line(`${escapeControls(path)}: OK`);
      else report(`${escapeControls(path)}: FAILED: the content differs`);
    } catch (error) {
      if (!(error instanceof P2mpError)) throw error;
      unreadableCount++;
      output.json({ event: 'file', path, status: 'unreadable', reason: error.message });
      report(error.message);
    }
  }
  if (fileCount === 0) {
    throw new P2mpError('INVALID_ARGUMENT', `${listPath}: the list is empty`);
  }
  const isSame = differingCount + unreadableCount === 0;
  output.json({
    event: 'result',
    status: isSame ? 'same' : 'differs',
    files: fileCount,
    differing: differingCount,
    unreadable: unreadableCount,
  });
  if (!isSame) {
    const counts = `${differingCount} different, ${unreadableCount} unreadable`;
    report(`${formatPlural(fileCount, 'file')} compared: ${counts}`);
  }
  return isSame ? exitCode.ok : exitCode.none;
}
