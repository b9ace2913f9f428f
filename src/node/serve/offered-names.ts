/** The names under which paths are offered: the last part of each. */
import { basename, resolve } from 'node:path';
import { P2mpError } from '../../base/errors.js';
import { isAskableName, maxAskedNameBytes } from '../../wire/asks.js';
import { partsFolderName } from '../disk/parts/part-folder.js';

/** A path that is offered. */
export interface OfferedPath {
  readonly name: string;
  /** Absolute. */
  readonly path: string;
}

/**
 * @returns the paths in the order given
 * @throws P2mpError INVALID_ARGUMENT if a path has no name, or two paths have the same
 */
export function nameOfferedPaths(paths: readonly string[]): OfferedPath[] {
  if (paths.length === 0) throw refuse('nothing to serve; name a file or folder');
  const given = new Map<string, string>();
  return paths.map((text) => {
    if (text === '') throw refuse('a path is empty; name a file or folder');
    if (text === '-') throw refuse('standard input cannot be served; save it to a file first');
    const path = resolve(text);
    const name = basename(path);
    if (name === '') throw refuse(`${text}: has no name; name a file or folder in it`);
    if (name === partsFolderName) {
      throw refuse(`${text}: holds unfinished transfers; serve the received files instead`);
    }
    if (!isAskableName(name)) {
      throw refuse(`${text}: its name is longer than ${maxAskedNameBytes} bytes; rename it`);
    }
    const other = given.get(name);
    if (other !== undefined) {
      const who = other === text ? `${text} is named twice` : `${other} and ${text}`;
      throw refuse(`two paths would be offered as ${name}: ${who}; rename one, or leave it out`);
    }
    given.set(name, text);
    return { name, path };
  });
}

function refuse(message: string): P2mpError {
  return new P2mpError('INVALID_ARGUMENT', message);
}
