// Creates man pages and completions from the options of the built commands: man/ and
// completions/ in the folder of the built files, which is the argument.
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { completionScripts } from './completion-scripts.mjs';
import { manPage, pageName } from './man-page.mjs';
import { readCommands } from './read-help.mjs';

const [, , folder] = process.argv;
const { version, description } = JSON.parse(await readFile('package.json', 'utf8'));
const commands = await readCommands(resolve(folder));
const names = commands.map(({ name }) => name);
const [main] = commands;

/** The description in one line, from the list of commands or the first sentence. */
function whatIs({ name, prose }) {
  if (name === 'p2mp') return description;
  const verb = main.verbs.find(({ verb: each }) => name === `p2mp ${each}`);
  return verb?.what ?? prose.join(' ').replace(/[.,:;] .*/s, '');
}

await mkdir(`${folder}/man`, { recursive: true });
for (const command of commands) {
  const page = manPage(command, { version, what: whatIs(command), others: names });
  await writeFile(`${folder}/man/${pageName(command.name)}.1`, page);
}

const plans = (await readdir('experiments/plans')).map((file) => file.replace(/\.json$/, ''));
await mkdir(`${folder}/completions`, { recursive: true });
for (const [file, script] of Object.entries(completionScripts(commands, plans.sort()))) {
  await writeFile(`${folder}/completions/${file}`, script);
}
