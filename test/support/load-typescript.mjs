// Lets Node run the tests. Each test file is joined with all files of the project that it uses into one script.
// Finding and compiling those hundreds of files one by one, in each process, took longer than most tests.
import { register } from 'node:module';

if (process.env.TAP_DISABLE_COVERAGE === '1') register('./bundle-hooks.mjs', import.meta.url);
// Coverage is counted by file.
else await import('tsx');
