// Loaded before each test file. A test's folder (`t.testdir`) is removed last at the teardown, so everything that
// writes into it has been closed. tap does so only where something is to be torn down before the folder is made.
import t from 'tap';

const nothing = () => undefined;
t.teardown(nothing);
t.beforeEach((each) => each.teardown(nothing));
