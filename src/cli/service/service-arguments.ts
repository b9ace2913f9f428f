/** Options of commands that run as services, `p2mp receive` and `p2mp serve`: logs, metrics and the way to stop. */
import { P2mpError } from '../../base/errors.js';
import { defaultPort } from '../../classic/config.js';
import { parseChoice, parseCount, parseSeconds, parseSize } from '../arguments.js';
import { listOption, single, textOption } from '../command.js';
import { networkPathsOption } from '../network-paths-option.js';
import type { LogLevel } from '../output/log-output.js';
import { LogOutput, logFormats, logLevels } from '../output/log-output.js';
import { Output } from '../output/output.js';
import type { ColorMode } from '../output/terminal-look.js';

/** Options for where to listen. */
export const listenOptions = {
  port: {
    ...textOption,
    value: 'PORT',
    alias: 'p',
    default: String(defaultPort),
    describe: 'UDP port; 0 for any free port',
  },
  bind: {
    ...listOption,
    value: 'ADDRESS',
    alias: 'b',
    describe: 'Local address to listen on; may be repeated',
    defaultDescription: 'all',
  },
  ...networkPathsOption,
} as const;

/** Options for the state over HTTP, and for a stop. */
export const statusOptions = {
  metrics: {
    ...textOption,
    value: '[HOST:]PORT',
    describe:
      'Serve /metrics, /healthz and /readyz over HTTP at [host:]port; the default port is 9735',
  },
  'metrics-name': {
    ...listOption,
    value: 'HOST',
    describe: 'Additional host name to accept in HTTP requests for metrics; may be repeated',
    defaultDescription: "IP addresses, names without a dot, and this host's own name",
  },
  'drain-timeout': {
    ...textOption,
    value: 'SECONDS',
    describe: 'Maximum seconds for running sessions to finish after SIGTERM',
    defaultDescription: 'no limit',
  },
} as const;

/** Options for log output. */
export const logOptions = {
  log: {
    ...textOption,
    value: 'FORMAT',
    describe: 'Print log lines in this format: text, json, or journal (for systemd)',
  },
  'log-level': {
    ...textOption,
    value: 'LEVEL',
    describe: 'Log level: error (like --quiet), warn, info, or debug (like --verbose)',
    defaultDescription: 'info',
  },
} as const;

interface LogArguments {
  readonly json: boolean;
  readonly quiet: boolean;
  readonly verbose: boolean;
  readonly color: ColorMode;
  readonly log: string | undefined;
  readonly 'log-level': string | undefined;
}

/** @returns the log level that the options select */
export function chooseLevel(argv: LogArguments): LogLevel {
  const { quiet, verbose, 'log-level': given } = argv;
  if (given === undefined) return quiet ? 'error' : verbose ? 'debug' : 'info';
  if (quiet || verbose) {
    const other = quiet ? '--quiet' : '--verbose';
    throw new P2mpError(
      'INVALID_ARGUMENT',
      `--log-level and ${other} contradict each other; give only one`,
    );
  }
  return parseChoice('log-level', single('log-level', given), logLevels);
}

export function createOutput(argv: LogArguments, level: LogLevel): Output {
  const { json: isJson, log, color } = argv;
  if (log === undefined) {
    return new Output({ isJson, isQuiet: level === 'error', isTerse: level === 'warn', color });
  }
  if (isJson)
    throw new P2mpError('INVALID_ARGUMENT', '--json and --log exclude each other; give only one');
  return new LogOutput({ format: parseChoice('log', single('log', log), logFormats), level });
}

/** @returns Infinity without the option */
export function drainTimeoutMsOf(argv: { readonly 'drain-timeout': string | undefined }): number {
  const given = argv['drain-timeout'];
  return given === undefined
    ? Infinity
    : parseSeconds('drain-timeout', single('drain-timeout', given));
}

/** The limit of open files. */
export const openFilesOption = {
  'max-open-files': {
    ...textOption,
    value: 'COUNT',
    default: '256',
    describe: 'Maximum number of open files',
  },
} as const;

/** Limits of hosts from which clients fetch. */
export const clientLimitOptions = {
  rate: {
    ...textOption,
    value: 'BYTES',
    alias: 'r',
    describe: 'Maximum rate of all clients together, in bytes per second, such as 50MB',
    defaultDescription: 'no limit',
  },
  'max-clients': {
    ...textOption,
    value: 'COUNT',
    default: '256',
    describe: 'Maximum number of clients that fetch at the same time',
  },
  ...openFilesOption,
  'idle-timeout': {
    ...textOption,
    value: 'SECONDS',
    default: '60',
    describe: 'Seconds of silence from a client after which its fetch fails',
  },
} as const;

/** The parsed values of `clientLimitOptions`. */
export function clientLimitsOf(argv: {
  readonly rate: string | undefined;
  readonly 'max-clients': string;
  readonly 'max-open-files': string;
  readonly 'idle-timeout': string;
}) {
  return {
    ...(argv.rate === undefined
      ? {}
      : { rateBytesPerSec: parseSize('rate', single('rate', argv.rate)) }),
    maxClients: parseCount('max-clients', single('max-clients', argv['max-clients'])),
    maxOpenFiles: parseCount('max-open-files', single('max-open-files', argv['max-open-files'])),
    livenessTimeoutMs: parseSeconds('idle-timeout', single('idle-timeout', argv['idle-timeout'])),
  };
}
