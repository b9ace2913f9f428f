/** Writes docs/events.schema.json, which describes the lines of --json: `npm run schema`. */
import { writeFileSync } from 'node:fs';
import { eventsJsonSchema } from '../dist/cli/output/json/json-events.js';

const path = new URL('../docs/events.schema.json', import.meta.url);
writeFileSync(path, `${JSON.stringify(eventsJsonSchema(), null, 2)}\n`);
