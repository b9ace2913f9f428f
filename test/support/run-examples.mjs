// Runs the examples named in its arguments one after another, each in a folder of its own, and prints what each
// has printed, as JSON.
import { mkdirSync } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { formatWithOptions } from 'node:util';

const printed = {};
const { log } = console;
const home = process.cwd();

for (const name of process.argv.slice(2)) {
  printed[name] = [];
  console.log = (...values) => printed[name].push(formatWithOptions({ colors: false }, ...values));
  mkdirSync(resolve(home, 'runs', name), { recursive: true });
  process.chdir(resolve(home, 'runs', name));
  await import(pathToFileURL(resolve(home, `${name}.js`)).href);
}
log(JSON.stringify(printed));
