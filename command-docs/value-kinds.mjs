// What follows options and commands, as far as the help does not describe it in a machine-readable
// way.

/** Words, files, folders or hosts after an option; other options take any text. */
export const optionValues = {
  dir: 'folder',
  out: 'folder',
  logs: 'folder',
  index: 'folder',
  key: 'file',
  'authorized-keys': 'file',
  'known-receivers': 'file',
  classic: 'file',
  'exclude-from': 'file',
  'retry-failed': 'file',
  check: 'file',
  to: 'host',
  log: ['text', 'json', 'journal'],
  'log-level': ['error', 'warn', 'info', 'debug'],
  multicast: ['auto', 'never'],
  color: ['auto', 'always', 'never'],
  mss: ['auto'],
  timeout: ['auto'],
  'loss-model': ['bernoulli', 'burst:', 'gilbert-elliott:', 'scripted:'],
};

/** After a command that takes more than options. */
export function argumentValues(name, planNames) {
  switch (name) {
    case 'p2mp completion':
      return ['bash', 'zsh', 'fish'];
    case 'p2mp experiment':
      return [...planNames, 'merge'];
    case 'p2mp list':
    case 'p2mp receive':
    case 'p2mp peers':
    case 'p2mp keygen':
      return [];
    default:
      return 'file';
  }
}
