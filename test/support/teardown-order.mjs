// Loaded before each test file. A test's folder (`t.testdir`) is removed after all that the test tears down: whoever
// writes into it is closed by then. tap does so only where something is to be torn down before the folder is made.
import t from 'tap';

const nothing = () => undefined;
t.teardown(nothing);
t.beforeEach((each) => each.teardown(nothing));
