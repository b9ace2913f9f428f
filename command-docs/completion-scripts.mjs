// Completion scripts for shells. They contain all words themselves: starting Node on each press of
// the tab key would take longer than typing.
import { argumentValues, optionValues } from './value-kinds.mjs';

const programs = ['p2mp', 'p2mpclient', 'p2mpserver'];

export function completionScripts(commands, planNames) {
  const known = new Set(commands.flatMap(({ options }) => options.map(({ long }) => long)));
  for (const long of Object.keys(optionValues)) {
    if (!known.has(long)) throw new Error(`value-kinds.mjs: there is no option --${long}`);
  }
  const all = commands.map((command) => ({
    ...command,
    values:
      command.verbs.length > 0
        ? command.verbs.map(({ verb }) => verb)
        : argumentValues(command.name, planNames),
  }));
  const [main] = all;
  const verbs = main.verbs.map(({ verb }) => verb);
  main.verbs = [...main.verbs, { verb: 'help', what: 'Show the help of a command' }];
  main.values = [...verbs, 'help'];
  all.push({ name: 'p2mp help', options: [], verbs: [], values: verbs });
  return { 'p2mp.bash': bash(all), _p2mp: zsh(all), 'p2mp.fish': fish(all) };
}

const made = '# Made from the commands\' own help; "p2mp completion" prints it.';

/** All spellings of an option. */
function spellings({ long, short, isNegated }) {
  return [...(short === undefined ? [] : [`-${short}`]), `--${isNegated ? 'no-' : ''}${long}`];
}

function quote(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

// --- bash

function bash(commands) {
  const valued = new Map();
  for (const { name, options } of commands) {
    for (const { long, takesValue } of options) {
      if ((valued.get(long) ?? takesValue) !== takesValue) {
        throw new Error(`--${long} of ${name} takes a value in one command only`);
      }
      valued.set(long, takesValue);
    }
  }
  const values = [...valued.keys()].filter((long) => valued.get(long));
  const kindOf = (long) => optionValues[long] ?? 'text';
  const arms = new Map();
  for (const long of values) {
    const kind = kindOf(long);
    const action = Array.isArray(kind) ? `words ${quote(kind.join(' '))}` : kind;
    arms.set(action, [...(arms.get(action) ?? []), `--${long}`]);
  }
  // Nothing can follow these options in a word of its own but another option or an argument.
  const alone = commands.flatMap(({ name, options }) =>
    options.filter(({ isValueOptional }) => isValueOptional).map(({ long }) => `${name} --${long}`),
  );
  return `${made}

_p2mp() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD - 1]}
  local name=\${COMP_WORDS[0]##*/} options= arguments= kind= words= IFS=$' \\t\\n'
  # Bash takes --dir=/srv apart.
  if [[ $cur == = ]]; then
    cur=
  elif [[ $prev == = ]]; then
    prev=\${COMP_WORDS[COMP_CWORD - 2]}
  fi
  if [[ $name == p2mp ]] && (( COMP_CWORD > 1 )); then name="p2mp \${COMP_WORDS[1]}"; fi
  case $name in
${commands
  .map(({ name, options, values: rest }) => {
    const words = options.flatMap(spellings).join(' ');
    const kind = Array.isArray(rest) ? rest.join(' ') : '';
    return `    ${quote(name)}) options=${quote(words)} arguments=${quote(kind)} kind=${Array.isArray(rest) ? 'words' : rest} ;;`;
  })
  .join('\n')}
    *) return ;;
  esac
  case "$name $prev \${COMP_WORDS[COMP_CWORD - 1]}" in
${alone.map((each) => `    ${quote(`${each} ${each.split(' ').at(-1)}`)}) prev= ;;`).join('\n')}
  esac
  case $prev in
${[...arms]
  .map(([action, names]) => {
    const [kind, ...more] = action.split(' ');
    const words = more.length === 0 ? '' : ` words=${more.join(' ')}`;
    return `    ${names.join('|')}) kind=${kind}${words} ;;`;
  })
  .join('\n')}
    *)
      words=$arguments
      if [[ $cur == -* ]]; then kind=words words=$options; fi
      ;;
  esac
  IFS=$'\\n'
  case $kind in
    words) IFS=$' \\t\\n'; COMPREPLY=($(compgen -W "$words" -- "$cur")) ;;
    file) COMPREPLY=($(compgen -f -- "$cur")) ;;
    folder) COMPREPLY=($(compgen -d -- "$cur")) ;;
    host) COMPREPLY=($(compgen -A hostname -- "$cur")) ;;
    *) COMPREPLY=() ;;
  esac
  # Plans have names, and are files as well.
  if [[ $name == 'p2mp experiment' && $kind == words && $cur != -* && $words == "$arguments" ]]; then
    IFS=$'\\n'
    COMPREPLY+=($(compgen -f -- "$cur"))
  fi
}

complete -o filenames -F _p2mp ${programs.join(' ')}
`;
}

// --- zsh

function zsh(commands) {
  const actionOf = (kind) => {
    if (Array.isArray(kind)) return `(${kind.join(' ').replaceAll(':', '\\:')})`;
    return { file: '_files', folder: '_files -/', host: '_hosts' }[kind] ?? ' ';
  };
  const specs = ({ name, options, values }) => {
    const lines = options.map((option) => {
      const { long, what, takesValue, isValueOptional, isRepeatable } = option;
      const names = spellings(option);
      const text = `[${what.replaceAll('[', '\\[').replaceAll(']', '\\]')}]`;
      const colon = isValueOptional ? '::' : ':';
      const value = takesValue ? `${colon}${long}:${actionOf(optionValues[long] ?? 'text')}` : '';
      const spec = (each) => `${each}${takesValue ? '=' : ''}${isValueOptional ? '-' : ''}`;
      if (names.length === 1) {
        return quote(`${isRepeatable ? '*' : ''}${spec(names[0])}${text}${value}`);
      }
      return `${quote(`(${names.join(' ')})`)}{${names.map(spec).join(',')}}${quote(text + value)}`;
    });
    if (name === 'p2mp experiment') {
      lines.push(
        quote(`*:plan: _alternative "plans:plan:(${values.join(' ')})" "files:file:_files"`),
      );
    } else if (Array.isArray(values) && values.length > 0) {
      lines.push(quote(`1:argument:${actionOf(values)}`));
    } else if (!Array.isArray(values)) {
      lines.push(quote(`*:${values}:${actionOf(values)}`));
    }
    return lines;
  };
  const [main, ...others] = commands;
  const verbs = others.filter(({ name }) => name.startsWith('p2mp '));
  const alone = others.filter(({ name }) => !name.startsWith('p2mp '));
  const call = (command) => `_arguments -s -S \\\n        ${specs(command).join(' \\\n        ')}`;
  return `#compdef ${programs.join(' ')}
${made}

_p2mp() {
  local curcontext=$curcontext state line
  local -a verbs
  case $service in
${alone.map((command) => `    ${command.name})\n      ${call(command)}\n      return ;;`).join('\n')}
  esac
  _arguments -C '1:verb:->verb' '*::argument:->rest' && return
  if [[ $state == verb ]]; then
    verbs=(
${main.verbs.map(({ verb, what }) => `      ${quote(`${verb}:${what}`)}`).join('\n')}
    )
    _describe verb verbs
    return
  fi
  case $words[1] in
${verbs.map((command) => `    ${command.name.slice(5)})\n      ${call(command)} ;;`).join('\n')}
  esac
}

# As a file in fpath it is called; where it is sourced, it says what it is for.
if [[ $funcstack[1] == _p2mp ]]; then
  _p2mp "$@"
else
  compdef _p2mp ${programs.join(' ')}
fi
`;
}

// --- fish

function fish(commands) {
  const valueFlags = (kind) => {
    if (Array.isArray(kind)) return `-x -a ${quote(kind.join(' '))}`;
    const known = {
      file: '-r -F',
      folder: "-x -a '(__fish_complete_directories)'",
      host: "-x -a '(__fish_print_hostnames)'",
    };
    return known[kind] ?? '-x';
  };
  const lines = [made, ...programs.map((program) => `complete -c ${program} -e`)];
  for (const { name, options, verbs, values } of commands) {
    const [program, verb] = name.split(' ');
    const when = verbs.length > 0 ? '__fish_use_subcommand' : `__fish_seen_subcommand_from ${verb}`;
    const condition = verb === undefined && verbs.length === 0 ? '' : ` -n ${quote(when)}`;
    const start = `complete -c ${program}${condition}`;
    for (const each of verbs) lines.push(`${start} -f -a ${each.verb} -d ${quote(each.what)}`);
    if (verbs.length === 0 && Array.isArray(values)) {
      // Plans may also be files.
      const files = name === 'p2mp experiment' ? '-F' : '-f';
      lines.push(`${start} ${files}${values.length === 0 ? '' : ` -a ${quote(values.join(' '))}`}`);
    }
    for (const option of options) {
      const { long, short, what, takesValue, isValueOptional, isNegated } = option;
      const letter = short === undefined ? '' : ` -s ${short}`;
      const flags = isValueOptional ? '-f' : valueFlags(optionValues[long] ?? 'text');
      const value = takesValue ? ` ${flags}` : '';
      lines.push(`${start} -l ${isNegated ? 'no-' : ''}${long}${letter}${value} -d ${quote(what)}`);
    }
  }
  return `${lines.join('\n')}\n`;
}
