/** The schema of --json: each line that tests read from a command is checked against it (support/processes.ts). */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { eventsJsonSchema, jsonLineSchema } from '../../../src/cli/output/json/json-events.js';
import { projectFolder } from '../../support/processes.js';

const line = { time: '2026-03-01T09:12:44.031Z', event: 'silent', receiver: 'lab1' };

t.test('a line with a missing, unknown or wrong field does not match', (t) => {
  const schema = jsonLineSchema();
  const matches = (object: object) => schema.safeParse(object).success;
  t.ok(matches(line));
  t.ok(matches({ ...line, level: 'info' }), 'as in a log');
  t.notOk(matches({ ...line, time: undefined }));
  t.notOk(matches({ ...line, time: 'yesterday' }));
  t.notOk(matches({ ...line, receiver: 7 }));
  t.notOk(matches({ ...line, sender: 'lab2' }));
  t.notOk(matches({ ...line, event: 'Silent' }));
  t.end();
});

t.test('docs/events.schema.json is up to date: npm run schema', (t) => {
  const written = readFileSync(join(projectFolder, 'docs/events.schema.json'), 'utf8');
  t.same(JSON.parse(written), eventsJsonSchema());
  t.end();
});

t.test('docs/COMMANDS.md and docs/EXPERIMENTS.md name every event and field', (t) => {
  const text = ['COMMANDS', 'EXPERIMENTS']
    .map((name) => readFileSync(join(projectFolder, `docs/${name}.md`), 'utf8'))
    .join('\n');
  const names = new Set<string>();
  const collect = (schema: unknown): void => {
    if (typeof schema !== 'object' || schema === null) return;
    const { properties, const: constant } = schema as { properties?: object; const?: string };
    for (const name of Object.keys(properties ?? {})) names.add(name);
    if (constant !== undefined) names.add(constant);
    for (const part of Object.values(schema)) collect(part);
  };
  collect(eventsJsonSchema());
  t.ok(names.size > 80);
  const missing = [...names].filter((name) => !text.includes(`\`${name}\``));
  t.same(missing, []);
  t.end();
});
