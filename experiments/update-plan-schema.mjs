/** Writes experiments/plan.schema.json, which editors use to check plans: `npm run schema`. */
import { writeFileSync } from 'node:fs';
import { planJsonSchema } from '../dist/experiment/plan-schema.js';

const path = new URL('plan.schema.json', import.meta.url);
writeFileSync(path, `${JSON.stringify(planJsonSchema(), null, 2)}\n`);
