/** The TypeScript compiler, for tests of what users compile. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { projectFolder } from './processes.js';

const compiler = join(projectFolder, 'node_modules/typescript-native/lib/tsc.js');

/**
 * Checks files under strict rules, without output.
 * @param options of the command line, such as `['--module', 'nodenext']`
 * @returns the lines with the errors
 */
export function compileErrors(
  cwd: string,
  paths: readonly string[],
  options: readonly string[],
): string[] {
  const rules = ['--strict', '--noEmit', '--target', 'es2022', '--pretty', 'false'];
  const args = [compiler, '--ignoreConfig', ...rules, ...options, ...paths];
  const { stdout, stderr } = spawnSync(process.execPath, args, { cwd, encoding: 'utf8' });
  return `${stdout}${stderr}`.split('\n').filter((line) => line !== '');
}
