// Lets Node run the tests.
import { register } from 'node:module';

const hooks = process.env.TAP_DISABLE_COVERAGE === '1' ? 'bundle-hooks' : 'coverage-hooks';
register(`./${hooks}.mjs`, import.meta.url);
