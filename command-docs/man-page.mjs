// Formats a command's help as a manual page, with the macros of man(7), which every system
// supports.
/** @returns the name of the page without its section: `p2mp-send` */
export function pageName(name) {
  return name.replace(' ', '-');
}

export function manPage(command, { version, what, others }) {
  const { name, synopsis, prose, verbs, groups, examples, exitCodes } = command;
  const title = pageName(name);
  const lines = [
    `.TH ${roff(title.toUpperCase())} 1 "" "p2mp ${version}" "User Commands"`,
    // No hyphenation of command words, and no justified lines.
    '.nh',
    '.ad l',
    '.SH NAME',
    `${roff(title)} \\- ${text(what)}`,
    '.SH SYNOPSIS',
    ...synopsis.flatMap((line, index) => [
      ...(index > 0 ? ['.br'] : []),
      `.B ${roff(name)}`,
      text(line.slice(name.length + 1)),
    ]),
    '.SH DESCRIPTION',
    ...prose.flatMap((paragraph, index) => [...(index > 0 ? ['.PP'] : []), text(paragraph)]),
  ];
  if (verbs.length > 0) {
    lines.push('.SH VERBS');
    for (const each of verbs) {
      lines.push('.TP', `.B ${roff(each.verb)}`, `${text(each.what)}; see`);
      lines.push(`.BR ${roff(`p2mp-${each.verb}`)} (1).`);
    }
  }
  lines.push('.SH OPTIONS');
  for (const { heading, options } of groups) {
    lines.push(`.SS ${text(heading)}`, ...options.flatMap(optionLines));
  }
  if (examples.length > 0) {
    lines.push('.SH EXAMPLES');
    for (const each of examples) lines.push('.TP', `.B ${roff(each.text)}`, text(each.what));
  }
  if (exitCodes !== undefined) {
    lines.push('.SH EXIT STATUS');
    for (const { code, what: meaning } of exitCodes) lines.push('.TP', `.B ${code}`, text(meaning));
  }
  lines.push('.SH SEE ALSO');
  const pages = others.filter((other) => other !== name);
  pages.forEach((other, index) => {
    lines.push(`.BR ${roff(pageName(other))} (1)${index < pages.length - 1 ? ',' : ''}`);
  });
  lines.push('.PP', 'docs/COMMANDS.md and docs/OPERATIONS.md in the package have more details.');
  return `${lines.join('\n')}\n`;
}

function optionLines({ long, short, what, value, isValueOptional, isRepeatable, isNegated }) {
  const names = [
    ...(short === undefined ? [] : [`-${short}`]),
    `--${isNegated ? 'no-' : ''}${long}`,
  ];
  const heads = names.map((each) => `\\fB${roff(each)}\\fR`).join(', ');
  const space = isValueOptional ? '' : ' ';
  const placeholder = value === undefined ? '' : `${space}\\fI${roff(value)}\\fR`;
  const again = isRepeatable && !what.includes('repeated') ? [text('May be repeated.')] : [];
  return ['.TP', `${heads}${placeholder}`, text(`${what}.`), ...again];
}

/** Text whose hyphens can be copied. */
function roff(line) {
  return line.replaceAll('\\', '\\e').replaceAll('-', '\\-').replaceAll("'", '\\(aq');
}

/** A line of prose: its options can be copied, and no line is taken as a man request. */
function text(line) {
  const escaped = line
    .replaceAll('\\', '\\e')
    .replaceAll("'", '\\(aq')
    .replaceAll(/(?<!\w)-+(?=\w)/g, (hyphens) => '\\-'.repeat(hyphens.length));
  return /^[.]/.test(escaped) ? `\\&${escaped}` : escaped;
}
