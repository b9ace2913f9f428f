/** `p2mp exchange`: everybody's files to everybody. */
import { didYouMean } from '../../../base/did-you-mean.js';
import { P2mpError } from '../../../base/errors.js';
import type { ExitCode } from '../../exit-code.js';
import { tuneEngine } from '../../tune-engine.js';
import { CoordinateCommand } from './coordinate.js';
import { checkOptionsOf, parseExchangeArguments } from './exchange-arguments.js';
import { join } from './join.js';

export async function exchange(args: readonly string[]): Promise<ExitCode> {
  tuneEngine();
  const argv = await parseExchangeArguments(args);
  if (typeof argv === 'number') return argv;
  const [role, ...rest] = argv._;
  if (role === 'coordinate') {
    checkOptionsOf('coordinate', args);
    const [first] = rest;
    if (first !== undefined) throw refuse(`${first}: a coordinator brings nothing; leave it out`);
    return new CoordinateCommand(argv).run();
  }
  if (role === 'join') {
    checkOptionsOf('join', args);
    return join(argv, rest);
  }
  if (role === undefined) throw refuse('no role: p2mp exchange coordinate, or p2mp exchange join');
  throw refuse(`${role}: unknown role${didYouMean(role, ['coordinate', 'join'])}`);
}

function refuse(message: string): P2mpError {
  return new P2mpError('INVALID_ARGUMENT', message);
}
